//! Bitbucket: the Cloud and the Data Center, which share little more than their name, the signatures of their webhooks and this module.

mod api;
mod cloud;
pub(super) mod payload;
mod server;
mod setup;
mod text;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use self::api::Api;
use self::cloud::Cloud;
use self::server::Server;
use super::address::parse_url;
use super::rest::below;
use super::{Error, GitHost};
use crate::domain::git::RepositoryName;

const CLOUD: &str = "bitbucket.org";
const CLOUD_API: &str = "https://api.bitbucket.org/2.0";
/// What the address of the Cloud's interface ends in.
const CLOUD_VERSION: &str = "/2.0";

const FIND_REPOSITORY: &str = "find the repository";
const LIST_BRANCHES: &str = "list the branches";
const LIST_PULL_REQUESTS: &str = "list the open pull requests";
const FIND_BRANCH: &str = "find the branch";
const COMPARE: &str = "compare the pull request with its target";
const READ_STATUS: &str = "read the status of the commit";
const WRITE_STATUS: &str = "set the status of the commit";
const READ_COMMENT: &str = "read the comment";
const READ_PERMISSION: &str = "ask what the author of the comment may do";
const FIND_ACCOUNT: &str = "ask whose token it is";
const FIND_COMMENT: &str = "look for the comment";
const WRITE_COMMENT: &str = "write the comment";
const EDIT_COMMENT: &str = "change the comment";

/// What is said of a list that cannot be trusted.
const CHANGED: &str = "the list changed while its pages were read";
/// A list with more pages than this is refused rather than cut.
const MAX_PAGES: usize = 400;
/// How long an archive may take to come.
const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// How to reach a Bitbucket.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people open in a browser: `https://bitbucket.org` is the Cloud, anything else a Data Center.
    pub url: String,
    /// Where the REST interface is, if it does not follow from `url`. One that ends in `/2.0` is the Cloud's.
    pub api_url: Option<String>,
    /// The account that an API token of the Cloud belongs to. Access tokens need none.
    pub username: Option<String>,
    /// An access token. Without one, only public repositories can be read.
    pub token: Option<SecretString>,
    /// How long one request may take, its body included.
    pub request_timeout: Duration,
}

impl Settings {
    /// Anonymous access to the Bitbucket at `url`, ten seconds a request.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_url: None,
            username: None,
            token: None,
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// Prepares the connection to one Bitbucket; nothing is sent yet. Requests are never repeated: whether and when to try again is decided by
/// [`Error::class`].
///
/// # Errors
/// [`Error::Misconfigured`] for a URL that is not http or https and for a token that no header can carry.
pub fn connect(settings: &Settings) -> Result<Arc<dyn GitHost>, Error> {
    let web = parse_url("url", &settings.url)?;
    let api_url = settings.api_url.as_deref().map(|url| url.trim_end_matches('/'));
    let is_cloud = web.host_str() == Some(CLOUD) || api_url.is_some_and(|url| url.ends_with(CLOUD_VERSION));
    let base = match api_url {
        Some(url) => parse_url("apiUrl", url)?,
        None if is_cloud => parse_url("apiUrl", CLOUD_API)?,
        None => below(&web, &["rest", "api", "1.0"]),
    };
    let username = settings.username.as_deref().filter(|_| is_cloud);
    let api = Api::connect(base, username, settings.token.as_ref(), settings.request_timeout)?;
    Ok(match is_cloud {
        true => Arc::new(Cloud::new(api, web)),
        false => Arc::new(Server::new(api, web)),
    })
}

/// The two parts of a name: letters, digits, `-`, `_`, `.` and `~`, so that neither can leave its place in a path.
fn parts<'a>(name: &'a RepositoryName, form: &str) -> Result<(&'a str, &'a str), Error> {
    let is_valid = |part: &str| {
        let characters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        characters && !matches!(part, "" | "." | "..")
    };
    match name.as_str().split_once('/') {
        Some((first, second)) if is_valid(first) && is_valid(second) => Ok((first, second)),
        _ => Err(Error::Misconfigured {
            problem: format!("the Project's repository {name} must have the form {form}"),
        }),
    }
}

/// What is said where check runs are asked for.
fn without_check_runs() -> Error {
    Error::Misconfigured {
        problem: "Bitbucket has no check runs: wait for a commit status instead, which is a build status by its key".to_owned(),
    }
}

#[cfg(test)]
mod tests;
