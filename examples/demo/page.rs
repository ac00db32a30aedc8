//! The page of a branch, asked of its pod.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use testbed::wait;

use crate::story::LIMIT;

/// The label of the pods that serve, and the port they listen on.
const WEB: (&str, u16) = ("app.kubernetes.io/name=web", 8080);

/// A page.
pub struct Page {
    /// Where it is.
    pub url: String,
    /// Its title.
    pub title: String,
}

/// The page of the environment in a namespace, once a pod that stays answers with that of `revision`.
pub async fn of(client: &Client, namespace: &str, revision: &str) -> anyhow::Result<Page> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let (label, port) = WEB;
    let look = || async {
        let all = pods
            .list(&ListParams::default().labels(label))
            .await
            .map_err(|error| error.to_string())?;
        let mut staying = all.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let address = staying.find_map(|pod| pod.status?.pod_ip).ok_or("no pod has an address")?;
        let url = format!("http://{address}:{port}/");
        let text = testbed::node::get(&url).await?;
        let title = title(&text).ok_or("the page has no title")?.to_owned();
        if title.contains(revision) {
            Ok(Page { url, title })
        } else {
            Err(format!("the page is {title}"))
        }
    };
    Ok(wait::try_until("page of the branch", LIMIT, look).await?)
}

fn title(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("<title>")?;
    Some(rest.split_once("</title>")?.0)
}
