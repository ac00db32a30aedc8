//! A Data Center's lists of many pages, and what shows that all of them were read.

use std::collections::BTreeSet;

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Server, unusable};
use crate::domain::git::RepositoryName;
use crate::githost::Error;
use crate::githost::bitbucket::{CHANGED, MAX_PAGES};

/// What is asked for; a Data Center may give less.
const PAGE_SIZE: usize = 100;

/// One page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<T> {
    pub(super) values: Vec<T>,
    is_last_page: bool,
    #[serde(default)]
    start: u64,
    next_page_start: Option<u64>,
}

impl<T> Page<T> {
    /// Where the next page starts; an error where there is one, and it is not told where or not after this one.
    pub(super) fn next_start(&self) -> Option<Result<u64, ()>> {
        if self.is_last_page {
            return None;
        }
        Some(self.next_page_start.filter(|next| *next > self.start).ok_or(()))
    }
}

/// The page of `url` that starts at an item.
pub(super) fn from(url: &Url, start: u64) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("start", &start.to_string());
    url
}

impl Server {
    /// One page of a list.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        url: Url,
        repository: &RepositoryName,
    ) -> Result<Page<T>, Error> {
        let answer = self.api.get(operation, url).await?;
        answer.decode_of(operation, repository)
    }

    /// The items of all pages of a list. `key` tells them apart.
    ///
    /// A Data Center does not count. A list of more than one page is read twice and must be the same: whatever was passed over because
    /// another item went before it is not.
    ///
    /// # Errors
    /// [`Error::Unusable`] when a page is missing, when the list changed while it was read, or when it has more than [`MAX_PAGES`].
    pub(super) async fn all_pages<T: DeserializeOwned, K: Ord>(
        &self,
        operation: &'static str,
        mut first: Url,
        repository: &RepositoryName,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, Error> {
        first.query_pairs_mut().append_pair("limit", &PAGE_SIZE.to_string());
        let (items, pages) = self.pass::<T>(operation, &first, repository).await?;
        let keys: BTreeSet<K> = items.iter().map(&key).collect();
        if keys.len() != items.len() {
            return Err(unusable(operation, CHANGED));
        }
        if pages > 1 {
            let (again, _) = self.pass::<T>(operation, &first, repository).await?;
            if again.iter().map(&key).collect::<BTreeSet<K>>() != keys {
                return Err(unusable(operation, CHANGED));
            }
        }
        Ok(items)
    }

    async fn pass<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        first: &Url,
        repository: &RepositoryName,
    ) -> Result<(Vec<T>, usize), Error> {
        let (mut items, mut url) = (Vec::new(), first.clone());
        for number in 1..=MAX_PAGES {
            let page = self.page::<T>(operation, url, repository).await?;
            let next = page.next_start();
            items.extend(page.values);
            match next {
                None => return Ok((items, number)),
                Some(Ok(start)) => url = from(first, start),
                Some(Err(())) => {
                    return Err(unusable(
                        operation,
                        "a page that is not the last does not say where the next one starts",
                    ));
                }
            }
        }
        Err(unusable(operation, format!("there are more than {MAX_PAGES} pages")))
    }
}
