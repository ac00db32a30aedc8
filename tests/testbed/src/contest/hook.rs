//! Signed deliveries over connections that are kept, to graftling and to whoever else takes webhooks.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::Error;
use super::task::{Environment, Task};
use crate::webhook::signature;
use crate::{crypto, webhook};

/// How a branch that is not there is written.
const NONE: &str = "0000000000000000000000000000000000000000";

/// How many deliveries are under way at a time. A connection that was used is kept, and receivers bound those.
const AT_A_TIME: usize = 64;

/// A sender with warm connections.
pub(super) struct Hook {
    client: reqwest::Client,
}

impl Hook {
    /// Opens nothing yet.
    pub(super) fn new() -> Result<Hook, Error> {
        crypto::install();
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.map_err(|error| Error::Deliver(webhook::Error::MakeClient(error)))?;
        Ok(Hook { client })
    }

    /// A delivery with the signatures that receivers look for, ready to be sent.
    pub(super) fn request(&self, url: &str, secret: &str, body: Vec<u8>) -> reqwest::RequestBuilder {
        let signed = signature(secret.as_bytes(), &body);
        let delivery = webhook::delivery_id();
        self.client
            .post(url)
            .header("content-type", "application/json")
            .header("x-graftling-event", "push")
            .header("x-graftling-delivery", delivery)
            .header("x-graftling-signature-256", &signed)
            .header("x-hub-signature-256", &signed)
            .body(body)
    }

    /// Sends deliveries as a host does, so many at a time, and wants all of them taken.
    pub(super) async fn send_all(&self, requests: Vec<reqwest::RequestBuilder>) -> Result<(), Error> {
        let sent = stream::iter(requests).map(|request| self.send(request)).buffer_unordered(AT_A_TIME);
        sent.try_collect().await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(), Error> {
        let failed = |source| {
            Error::Deliver(webhook::Error::Deliver {
                url: "the webhook".to_owned(),
                source,
            })
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let said = response.text().await.unwrap_or_default();
        Err(Error::Refused(format!("{status}: {said}")))
    }
}

/// What a push of one branch says, in the form of graftling's own hook.
pub(super) fn push(repository: &str, environment: &Environment, task: Task) -> Vec<u8> {
    let naming = &environment.naming;
    let after = if task == Task::Delete { NONE } else { &naming.revision };
    let before = if task == Task::Delete { &naming.revision } else { NONE };
    let body = json!({
        "version": 1,
        "repository": repository,
        "updates": [{ "ref": format!("refs/heads/{}", naming.branch), "before": before, "after": after }],
        // For scripts, which cannot compute them.
        "namespace": naming.namespace,
    });
    body.to_string().into_bytes()
}
