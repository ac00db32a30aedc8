//! Lists of many pages, and what shows that all of them were read.

use std::collections::BTreeSet;

use http::header::LINK;
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::api::{Answer, Api, unusable};
use crate::domain::git::RepositoryName;
use crate::githost::Error;

/// The most that GitLab gives.
const PAGE_SIZE: usize = 100;
/// A list with more pages than this is refused rather than cut.
const MAX_PAGES: usize = 400;
const CHANGED: &str = "the list changed while its pages were read";

/// One page of a list.
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<Next>,
    /// How many items all pages have. GitLab does not count beyond ten thousand, nor where a cursor leads from page to page.
    total: Option<usize>,
    /// Whether the answer says itself that no page follows.
    says_last: bool,
}

/// Where the next page is.
pub(super) struct Next {
    pub(super) url: Url,
    /// Whether it is after an item, and not after a number of items.
    by_cursor: bool,
}

/// All items of one pass over a list.
struct Pass<T> {
    items: Vec<T>,
    /// Whether nothing can have moved between the pages without being noticed.
    is_proved: bool,
}

impl Api {
    /// One page of a list.
    pub(super) async fn page<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        url: &Url,
        repository: &RepositoryName,
    ) -> Result<Page<T>, Error> {
        let answer = self.get(operation, url.clone()).await?;
        Ok(Page {
            items: answer.decode_of(operation, repository)?,
            next: next(&answer, url),
            total: answer.header("x-total").and_then(|text| text.parse().ok()),
            says_last: answer.header("x-next-page") == Some(""),
        })
    }

    /// The items of all pages of a list. `key` tells them apart.
    ///
    /// A list that is counted is whole when as many different items came; one that a cursor leads through when it ends. One that is
    /// neither is read twice and must be the same: whatever was passed over because another item went before it is not.
    ///
    /// # Errors
    /// Besides those of [`Rest::get`](crate::githost::rest::Rest::get), [`Error::Unusable`] when a page is missing, when the list changed while it was read, or when it has
    /// more than [`MAX_PAGES`].
    pub(super) async fn all_pages<T: DeserializeOwned, K: Ord>(
        &self,
        operation: &'static str,
        mut first: Url,
        repository: &RepositoryName,
        key: impl Fn(&T) -> K,
    ) -> Result<Vec<T>, Error> {
        first.query_pairs_mut().append_pair("per_page", &PAGE_SIZE.to_string());
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
        let (mut items, mut url, mut told, mut by_number) = (Vec::new(), first.clone(), None, false);
        for _ in 0..MAX_PAGES {
            let page = self.page::<T>(operation, &url, repository).await?;
            if let Some(total) = page.total
                && *told.get_or_insert(total) != total
            {
                return Err(unusable(operation, CHANGED));
            }
            let count = page.items.len();
            items.extend(page.items);
            match page.next {
                Some(_) if count == 0 => return Err(unusable(operation, "a page is empty, and another follows")),
                Some(next) => {
                    by_number |= !next.by_cursor;
                    url = next.url;
                }
                None if count >= PAGE_SIZE && told.is_none() && !page.says_last => {
                    let problem = "a full page does not say whether another follows: does something in between drop headers?";
                    return Err(unusable(operation, problem));
                }
                None => return finished(operation, items, told, by_number),
            }
        }
        Err(unusable(operation, format!("there are more than {MAX_PAGES} pages")))
    }
}

fn finished<T>(operation: &'static str, items: Vec<T>, told: Option<usize>, by_number: bool) -> Result<Pass<T>, Error> {
    match told {
        Some(total) if total != items.len() => Err(unusable(operation, format!("it lists {} of {total}", items.len()))),
        _ => Ok(Pass {
            is_proved: told.is_some() || !by_number,
            items,
        }),
    }
}

/// Of a link to the next page only the query counts: a GitLab behind a proxy may name itself otherwise, and the token goes nowhere else.
fn next(answer: &Answer, current: &Url) -> Option<Next> {
    if let Some(link) = answer.header(LINK.as_str()).and_then(link_to_next) {
        let by_cursor = link.query_pairs().any(|(name, _)| matches!(&*name, "page_token" | "cursor"));
        let mut url = current.clone();
        url.set_query(link.query());
        return Some(Next { url, by_cursor });
    }
    let number = answer.header("x-next-page").filter(|text| !text.is_empty())?;
    let others: Vec<_> = current.query_pairs().into_owned().filter(|(name, _)| name != "page").collect();
    let mut url = current.clone();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("page", number);
    Some(Next { url, by_cursor: false })
}

fn link_to_next(header: &str) -> Option<Url> {
    header.split(',').find_map(|part| {
        let (address, relation) = part.trim().strip_prefix('<')?.split_once('>')?;
        relation.contains("rel=\"next\"").then(|| Url::parse(address).ok())?
    })
}
