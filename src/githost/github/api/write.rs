//! A request that writes.

use std::io;

use http::{Method, StatusCode, header};
use reqwest::Url;
use serde_json::Value;

use super::{Answer, Api, relative, unanswered, unreachable, unusable};
use crate::githost::Error;

/// What was written comes back, with what GitHub says about it.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

impl Api {
    /// Sends a body once, to where a renamed repository is now if need be, and reads the whole answer.
    ///
    /// # Errors
    /// As [`Api::get`]. After one it is not known whether anything was written.
    pub(in crate::githost::github) async fn send(
        &self,
        operation: &'static str,
        method: Method,
        url: Url,
        body: &Value,
    ) -> Result<Answer, Error> {
        self.bounded(operation, self.timeout, self.send_on(operation, &method, &url, body))
            .await
    }

    /// Sends a body once. What the answer says of the right to ask is left to the caller.
    ///
    /// # Errors
    /// No answer, a rate limit, a server error.
    pub(in crate::githost::github) async fn request(
        &self,
        operation: &'static str,
        method: Method,
        url: &Url,
        body: &Value,
    ) -> Result<Answer, Error> {
        let late = |_| unreachable(operation, io::Error::from(io::ErrorKind::TimedOut));
        let sent = self.send_on(operation, &method, url, body);
        let answer = tokio::time::timeout(self.timeout, sent).await.map_err(late)??;
        match answer.failure(operation) {
            Some(Error::Refused { .. }) | None => Ok(answer),
            Some(error) => Err(error),
        }
    }

    async fn send_on(&self, operation: &'static str, method: &Method, url: &Url, body: &Value) -> Result<Answer, Error> {
        let answer = self.send_to(operation, method, url, body).await?;
        match self.moved_to(operation, &answer)? {
            Some(elsewhere) => self.send_to(operation, method, &elsewhere, body).await,
            None => Ok(answer),
        }
    }

    async fn send_to(&self, operation: &'static str, method: &Method, url: &Url, body: &Value) -> Result<Answer, Error> {
        let request = http::Request::builder()
            .method(method)
            .uri(relative(url))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string())
            .map_err(|error| unreachable(operation, error))?;
        let response = self.client.execute(request).await.map_err(|error| unanswered(operation, error))?;
        Answer::read(operation, response, MAX_ANSWER_BYTES).await
    }

    /// GitHub has one redirect for what is written to a former name of a repository. The token stays with its host.
    fn moved_to(&self, operation: &'static str, answer: &Answer) -> Result<Option<Url>, Error> {
        let is_moved = matches!(answer.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if !is_moved {
            return Ok(None);
        }
        let location = answer.header(header::LOCATION.as_str()).and_then(|text| self.base.join(text).ok());
        match location.filter(|url| url.origin() == self.base.origin()) {
            Some(url) => Ok(Some(url)),
            None => Err(unusable(operation, "it redirects to another host")),
        }
    }
}

impl Answer {
    /// The scopes of a classic token; `None` for any other credentials.
    pub(in crate::githost::github) fn scopes(&self) -> Option<Vec<String>> {
        let scopes = self.header("x-oauth-scopes")?;
        Some(scopes.split(',').map(|scope| scope.trim().to_owned()).collect())
    }
}
