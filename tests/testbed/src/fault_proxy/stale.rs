//! Answers from the past.

use std::io;

use http::{Request, Uri, header, request};
use serde_json::Value;

use super::fault::{respond, status_object};
use super::request::Request as Asked;
use super::stream::Body;

/// The target of a list or watch as it was at `version`.
pub(super) fn target(asked: &Asked, version: &str) -> String {
    if asked.parameter("continue").is_some() {
        return format!("{}?{}", asked.path, asked.query);
    }
    let replaced = ["resourceVersion", "resourceVersionMatch", "sendInitialEvents"];
    let kept = asked.query.split('&').filter(|pair| {
        let key = pair.split('=').next().unwrap_or_default();
        !key.is_empty() && !replaced.contains(&key)
    });
    let mut query: Vec<String> = kept.map(str::to_owned).collect();
    query.push(format!("resourceVersion={version}"));
    if !asked.is_watch() {
        query.push("resourceVersionMatch=Exact".to_owned());
    }
    format!("{}?{}", asked.path, query.join("&"))
}

/// The answer to a get as it was at `version`. Only lists can be read from the past, so it is read from one, by the admin: whoever
/// may get need not be allowed to list.
pub(super) async fn get(admin: &kube::Client, head: &request::Parts, asked: &Asked, version: &str) -> io::Result<http::Response<Body>> {
    let (collection, name) = asked.path.rsplit_once('/').unwrap_or_default();
    let query = format!("fieldSelector=metadata.name%3D{name}&resourceVersion={version}&resourceVersionMatch=Exact");
    let uri: Uri = format!("{collection}?{query}").parse().map_err(io::Error::other)?;
    let mut request = Request::get(uri);
    if let Some(accept) = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) {
        let accept = accept.replace("as=PartialObjectMetadata;", "as=PartialObjectMetadataList;");
        request = request.header(header::ACCEPT, accept);
    }
    let request = request.body(Vec::new()).map_err(io::Error::other)?;
    let list: Value = admin.request(request).await.map_err(io::Error::other)?;
    Ok(match list["items"].as_array().and_then(|items| items.first()) {
        Some(item) => respond(200, None, one_of(&list, item).to_string()),
        None => respond(404, None, status_object(404, None).to_string()),
    })
}

/// An item of a list does not say its kind.
fn one_of(list: &Value, item: &Value) -> Value {
    let mut item = item.clone();
    let kind = list["kind"].as_str().unwrap_or_default();
    item["kind"] = kind.strip_suffix("List").unwrap_or(kind).into();
    item["apiVersion"] = list["apiVersion"].clone();
    item
}
