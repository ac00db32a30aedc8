//! What pull requests mean for environments.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What pull requests mean for the environments of their branches.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.filters) || (has(self.policy) && self.policy != 'Branches')")
        .message("pullRequests.filters needs pullRequests.policy: PullRequests or Both")
)]
pub struct PullRequests {
    /// What a branch needs to get an environment. It gets one at most, however it comes to it.
    #[serde(default)]
    pub policy: PullRequestPolicy,
    /// Which open pull requests count. All of these filters have to let one pass; of the entries of one filter a single one is enough. An
    /// environment whose open pull request passes no more is torn down. Of several open pull requests from one branch the one with the
    /// lowest number counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<PullRequestFilters>,
    /// What becomes of an environment whose pull request was merged or closed while its branch is there. Hosts without pull requests
    /// never show that.
    #[serde(default)]
    pub on_close: OnClose,
}

/// What a branch needs to get an environment.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum PullRequestPolicy {
    /// To match `branches`.
    #[default]
    Branches,
    /// To match `branches`, and to have an open pull request that passes the filters.
    PullRequests,
    /// To match `branches.include`, or to have an open pull request that passes the filters. `branches.exclude` and `protected` keep
    /// their meaning.
    Both,
}

/// Which open pull requests count.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestFilters {
    /// Labels, of which it has to bear one, spelled as here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub labels: Vec<String>,
    /// Patterns of its title: `*` stands for any characters and everything else for itself, whatever the case of letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub title: Vec<String>,
    /// Globs over the branch to merge: `*` stays within one path segment, `**` crosses them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub source: Vec<String>,
    /// Globs over the branch to merge into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub target: Vec<String>,
    /// Its author.
    #[serde(default, skip_serializing_if = "AuthorFilter::is_empty")]
    pub authors: AuthorFilter,
    /// Whether drafts count as well.
    #[serde(default)]
    pub drafts: Drafts,
    /// Globs over the paths of the files that it changes; a renamed file has both. Asked when an environment would begin: one that is
    /// there stays. Where the host cannot tell all of the paths, it begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub paths: Vec<String>,
}

/// Logins of authors, as patterns like those of titles: `*[bot]`.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorFilter {
    /// One of these has to match; without any, everybody's pull requests count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub include: Vec<String>,
    /// None of these may match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub exclude: Vec<String>,
}

/// Whether drafts count.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum Drafts {
    /// They do.
    #[default]
    Include,
    /// They do not, until they are ready for review.
    Ignore,
}

/// What becomes of an environment whose pull request is open no more.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum OnClose {
    /// It stays as long as the branch.
    #[default]
    Keep,
    /// It is scaled to zero, with its data, as long as the branch is there. A push, or reopening the pull request, brings it back.
    Sleep,
    /// It is torn down. A push, or reopening the pull request, brings it back.
    Teardown,
}

impl PullRequests {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl AuthorFilter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
