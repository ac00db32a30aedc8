//! What answers of GitHub have beside those of other hosts: validators, what is left of the rate limit, and faults of its pages.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{Budget, Fault};
use crate::exchange::Ending;
pub(super) use crate::exchange::{Request, Response, escape, serve};

pub(super) fn document(status: u16, value: &Value) -> Response {
    Response::new(status, "application/json; charset=utf-8", value.to_string().into_bytes())
}

pub(super) fn message(status: u16, message: &str) -> Response {
    document(
        status,
        &json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }),
    )
}

pub(super) fn hang() -> Response {
    Response {
        ending: Ending::Hang,
        ..Response::html(200)
    }
}

impl Response {
    /// Says what is left of the token's requests.
    pub(super) fn with_budget(self, budget: Option<Budget>) -> Self {
        let Some(budget) = budget else { return self };
        let end = jiff::Timestamp::now().as_second() + i64::try_from(budget.ends_in).unwrap_or_default();
        self.with_header("X-RateLimit-Limit", budget.limit.to_string())
            .with_header("X-RateLimit-Remaining", budget.remaining.to_string())
            .with_header("X-RateLimit-Reset", end.to_string())
    }

    /// Names the body by an ETag, and leaves it out where the asker has it.
    pub(super) fn if_changed(mut self, request: &Request) -> Self {
        if self.status != 200 || self.ending != Ending::Whole {
            return self;
        }
        let link = self.headers.iter().find(|(name, _)| *name == "Link").map_or("", |(_, value)| value);
        let digest = digest(&SHA256, &[link.as_bytes(), &self.body].concat());
        let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let etag = format!("W/\"{digits}\"");
        if request.if_none_match.as_ref() == Some(&etag) {
            self.status = 304;
            self.body = Vec::new();
        }
        self.with_header("ETag", etag)
    }

    /// Whether it says that nothing has changed.
    pub(super) fn is_unchanged(&self) -> bool {
        self.status == 304
    }

    pub(super) fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Applies the faults that change a right answer.
    pub(super) fn with_fault(mut self, fault: Option<Fault>, request: &Request) -> Self {
        match fault {
            Some(Fault::CutPage(page)) if request.number("page", 1) == page => self.ending = Ending::Cut,
            Some(Fault::ForeignLink) => {
                for (_, value) in self.headers.iter_mut().filter(|(name, _)| *name == "Link") {
                    *value = "<http://127.0.0.2:9/api/v3/repositories/1/branches?page=2>; rel=\"next\"".to_owned();
                }
            }
            _ => {}
        }
        self
    }
}
