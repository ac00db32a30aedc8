//! What others were told of an environment, kept where it outlives this process: on the Environment, then on its receipt.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Error;
use super::connection::within;
use crate::api::convert::notification::past;
use crate::api::receipt::{FullReceipt, Past, TEXT_KEY};
use crate::api::{Environment, keys};

/// A receipt of which an audience has not been told everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReceipt {
    /// Its namespace.
    pub namespace: String,
    /// The name of its ConfigMap.
    pub name: String,
}

/// A receipt with what an audience was told of its environment.
#[derive(Debug, Clone)]
pub struct ToldReceipt {
    /// The UID of its ConfigMap.
    pub uid: String,
    /// The receipt.
    pub receipt: FullReceipt,
    /// What the audience was told; `None` if nothing is known of that.
    pub mark: Option<String>,
    /// What the environment was; nothing if no audience needs it.
    pub past: Past,
}

/// The annotation of an audience.
pub fn key(audience: &str) -> String {
    format!("{}{audience}", keys::TOLD_ANNOTATION_PREFIX)
}

/// What an audience was told of an environment.
pub fn mark(environment: &Environment, audience: &str) -> Option<String> {
    environment.annotations().get(&key(audience)).cloned()
}

/// The annotations of a receipt that carry on what the Environment's say.
///
/// An audience that was told nothing has one as well: a receipt without it is from before there was one.
pub(super) fn handed_over(environment: &Environment) -> BTreeMap<String, String> {
    let audiences = keys::AUDIENCES.iter();
    let always = audiences.map(|audience| (key(audience), mark(environment, audience).unwrap_or_default()));
    let of_events = keys::EVENT_AUDIENCES.iter();
    let of_events: Vec<_> = of_events
        .filter_map(|audience| Some((key(audience), mark(environment, audience)?)))
        .collect();
    let past = (!of_events.is_empty()).then(|| serde_json::to_string(&past(environment)).unwrap_or_default());
    let past = past.map(|past| (keys::PAST_ANNOTATION.to_owned(), past));
    always.chain(of_events).chain(past).collect()
}

/// Keeps on an Environment what an audience was told. `false` if it is gone, or another one by now.
///
/// # Errors
/// The write failed.
pub async fn keep(client: Client, environment: &Environment, audience: &str, mark: &str) -> Result<bool, Error> {
    let api: Api<Environment> = Api::namespaced(client, &environment.namespace().unwrap_or_default());
    annotate(&api, &environment.name_any(), environment.uid().as_deref(), audience, mark).await
}

/// Keeps the same on a receipt. `false` if it is gone.
///
/// # Errors
/// The write failed.
pub async fn keep_on_receipt(client: Client, receipt: &OpenReceipt, uid: Option<&str>, audience: &str, mark: &str) -> Result<bool, Error> {
    let api: Api<ConfigMap> = Api::namespaced(client, &receipt.namespace);
    annotate(&api, &receipt.name, uid, audience, mark).await
}

/// A merge, unlike an apply, makes nothing that is not there.
async fn annotate<K>(api: &Api<K>, name: &str, uid: Option<&str>, audience: &str, mark: &str) -> Result<bool, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut metadata = json!({ "annotations": { (key(audience)): mark } });
    if let Some(uid) = uid {
        metadata["uid"] = json!(uid);
    }
    let params = PatchParams {
        field_manager: Some(keys::TOLD_FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let what = || format!("what {audience} was told on {} {name}", K::kind(&()));
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    let written = within(
        || format!("write {}", what()),
        api.patch_metadata(name, &params, &patch),
        |source| Error::Write { what: what(), source },
    );
    match written.await {
        Ok(_) => Ok(true),
        Err(Error::Write {
            source: kube::Error::Api(status),
            ..
        }) if matches!(status.code, 404 | 409) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The receipts of which an audience has still to be told something. Their texts are not read.
///
/// # Errors
/// The listing failed.
pub async fn open_receipts(client: Client, audience: &str) -> Result<Vec<OpenReceipt>, Error> {
    let api: Api<ConfigMap> = Api::all(client);
    let (key, mut open) = (key(audience), Vec::new());
    let mut params = ListParams::default().labels(keys::RECEIPT_LABEL).limit(500);
    loop {
        let page = within(
            || "list the receipts".to_owned(),
            api.list_metadata(&params),
            |source| Error::List {
                what: "receipts".to_owned(),
                source,
            },
        )
        .await?;
        let is_open = |annotations: &BTreeMap<String, String>| annotations.get(&key).is_some_and(|mark| mark != keys::TOLD_ALL);
        let found = page.items.iter().filter(|receipt| is_open(receipt.annotations()));
        open.extend(found.map(|receipt| OpenReceipt {
            namespace: receipt.namespace().unwrap_or_default(),
            name: receipt.name_any(),
        }));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(open),
        }
    }
}

/// A receipt, if an audience has still to be told something of it. One that cannot be understood is none.
///
/// # Errors
/// The read failed.
pub async fn read_receipt(client: Client, open: &OpenReceipt, audience: &str) -> Result<Option<ToldReceipt>, Error> {
    let api: Api<ConfigMap> = Api::namespaced(client, &open.namespace);
    let found = within(
        || format!("read the receipt {}", open.name),
        api.get_opt(&open.name),
        |source| Error::Read {
            what: format!("receipt {}", open.name),
            source,
        },
    );
    Ok(found.await?.and_then(|object| understand(&object, audience)))
}

fn understand(object: &ConfigMap, audience: &str) -> Option<ToldReceipt> {
    let mark = object.annotations().get(&key(audience)).filter(|mark| *mark != keys::TOLD_ALL)?;
    let text = object.data.as_ref()?.get(TEXT_KEY)?;
    Some(ToldReceipt {
        uid: object.uid()?,
        receipt: serde_saphyr::from_str(text).ok()?,
        mark: Some(mark.clone()).filter(|mark| !mark.is_empty()),
        past: past_of(object).unwrap_or_default(),
    })
}

fn past_of(object: &ConfigMap) -> Option<Past> {
    serde_json::from_str(object.annotations().get(keys::PAST_ANNOTATION)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn object(mark: Option<&str>) -> ConfigMap {
        let receipt = "environment: shop-a\nproject: p/shop\nbranch: a\nrepositoryId: '1'\ncompletedAt: 2026-01-01T00:00:00Z\ncreated: 0\n\
                       removed: 0\nleft: []\nobjects: []\n";
        let annotations = mark.map(|mark| json!({ "graftling.dev/told-feedback": mark }));
        let metadata = json!({ "name": "r", "namespace": "p", "uid": "1", "annotations": annotations });
        serde_json::from_value(json!({ "metadata": metadata, "data": { (TEXT_KEY): receipt } })).unwrap()
    }

    #[test]
    fn a_receipt_is_open_until_everything_was_told_and_one_from_before_never_is() {
        let open = understand(&object(Some("{}")), "feedback").unwrap();
        assert_eq!((open.receipt.environment.as_str(), open.mark.as_deref()), ("shop-a", Some("{}")));
        assert_eq!(understand(&object(Some("")), "feedback").unwrap().mark, None);
        assert!(understand(&object(Some("done")), "feedback").is_none());
        assert!(understand(&object(None), "feedback").is_none());
    }
}
