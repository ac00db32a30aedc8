//! Addresses of hosts with a REST interface, and the names of their repositories.

use reqwest::Url;

use super::Error;
use crate::domain::git::RepositoryName;

/// The URL in the GitHost's field.
///
/// # Errors
/// [`Error::Misconfigured`] for anything but an http(s) URL of a place, without credentials.
pub(super) fn parse_url(field: &str, text: &str) -> Result<Url, Error> {
    let problem = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "must begin with https:// or http://".to_owned(),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => "must not contain credentials: use the Secret".to_owned(),
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "must not have a query or a fragment".to_owned(),
        Ok(url) => return Ok(url),
        Err(error) => format!("is no URL: {error}"),
    };
    Err(Error::Misconfigured {
        problem: format!("the GitHost's {field} {problem}"),
    })
}

/// The parts of `owner/name`: letters, digits, `-`, `_` and `.`, so that neither can leave its place in a path.
pub(super) fn owner_and_name<'a>(name: &'a RepositoryName, host: &str) -> Result<(&'a str, &'a str), Error> {
    let is_valid = |part: &str| {
        let characters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        characters && !matches!(part, "" | "." | "..")
    };
    match name.as_str().split_once('/') {
        Some((owner, repository)) if is_valid(owner) && is_valid(repository) => Ok((owner, repository)),
        _ => Err(Error::Misconfigured {
            problem: format!("the Project's repository {name} must have the form OWNER/NAME on {host}"),
        }),
    }
}
