//! Bitbucket's webhook events, reduced to the fields that say which branch to look at. The names of the Cloud's events and of a Data Center's
//! are different, so that each tells whose body it is.

mod cloud;
mod server;

use http::HeaderMap;

use crate::domain::event::{BranchHint, Delivery, Happening, RepositoryHint};
use crate::domain::git::BranchName;
use crate::domain::name::NameError;
use crate::githost::payload::{PayloadError, decode, event_name};

/// The header that names the event.
pub(in crate::githost) const EVENT: &str = "x-event-key";
/// The event of a test.
pub(in crate::githost) const PING: &str = "diagnostics:ping";
/// The headers that identify a delivery: the Cloud's and a Data Center's.
const DELIVERIES: [&str; 2] = ["x-request-uuid", "x-request-id"];
/// More refs than this are left to the sweep.
const MAX_CHANGES: usize = 1000;

const UNSUPPORTED: &str = "a branch whose name is not supported";
const NO_BRANCH: &str = "a push to something that is no branch";
const NOTHING_ASKED: &str = "a comment that asks for nothing";

/// The header with the identifier of a delivery.
pub(in crate::githost) fn delivery_header(headers: &HeaderMap) -> &'static str {
    let there = DELIVERIES.into_iter().find(|name| headers.contains_key(*name));
    there.unwrap_or(DELIVERIES[0])
}

pub(in crate::githost) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Delivery, PayloadError> {
    match event_name(headers, EVENT)? {
        "repo:push" => cloud::push(decode("repo:push", headers, body)?),
        "pullrequest:created" | "pullrequest:updated" | "pullrequest:fulfilled" | "pullrequest:rejected" => {
            cloud::pull_request(decode(cloud::PULL_REQUEST, headers, body)?)
        }
        "pullrequest:comment_created" => cloud::comment(decode(cloud::COMMENT, headers, body)?),
        "repo:refs_changed" => server::push(decode("repo:refs_changed", headers, body)?),
        "pr:opened" | "pr:from_ref_updated" | "pr:modified" | "pr:merged" | "pr:declined" | "pr:deleted" => {
            server::pull_request(decode(server::PULL_REQUEST, headers, body)?)
        }
        "pr:comment:added" => server::comment(decode(server::COMMENT, headers, body)?),
        PING => Ok(Delivery::Ping),
        _ => Ok(Delivery::Ignored("an event that says nothing about branches")),
    }
}

/// A branch that a push changed, if its name is supported.
struct Changed {
    branch: Result<BranchName, NameError>,
    happening: Happening,
}

/// One hint for each branch that was changed; the last word counts where one is named twice.
fn hints(repository: &RepositoryHint, changed: Vec<Option<Changed>>) -> Result<Delivery, PayloadError> {
    if changed.len() > MAX_CHANGES {
        return Err(PayloadError::CountUpdates {
            count: changed.len(),
            limit: MAX_CHANGES,
        });
    }
    let (mut hints, mut reason) = (Vec::<BranchHint>::new(), NO_BRANCH);
    for Changed { branch, happening } in changed.into_iter().flatten() {
        let Ok(branch) = branch else {
            reason = UNSUPPORTED;
            continue;
        };
        hints.retain(|hint| hint.branch != branch);
        let repository = repository.clone();
        hints.push(BranchHint {
            repository,
            branch,
            happening,
        });
    }
    Ok(match hints.is_empty() {
        true => Delivery::Ignored(reason),
        false => Delivery::Hints(hints),
    })
}

/// A look at the branch of a pull request, whatever became of it.
fn look(repository: RepositoryHint, branch: Result<BranchName, NameError>) -> Delivery {
    match branch {
        Ok(branch) => Delivery::Hints(vec![BranchHint {
            repository,
            branch,
            happening: Happening::PullRequestChanged,
        }]),
        Err(_) => Delivery::Ignored(UNSUPPORTED),
    }
}

fn repository(event: &'static str, id: &str, name: &str) -> Result<RepositoryHint, PayloadError> {
    let refuse = |field| move |source| PayloadError::ReadField { event, field, source };
    Ok(RepositoryHint {
        id: Some(id.parse().map_err(refuse("the repository's identifier"))?),
        name: name.parse().map_err(refuse("the repository's name"))?,
    })
}

#[cfg(test)]
mod tests;
