//! Gitea's REST interface: its ways, and its lists of many pages.

use std::ops::Deref;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::git::RepositoryName;
use crate::githost::Error;
use crate::githost::rest::{Manners, Rest, authorization};

pub(super) use crate::githost::rest::{Answer, unusable};

/// What Gitea and Forgejo give at most, unless their administrator chose another number: `api.MAX_RESPONSE_ITEMS`.
const PAGE_SIZE: usize = 50;
/// A repository with more branches or pull requests than this many pages is refused rather than cut.
const MAX_PAGES: usize = 400;
const TOTAL: &str = "x-total-count";
/// Neither Gitea nor Forgejo limits its interface: proxies in front of them do.
const MANNERS: Manners = Manners {
    own_error: |answer, operation| answer.decode::<Problem>(operation).map(drop),
    patience: Answer::retry_after,
    writes_follow: true,
};

/// The REST interface of one Gitea.
#[derive(Clone)]
pub(super) struct Api(Rest);

/// The body of Gitea's own error answers. That it is there tells them from those of a proxy.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "message")]
    _message: String,
}

impl Deref for Api {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.0
    }
}

impl Api {
    pub(super) fn connect(base: Url, token: Option<&SecretString>, timeout: Duration) -> Result<Self, Error> {
        let header = token
            .map(|token| authorization(token, |token| format!("token {token}")))
            .transpose()?;
        Rest::connect(base, header, timeout, MANNERS).map(Self)
    }

    /// One page of a list, counted from 1, and how many items all pages have.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        mut url: Url,
        number: usize,
        repository: &RepositoryName,
    ) -> Result<(Vec<T>, usize), Error> {
        url.query_pairs_mut()
            .append_pair("limit", &PAGE_SIZE.to_string())
            .append_pair("page", &number.to_string());
        let answer = self.get(operation, url).await?;
        Ok((answer.decode_of(operation, repository)?, total(&answer, operation)?))
    }

    /// The items of all pages of a list. `key` tells them apart.
    ///
    /// Pages are counted and not cursors, and their length is the administrator's choice: the whole is there only when as many different
    /// items came as every page says that there are.
    ///
    /// # Errors
    /// Besides those of [`Rest::get`], [`Error::Unusable`] when a page is empty too early, when the list changed while it was read, or
    /// when it has more than [`MAX_PAGES`].
    pub(super) async fn all_pages<T: DeserializeOwned, K: Ord>(
        &self,
        operation: &'static str,
        first: Url,
        repository: &RepositoryName,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, Error> {
        let mut items: Vec<T> = Vec::new();
        let mut told = None;
        for number in 1..=MAX_PAGES {
            let (page, total) = self.page::<T>(operation, first.clone(), number, repository).await?;
            if *told.get_or_insert(total) != total {
                return Err(unusable(operation, "the list changed while its pages were read"));
            }
            let is_empty = page.is_empty();
            items.extend(page);
            if items.len() >= total {
                return all_different(operation, items, total, key);
            }
            if is_empty {
                return Err(unusable(operation, format!("it lists {} of {total}", items.len())));
            }
        }
        Err(unusable(operation, format!("there are more than {MAX_PAGES} pages")))
    }
}

/// A branch that is pushed to moves to the first page, and another moves in its place: that one would be there twice.
fn all_different<T, K: Ord>(operation: &'static str, items: Vec<T>, total: usize, key: impl Fn(&T) -> K) -> Result<Vec<T>, Error> {
    let keys: std::collections::BTreeSet<K> = items.iter().map(key).collect();
    match keys.len() == total && items.len() == total {
        true => Ok(items),
        false => Err(unusable(operation, "the list changed while its pages were read")),
    }
}

/// How many items all pages of the list have.
fn total(answer: &Answer, operation: &'static str) -> Result<usize, Error> {
    let total = answer.header(TOTAL).and_then(|text| text.parse().ok());
    total.ok_or_else(|| {
        unusable(
            operation,
            "it does not say how many there are: does something in between drop headers?",
        )
    })
}
