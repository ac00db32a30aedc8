//! Lists of GitHub, page by page to the last, and each page only if it changed.

use std::sync::Arc;

use http::StatusCode;
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::api::{Answer, Api, unusable};
use crate::domain::git::RepositoryName;
use crate::githost::Error;
use crate::githost::conditional::Remembered;

/// The most that GitHub gives.
const PAGE_SIZE: usize = 100;
/// A repository with more pull requests than this many pages is refused rather than cut.
const MAX_PAGES: usize = 200;

/// A page, and where the next one is.
pub(super) struct Page<T> {
    items: Vec<T>,
    next: Option<Url>,
}

/// A list at GitHub.
pub(super) struct List<'a, T> {
    /// What is being done, for errors.
    pub(super) operation: &'static str,
    /// The repository, for errors.
    pub(super) repository: &'a RepositoryName,
    /// How the list is cut.
    pub(super) paging: Paging,
    /// Its pages as they were.
    pub(super) remembered: &'a Remembered<Page<T>>,
}

/// How a list is cut into pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paging {
    /// A hundred items a page. A full page without a link is not trusted to be the last: the one after it is asked for by its number.
    Counted,
    /// All at once, unless a link says that there is more.
    Whole,
}

impl<T: Clone> List<'_, T> {
    /// The items of all pages that begin with `first`; what `read` makes nothing of is left out.
    ///
    /// # Errors
    /// Besides those of [`Api::get`], [`Error::Unusable`] when there are more than [`MAX_PAGES`] or when a link leads elsewhere.
    pub(super) async fn all<W: DeserializeOwned>(
        &self,
        api: &Api,
        mut first: Url,
        read: impl Fn(W) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        if self.paging == Paging::Counted {
            first.query_pairs_mut().append_pair("per_page", &PAGE_SIZE.to_string());
        }
        let mut items = Vec::new();
        let mut next = Some(first.clone());
        for number in 1..=MAX_PAGES {
            let Some(url) = &next else { return Ok(items) };
            let page = self.page(api, url, &first, number, &read).await?;
            items.extend(page.items.iter().cloned());
            next.clone_from(&page.next);
        }
        match next {
            None => Ok(items),
            Some(_) => Err(unusable(self.operation, format!("there are more than {MAX_PAGES} pages"))),
        }
    }

    async fn page<W: DeserializeOwned>(
        &self,
        api: &Api,
        url: &Url,
        first: &Url,
        number: usize,
        read: &impl Fn(W) -> Result<Option<T>, Error>,
    ) -> Result<Arc<Page<T>>, Error> {
        let decode = |answer: &Answer| {
            let page: Vec<W> = match answer.status {
                StatusCode::OK => answer.decode(self.operation)?,
                StatusCode::NOT_FOUND => {
                    return Err(Error::RepositoryNotFound {
                        operation: self.operation,
                        repository: self.repository.clone(),
                    });
                }
                _ => return Err(answer.unexpected(self.operation)),
            };
            let next = self.next(api, answer, first, number, page.len())?;
            let items = page.into_iter().filter_map(|item| read(item).transpose());
            Ok(Page {
                items: items.collect::<Result<_, _>>()?,
                next,
            })
        };
        api.get_if_changed(self.operation, url, self.remembered, decode).await
    }

    fn next(&self, api: &Api, answer: &Answer, first: &Url, number: usize, length: usize) -> Result<Option<Url>, Error> {
        match answer.next_link() {
            Some(link) => {
                let url = Url::parse(link).map_err(|_| unusable(self.operation, "the link to the next page is no URL"))?;
                if url.origin() != api.base().origin() {
                    return Err(unusable(self.operation, "the link to the next page leads to another host"));
                }
                Ok(Some(url))
            }
            None if self.paging == Paging::Counted && length >= PAGE_SIZE => {
                let mut url = first.clone();
                url.query_pairs_mut().append_pair("page", &(number + 1).to_string());
                Ok(Some(url))
            }
            None => Ok(None),
        }
    }
}
