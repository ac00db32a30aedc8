//! Events about our objects, written so that what is said again within a few minutes counts up one Event instead of making another.
//!
//! kube's recorder does the same, but keeps each Event as a whole, which is more than an environment's objects take.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::Announcement;

/// Who we are in Events.
const CONTROLLER: &str = "graftling";

/// The longest note that an Event takes, in characters that may have more than one byte each.
const LONGEST_NOTE: usize = 1000;

/// So long after the last time something is said again rather than anew.
const HOLDS: SignedDuration = SignedDuration::from_mins(6);

/// Writes Events. Cheap to clone.
#[derive(Clone)]
pub(super) struct Events {
    client: Client,
    instance: String,
    said: Arc<Mutex<HashMap<Said, Series>>>,
}

/// What was said of an object. That the words differ makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Said {
    of: Box<str>,
    reason: &'static str,
    warning: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Series {
    first: Timestamp,
    last: Timestamp,
    count: i32,
}

impl Events {
    /// Writes as `client`; `instance` names this process.
    pub(super) fn new(client: Client, instance: String) -> Self {
        Self {
            client,
            instance,
            said: Arc::default(),
        }
    }

    /// Says something about an object.
    ///
    /// # Errors
    /// The Event could not be written; the next time it counts as if this time had not been.
    pub(super) async fn say(&self, about: &ObjectReference, announcement: &Announcement) -> Result<(), kube::Error> {
        let said = Said::of(about, announcement);
        let series = self.next(&said, Timestamp::now());
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let name = name(about, series.first);
        if series.count == 1 {
            let event = self.event(name, about, announcement, series.first);
            api.create(&PostParams::default(), &event).await?;
        } else {
            let body = json!({ "series": { "count": series.count, "lastObservedTime": MicroTime(series.last) } });
            api.patch(&name, &PatchParams::default(), &Patch::Merge(&body)).await?;
        }
        self.lock().insert(said, series);
        Ok(())
    }

    /// The series with this time in it. Those that are over are forgotten.
    fn next(&self, said: &Said, now: Timestamp) -> Series {
        let mut all = self.lock();
        all.retain(|_, series| now.duration_since(series.last) < HOLDS);
        match all.get(said) {
            Some(series) => Series {
                last: now,
                count: series.count.saturating_add(1),
                ..*series
            },
            None => Series {
                first: now,
                last: now,
                count: 1,
            },
        }
    }

    fn event(&self, name: String, about: &ObjectReference, announcement: &Announcement, now: Timestamp) -> Event {
        let kind = if announcement.warning { "Warning" } else { "Normal" };
        Event {
            type_: Some(kind.to_owned()),
            reason: Some(announcement.reason.to_owned()),
            note: Some(announcement.note.chars().take(LONGEST_NOTE).collect()),
            action: Some("Reconcile".to_owned()),
            event_time: Some(MicroTime(now)),
            regarding: Some(about.clone()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            metadata: ObjectMeta {
                namespace: about.namespace.clone(),
                name: Some(name),
                ..ObjectMeta::default()
            },
            ..Event::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Said, Series>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    fn of(about: &ObjectReference, announcement: &Announcement) -> Self {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let place = || [text(&about.kind), text(&about.namespace), text(&about.name)].join("/");
        Self {
            of: about.uid.clone().unwrap_or_else(place).into(),
            reason: announcement.reason,
            warning: announcement.warning,
        }
    }
}

/// The name of the Event that began at that time: another one for each nanosecond.
fn name(about: &ObjectReference, first: Timestamp) -> String {
    let of = about.name.as_deref().unwrap_or(CONTROLLER);
    format!("{of}.{:x}", first.as_nanosecond())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a time that cannot be computed is the test's failure")]

    use super::*;

    fn events() -> Events {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("no server"))
        });
        Events::new(Client::new(service, "default"), "test".to_owned())
    }

    fn said(uid: &str, reason: &'static str) -> Said {
        let about = ObjectReference {
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        let announcement = Announcement {
            reason,
            warning: false,
            note: "words".to_owned(),
        };
        Said::of(&about, &announcement)
    }

    #[tokio::test]
    async fn what_is_said_again_within_six_minutes_counts_up_and_later_begins_anew() {
        let (events, begin) = (events(), Timestamp::now());
        let minutes = |minutes| begin + SignedDuration::from_mins(minutes);
        let say = |uid, reason, time| {
            let said = said(uid, reason);
            let series = events.next(&said, time);
            events.lock().insert(said, series);
            (series.count, series.first)
        };
        assert_eq!(say("a", "Deployed", minutes(0)), (1, begin));
        assert_eq!(say("a", "Deployed", minutes(5)), (2, begin));
        assert_eq!(say("a", "Failed", minutes(5)), (1, minutes(5)), "another reason");
        assert_eq!(say("b", "Deployed", minutes(5)), (1, minutes(5)), "another object");
        assert_eq!(say("a", "Deployed", minutes(10)), (3, begin), "six minutes from the last time");
        assert_eq!(say("a", "Deployed", minutes(16)), (1, minutes(16)));
        assert_eq!(events.lock().len(), 1, "what is over is forgotten");
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_said_anew() {
        let events = events();
        let announcement = Announcement {
            reason: "Deployed",
            warning: true,
            note: String::new(),
        };
        assert!(events.say(&ObjectReference::default(), &announcement).await.is_err());
        assert!(events.lock().is_empty());
    }
}
