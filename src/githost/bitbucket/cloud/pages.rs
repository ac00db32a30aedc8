//! The Cloud's lists of many pages, and what shows that all of them were read.

use std::collections::BTreeSet;

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Cloud, unusable};
use crate::domain::git::RepositoryName;
use crate::githost::Error;
use crate::githost::bitbucket::{CHANGED, MAX_PAGES};

/// One page of a list.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) values: Vec<T>,
    next: Option<String>,
    /// How many items all pages have. The Cloud does not always count.
    pub(super) size: Option<usize>,
}

impl<T> Page<T> {
    /// Where the next page is: never elsewhere, because the token is sent there.
    pub(super) fn next(&self, operation: &'static str, current: &Url) -> Result<Option<Url>, Error> {
        let Some(next) = &self.next else { return Ok(None) };
        match Url::parse(next) {
            Ok(url) if url.origin() == current.origin() && url != *current => Ok(Some(url)),
            _ => Err(unusable(operation, "its next page is at another address, or the same again")),
        }
    }
}

/// All items of one pass over a list.
struct Pass<T> {
    items: Vec<T>,
    /// Whether nothing can have moved between the pages without being noticed.
    is_proved: bool,
}

impl Cloud {
    /// One page of a list.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        url: &Url,
        repository: &RepositoryName,
    ) -> Result<Page<T>, Error> {
        let answer = self.api.get(operation, url.clone()).await?;
        answer.decode_of(operation, repository)
    }

    /// The items of all pages of a list. `key` tells them apart.
    ///
    /// A list that is counted is whole when as many different items came, and one of a single page as it is. Any other is read twice and
    /// must be the same: whatever was passed over because another item went before it is not.
    ///
    /// # Errors
    /// [`Error::Unusable`] when a page is missing, when the list changed while it was read, or when it has more than [`MAX_PAGES`].
    pub(super) async fn all_pages<T: DeserializeOwned, K: Ord>(
        &self,
        operation: &'static str,
        mut first: Url,
        size: usize,
        repository: &RepositoryName,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, Error> {
        first.query_pairs_mut().append_pair("pagelen", &size.to_string());
        let pass = self.pass::<T>(operation, &first, repository).await?;
        let keys: BTreeSet<K> = pass.items.iter().map(&key).collect();
        if keys.len() != pass.items.len() {
            return Err(unusable(operation, CHANGED));
        }
        if !pass.is_proved {
            let again = self.pass::<T>(operation, &first, repository).await?;
            if again.items.iter().map(&key).collect::<BTreeSet<K>>() != keys {
                return Err(unusable(operation, CHANGED));
            }
        }
        Ok(pass.items)
    }

    async fn pass<T: DeserializeOwned>(&self, operation: &'static str, first: &Url, repository: &RepositoryName) -> Result<Pass<T>, Error> {
        let (mut items, mut url, mut told) = (Vec::new(), first.clone(), None);
        for number in 0..MAX_PAGES {
            let page = self.page::<T>(operation, &url, repository).await?;
            if let Some(size) = page.size
                && *told.get_or_insert(size) != size
            {
                return Err(unusable(operation, CHANGED));
            }
            let next = page.next(operation, &url)?;
            if next.is_some() && page.values.is_empty() {
                return Err(unusable(operation, "a page is empty, and another follows"));
            }
            items.extend(page.values);
            match (next, told) {
                (Some(next), _) => url = next,
                (None, Some(told)) if told != items.len() => {
                    return Err(unusable(operation, format!("it lists {} of {told}", items.len())));
                }
                (None, told) => {
                    let is_proved = told.is_some() || number == 0;
                    return Ok(Pass { items, is_proved });
                }
            }
        }
        Err(unusable(operation, format!("there are more than {MAX_PAGES} pages")))
    }
}
