//! What setting up has in common at the Cloud and at a Data Center. Rights are read and not tried.

use http::{Method, StatusCode};
use reqwest::Url;
use serde_json::Value;

use super::api::Api;
use crate::domain::git::RepositoryName;
use crate::domain::setup::Allowed;
use crate::githost::Error;
use crate::githost::setup::allowed;

pub(super) const PROBE: &str = "find out what the token may do";
pub(super) const LIST_WEBHOOKS: &str = "list the webhooks";
const INSTALL: &str = "install the webhook";

/// Whether the first item of a list is shown.
pub(super) async fn may_get(api: &Api, url: Result<Url, Error>, size: &str) -> Allowed {
    let asked = async {
        let mut url = url?;
        url.query_pairs_mut().append_pair(size, "1");
        let answer = api.get(PROBE, url).await?;
        if answer.status == StatusCode::OK {
            // A login page is no list.
            answer.decode::<Value>(PROBE)?;
        }
        Ok(answer.status.as_u16())
    };
    allowed(asked.await, &[200])
}

/// Creates a webhook with `POST`, or makes one right with `PUT`.
pub(super) async fn write(api: &Api, name: &RepositoryName, method: Method, url: Url, body: &Value) -> Result<(), Error> {
    let answer = api.send(INSTALL, method, url, Some(body)).await?;
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => answer.decode::<Value>(INSTALL).map(|_| ()),
        StatusCode::NOT_FOUND => {
            answer.is_its_own(INSTALL)?;
            Err(Error::RepositoryNotFound {
                operation: INSTALL,
                repository: name.clone(),
            })
        }
        _ => Err(answer.unexpected(INSTALL)),
    }
}
