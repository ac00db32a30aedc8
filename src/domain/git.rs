//! Git's own words as narrow types: branches, revisions, repositories, pull requests, and what a host says of them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::name::{NameError, name_type};

/// The kind of Git host: which interface it speaks and how it signs its deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// github.com or a GitHub Enterprise Server.
    Github,
    /// gitlab.com or a GitLab of one's own.
    Gitlab,
    /// Bitbucket Cloud or Bitbucket Data Center.
    Bitbucket,
    /// Gitea or Forgejo.
    Gitea,
    /// Any plain Git remote: refs by the Git protocol, hints from our own post-receive hook.
    Git,
}

name_type!(
    /// A branch by its short name, valid by the rules of `git check-ref-format`, at most 250 bytes long.
    BranchName,
    "branch",
    check_branch
);

name_type!(
    /// A full commit id: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits, never all zero.
    Revision,
    "revision",
    check_revision
);

name_type!(
    /// A repository's identifier at its host: what stays the same when the repository is renamed.
    RepositoryId,
    "repository id",
    check_repository_id
);

name_type!(
    /// A repository as people write it: `owner/name`, or a path below the host's URL.
    RepositoryName,
    "repository",
    check_repository_name
);

name_type!(
    /// A folder or a file inside a repository, an archive or a directory, relative to its root: `a/b`, or `.` for the root itself.
    TreePath,
    "path",
    check_tree_path
);

/// A commit, and the branch whose head it was when it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit {
    /// The branch.
    pub branch: BranchName,
    /// The commit.
    pub revision: Revision,
}

/// A repository as its host described it in one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What identifies it for good.
    pub id: RepositoryId,
    /// What it is called now.
    pub name: RepositoryName,
    /// The branch that every complete listing must contain; `None` when the host knows none (an empty repository).
    pub default_branch: Option<BranchName>,
}

/// An open pull request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PullRequest {
    /// The number that people use.
    pub number: u64,
    /// The branch to merge.
    #[serde(deserialize_with = "BranchName::read_stored")]
    pub head: BranchName,
    /// Set when the head branch lives in another repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
    /// The branch to merge into.
    pub base: String,
    /// The author's login.
    pub author: String,
    /// The title: any text.
    pub title: String,
    /// Label names, sorted.
    pub labels: Vec<String>,
    /// Whether it is a draft.
    pub draft: bool,
}

/// Where a pull request comes from whose head is no branch of the repository itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fork {
    /// The head of the pull request. The repository itself has no branch that would tell it.
    pub revision: Revision,
    /// The other repository's name, as the host tells it; none once it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
}

/// Every branch of a repository at one time: a host gives this only when it saw all pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The repository, as described in the same pass.
    pub repository: Repository,
    /// Every branch with its head.
    pub branches: BTreeMap<BranchName, Revision>,
    /// Every open pull request; empty where the host has none.
    pub pull_requests: Vec<PullRequest>,
}

/// The answer to "where does this branch stand?", given only when the host also confirmed the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefLookup {
    /// The repository, as described in the same pass.
    pub repository: Repository,
    /// The branch that was asked for.
    pub branch: BranchName,
    /// Its head, or `None` when the host said that there is no such branch.
    pub head: Option<Revision>,
    /// The open pull request from this branch of the same repository, if there is one.
    pub pull_request: Option<PullRequest>,
}

// === impl Provider ===

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 5] = [Self::Github, Self::Gitlab, Self::Bitbucket, Self::Gitea, Self::Git];

    /// The provider's name in custom resources and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Gitea => "gitea",
            Self::Git => "git",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == text).ok_or_else(|| {
            NameError::new(
                "provider",
                text,
                "must be \"github\", \"gitlab\", \"bitbucket\", \"gitea\" or \"git\"",
            )
        })
    }
}

// === impl BranchName ===

impl BranchName {
    /// What stands for the head of a pull request from a fork, which no branch of the repository tells. No branch can bear this name:
    /// parsing refuses it.
    pub fn of_pull_request(number: u64) -> Self {
        Self(format!("{PULL_REQUESTS}{number}/head"))
    }

    /// The pull request from a fork that this stands for; `None` for a branch of the repository.
    pub fn pull_request(&self) -> Option<u64> {
        self.0.strip_prefix(PULL_REQUESTS)?.strip_suffix("/head")?.parse().ok()
    }

    /// Reads what we wrote ourselves: a branch, or what stands for a pull request from a fork.
    ///
    /// # Errors
    /// It is neither.
    pub fn from_stored(text: &str) -> Result<Self, NameError> {
        let number = text
            .strip_prefix(PULL_REQUESTS)
            .and_then(|rest| rest.strip_suffix("/head")?.parse().ok());
        match number.map(Self::of_pull_request).filter(|name| name.as_str() == text) {
            Some(name) => Ok(name),
            None => text.parse(),
        }
    }

    /// The same out of what another process of ours sent.
    ///
    /// # Errors
    /// As [`BranchName::from_stored`].
    pub fn read_stored<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        Self::from_stored(&text).map_err(serde::de::Error::custom)
    }

    /// `refs/heads/<name>`, or the ref of a pull request from a fork as it is: no two of them are the same.
    pub fn full_ref(&self) -> String {
        match self.pull_request() {
            Some(_) => self.0.clone(),
            None => format!("refs/heads/{self}"),
        }
    }

    /// The branch of a full ref; `None` for tags, notes and anything else that is not below `refs/heads/`.
    pub fn from_full_ref(full_ref: &str) -> Option<Result<Self, super::name::NameError>> {
        full_ref.strip_prefix("refs/heads/").map(str::parse)
    }
}

// === impl Revision ===

impl Revision {
    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.as_str()[..12]
    }

    /// Whether `text` is what Git writes for "no commit": forty or sixty-four zeros.
    pub fn is_zero(text: &str) -> bool {
        matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte == b'0')
    }
}

// === impl TreePath ===

impl TreePath {
    /// The path below the root; `None` for the root itself.
    pub fn below_root(&self) -> Option<&str> {
        (self.as_str() != ".").then_some(self.as_str())
    }

    /// Its parts; none for the root.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.below_root().into_iter().flat_map(|path| path.split('/'))
    }
}

// === rules ===

/// Below this, hosts keep the heads of pull requests.
const PULL_REQUESTS: &str = "refs/pull/";

/// The rules of `git check-ref-format` for what follows `refs/heads/`.
fn check_branch(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".into());
    }
    if text.len() > 250 {
        return Err("must be at most 250 bytes long".into());
    }
    if text.starts_with('-') {
        return Err("must not begin with '-'".into());
    }
    if text == "@" || text == "HEAD" {
        return Err("is a name that Git keeps for itself".into());
    }
    if text.starts_with(PULL_REQUESTS) {
        return Err("must not begin with \"refs/pull/\", which stands for pull requests from forks".into());
    }
    if let Some(character) = text
        .chars()
        .find(|character| character.is_control() || " ~^:?*[\\".contains(*character))
    {
        return Err(format!("must not contain {character:?}"));
    }
    if text.contains("..") || text.contains("@{") || text.contains("//") {
        return Err("must not contain \"..\", \"@{\" or \"//\"".into());
    }
    if text.starts_with('/') || text.ends_with('/') || text.ends_with('.') {
        return Err("must not begin or end with '/', nor end with '.'".into());
    }
    if text.split('/').any(|part| part.starts_with('.') || part.ends_with(".lock")) {
        return Err("must not have a part that begins with '.' or ends with \".lock\"".into());
    }
    Ok(())
}

fn check_revision(text: &str) -> Result<(), String> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !matches!(text.len(), 40 | 64) || !digits {
        return Err("must be 40 or 64 lower-case hexadecimal digits".into());
    }
    if Revision::is_zero(text) {
        return Err("is all zero, which means \"no commit\"".into());
    }
    Ok(())
}

fn check_repository_id(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 512 || text.chars().any(char::is_control) {
        return Err("must be 1 to 512 characters without control characters".into());
    }
    Ok(())
}

fn check_repository_name(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 512 {
        return Err("must be 1 to 512 characters long".into());
    }
    if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err("must not contain white space or control characters".into());
    }
    if text.starts_with('-') {
        return Err("must not begin with '-'".into());
    }
    if text.split('/').any(|part| part == "..") {
        return Err("must not contain \"..\"".into());
    }
    Ok(())
}

fn check_tree_path(text: &str) -> Result<(), String> {
    if text == "." {
        return Ok(());
    }
    if text.is_empty() || text.len() > 512 {
        return Err("must be 1 to 512 bytes long; \".\" stands for the root".into());
    }
    if text.chars().any(|character| character.is_control() || character == '\\') {
        return Err("must not contain control characters or backslashes".into());
    }
    if text
        .split('/')
        .any(|part| matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git"))
    {
        return Err("must be relative, with parts that are neither empty nor \".\", \"..\" or \".git\"".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn threat_t30_a_path_never_leads_out_of_its_root() {
        for text in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a/.",
            "a\\b",
            "a\0",
            ".git",
            "a/.GIT/hooks",
        ] {
            assert!(text.parse::<TreePath>().is_err(), "{text:?} was accepted");
        }
        for text in [".", "a", "a/b.yaml", ".graftling.yaml", "-x", "ä/🎉", "a..b"] {
            assert_eq!(text.parse::<TreePath>().unwrap().as_str(), text);
        }
        assert_eq!(".".parse::<TreePath>().unwrap().parts().count(), 0);
        assert_eq!("a/b".parse::<TreePath>().unwrap().parts().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_branch_name_that_git_would_refuse_is_refused() {
        for text in [
            "", "-x", "@", "HEAD", "a b", "a..b", "a@{1}", "/a", "a/", "a//b", "a.lock", "x/.y", "a\u{7}", "a~1", "a^", "a:b", "a?", "a*",
            "a[", "a\\b", "a.",
        ] {
            assert!(text.parse::<BranchName>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn unusual_but_legal_branch_names_are_accepted() {
        for text in [
            "main",
            "feature/ä",
            "émile/🎉",
            "a-b_c.d",
            "x@y",
            "true",
            "012",
            "kube-system",
            "refs/heads/x",
        ] {
            assert_eq!(text.parse::<BranchName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn every_provider_is_read_back_from_its_name() {
        for provider in Provider::ALL {
            assert_eq!(provider.to_string().parse::<Provider>().unwrap(), provider);
        }
        let refused = "GitHub".parse::<Provider>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "provider \"GitHub\" must be \"github\", \"gitlab\", \"bitbucket\", \"gitea\" or \"git\""
        );
    }

    #[test]
    fn a_tag_is_no_branch() {
        assert!(BranchName::from_full_ref("refs/tags/v1").is_none());
        assert!(BranchName::from_full_ref("refs/heads/v1").unwrap().is_ok());
    }

    #[test]
    fn a_zero_revision_means_no_commit() {
        assert!(Revision::is_zero(&"0".repeat(40)));
        assert!("0".repeat(40).parse::<Revision>().is_err());
        assert!("A".repeat(40).parse::<Revision>().is_err());
        assert_eq!("ab".repeat(20).parse::<Revision>().unwrap().short(), "abababababab");
    }
}
