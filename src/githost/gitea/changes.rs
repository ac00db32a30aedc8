//! Which paths a pull request changes.
//!
//! Gitea compares two commits only by their commits, so this asks for the files of the open pull request between them: all of its pages,
//! with both names of a renamed file.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Gitea, wire};
use crate::domain::git::{BranchName, RepositoryName, Revision};
use crate::githost::Error;

const COMPARE: &str = "ask which files a pull request changes";

#[derive(Deserialize)]
struct ChangedFile {
    filename: String,
    /// Empty unless the file was renamed.
    #[serde(default)]
    previous_filename: String,
}

/// `None` where no open pull request asks for `head` to be merged into `base`.
pub(super) async fn changed_paths(
    gitea: &Gitea,
    name: &RepositoryName,
    base: &BranchName,
    head: &Revision,
) -> Result<Option<BTreeSet<String>>, Error> {
    let mut url = gitea.below(name, &["pulls"])?;
    url.query_pairs_mut().append_pair("state", "open");
    let key = |pull: &wire::PullRequest| pull.number;
    let pulls: Vec<wire::PullRequest> = gitea.api.all_pages(COMPARE, url, name, key).await?;
    let Some(pull) = pulls.iter().find(|pull| pull.is_between(base, head)) else {
        return Ok(None);
    };
    let url = gitea.below(name, &["pulls", &pull.number.to_string(), "files"])?;
    let key = |file: &ChangedFile| file.filename.clone();
    let files: Vec<ChangedFile> = gitea.api.all_pages(COMPARE, url, name, key).await?;
    let names = files.into_iter().flat_map(|file| [file.filename, file.previous_filename]);
    Ok(Some(names.filter(|name| !name.is_empty()).collect()))
}
