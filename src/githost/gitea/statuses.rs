//! What others say of a commit.

use serde::Deserialize;

use super::Gitea;
use super::api::unusable;
use crate::domain::git::{RepositoryName, Revision};
use crate::domain::stage::wait::ReportedStatus;
use crate::githost::Error;

const READ_STATUS: &str = "read the status of the commit";
/// The most pages of a commit's statuses that are looked through for one context.
const MAX_PAGES: usize = 40;

#[derive(Deserialize)]
struct Status {
    id: u64,
    context: String,
    /// `status`, where GitHub has `state`.
    status: String,
    #[serde(default)]
    description: String,
}

/// The newest status of a context. Gitea lists every status that was ever set, and none for a commit that it does not know.
///
/// All pages are read, and the highest number counts: Gitea's orders are by the second, or not what they are called (`highestindex` begins
/// with the lowest).
pub(super) async fn commit_status(
    gitea: &Gitea,
    name: &RepositoryName,
    revision: &Revision,
    context: &str,
) -> Result<Option<ReportedStatus>, Error> {
    let url = gitea.below(name, &["statuses", revision.as_str()])?;
    let mut newest: Option<Status> = None;
    let mut seen = 0;
    for number in 1..=MAX_PAGES {
        let (page, total) = gitea.api.page::<Status>(READ_STATUS, url.clone(), number, name).await?;
        seen += page.len();
        let is_last = page.is_empty() || seen >= total;
        let of_context = page.into_iter().filter(|status| status.context.eq_ignore_ascii_case(context));
        newest = newest.into_iter().chain(of_context).max_by_key(|status| status.id);
        if is_last {
            return Ok(newest.map(|status| ReportedStatus {
                state: status.status,
                description: Some(status.description).filter(|text| !text.is_empty()),
            }));
        }
    }
    Err(unusable(
        READ_STATUS,
        format!("the commit's statuses have more than {MAX_PAGES} pages"),
    ))
}
