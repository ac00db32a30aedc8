//! Comments that wait to be read: bounded, and one place for each however often it is announced.
//!
//! A comment that is lost, with a crash for example, is written again by whoever wonders why nothing came of it: no sweep looks for it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::{Inbox, Offer};
use crate::domain::event::CommentHint;
use crate::domain::name::GitHostKey;

/// So many comments wait at one time. People write them one by one.
const CAPACITY: usize = 256;

/// A comment to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PendingComment {
    /// The GitHost whose endpoint received the hint.
    pub host: GitHostKey,
    /// Where the comment is.
    pub hint: CommentHint,
}

#[derive(Debug, Default)]
pub(super) struct Comments {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeSet<PendingComment>,
    closed: bool,
}

impl Inbox {
    /// Leaves a comment to read, without ever waiting.
    pub fn offer_comment(&self, comment: PendingComment) -> Offer {
        let offer = self.0.comments.offer(comment);
        self.0.metrics.hint(offer.into());
        offer
    }

    /// Waits until a comment is there, then takes all of them. After [`Inbox::close`] it gives what is left, then nothing, at once.
    pub async fn take_comments(&self) -> Vec<PendingComment> {
        let comments = &self.0.comments;
        loop {
            if let Some(batch) = comments.take_now() {
                return batch;
            }
            comments.filled.notified().await;
        }
    }
}

impl Comments {
    fn offer(&self, comment: PendingComment) -> Offer {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Offer::Closed;
        }
        if state.waiting.contains(&comment) {
            return Offer::Coalesced;
        }
        if state.waiting.len() >= CAPACITY {
            return Offer::Full;
        }
        state.waiting.insert(comment);
        self.filled.notify_one();
        Offer::Queued
    }

    fn take_now(&self) -> Option<Vec<PendingComment>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.waiting.is_empty() && !state.closed {
            return None;
        }
        if state.closed {
            // Passed on from taker to taker, so that none of them waits for ever.
            self.filled.notify_one();
        }
        Some(std::mem::take(&mut state.waiting).into_iter().collect())
    }

    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.filled.notify_one();
        self.filled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;
    use crate::domain::event::RepositoryHint;
    use crate::metrics::Metrics;

    fn comment(id: u64) -> PendingComment {
        PendingComment {
            host: GitHostKey {
                namespace: "team".parse().unwrap(),
                name: "github".parse().unwrap(),
            },
            hint: CommentHint {
                repository: RepositoryHint {
                    id: None,
                    name: "acme/shop".parse().unwrap(),
                },
                pull_request: 12,
                comment: id,
            },
        }
    }

    #[tokio::test]
    async fn a_comment_waits_once_however_often_it_is_announced_and_the_places_are_counted() {
        let inbox = Inbox::new(std::num::NonZeroUsize::MIN, Metrics::new());
        assert_eq!(inbox.offer_comment(comment(0)), Offer::Queued);
        assert_eq!(inbox.offer_comment(comment(0)), Offer::Coalesced);
        for id in 1..CAPACITY as u64 {
            assert_eq!(inbox.offer_comment(comment(id)), Offer::Queued);
        }
        assert_eq!(inbox.offer_comment(comment(u64::MAX)), Offer::Full);
        assert_eq!(inbox.take_comments().await.len(), CAPACITY);
        assert_eq!(inbox.offer_comment(comment(u64::MAX)), Offer::Queued);
        inbox.close();
        assert_eq!(inbox.offer_comment(comment(1)), Offer::Closed);
        assert_eq!(inbox.take_comments().await.len(), 1);
        assert_eq!(inbox.take_comments().await, []);
    }
}
