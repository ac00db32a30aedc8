//! An environment whose objects are all ready, and whose URL has to answer before it counts as ready itself.

use std::time::Duration;

use super::{Phase, Report, shorten};
use crate::domain::why::Class;

/// What is known of an environment's URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlState {
    /// It answered as it should, since something was changed last.
    Good,
    /// It was asked, and the answer is not there yet.
    Asked,
    /// It does not answer as it should.
    Bad(String),
    /// It is asked once more, and this was told of it before.
    Told(String),
}

/// The answer wakes the environment; this is for the case that it gets lost.
const LOST: Duration = Duration::from_secs(60);

/// Whether the URL has to be asked before `report` may say that the environment is ready. What was ready and did not change is not asked
/// again: this is no monitoring.
pub fn must_ask(report: &Report, was_ready_at_this_revision: bool) -> bool {
    report.phase == Phase::Ready && (report.changed > 0 || !was_ready_at_this_revision)
}

/// Concludes from what is known of `url`, once everything else is ready. `again`: when it is asked next.
pub fn summarise_url(report: Report, url: &str, state: &UrlState, again: Option<Duration>) -> Report {
    let (reason, message) = match state {
        UrlState::Good => return report,
        UrlState::Asked => ("AwaitingUrl", format!("everything runs; waiting for {url} to answer")),
        UrlState::Told(message) => (Class::UrlNotAnswering.name(), message.clone()),
        UrlState::Bad(told) => (
            Class::UrlNotAnswering.name(),
            format!(
                "everything runs, but {url} does not answer as it should: {told}; check the Ingress and what stands before it, or correct \
                 spec.probe of the Project; it is asked again by itself"
            ),
        ),
    };
    Report {
        phase: Phase::Deploying,
        reason,
        message: shorten(&message),
        again: Some(again.unwrap_or(LOST).min(LOST)),
        ..report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::Inventory;

    fn ready(changed: usize) -> Report {
        Report {
            phase: Phase::Ready,
            reason: "Ready",
            message: "everything is applied and ready".into(),
            stages: Vec::new(),
            run: None,
            inventory: Inventory::default(),
            applied: true,
            changed,
            again: None,
        }
    }

    #[test]
    fn feature_s6_an_environment_is_ready_once_its_url_answers_too() {
        let url = "https://shop-a.example.com/healthz";
        assert_eq!(summarise_url(ready(1), url, &UrlState::Good, None), ready(1));
        let asked = summarise_url(ready(1), url, &UrlState::Asked, None);
        assert_eq!(
            (asked.phase, asked.reason, asked.again),
            (Phase::Deploying, "AwaitingUrl", Some(LOST))
        );
        let told = "the connection was refused".to_owned();
        let bad = summarise_url(ready(1), url, &UrlState::Bad(told), Some(Duration::from_secs(5)));
        assert_eq!((bad.phase, bad.reason, bad.applied), (Phase::Deploying, "UrlNotAnswering", true));
        assert_eq!(bad.again, Some(Duration::from_secs(5)));
        for word in [url, "the connection was refused", "spec.probe"] {
            assert!(bad.message.contains(word), "{}", bad.message);
        }
    }

    #[test]
    fn feature_s6_what_is_ready_and_did_not_change_is_not_asked_again() {
        assert!(must_ask(&ready(0), false) && must_ask(&ready(1), true));
        assert!(!must_ask(&ready(0), true));
        let waiting = Report {
            phase: Phase::Deploying,
            ..ready(1)
        };
        assert!(!must_ask(&waiting, false), "what is not ready need not be asked");
    }
}
