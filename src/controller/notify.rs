//! Telling those outside whom a Project names: each receiver by a loop of its own, so that one that hangs delays no other.
//!
//! What was told is kept on the Environment as the place of the last event, then on its receipt. An event is told before its place is
//! kept, so that it is told at least once; it bears the same identifier each time.

mod door;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;

use self::door::Doors;
use super::errands::{Courier, Letter, Undelivered};
use super::outbox::{Audience, Failure, Mark, News, Removed};
use super::stores::Stores;
use crate::api::convert::notification::{in_slot, receiver, told, told_removed};
use crate::api::{Environment, Project, keys};
use crate::domain::notification::{Receiver, Told, body};
use crate::domain::policy::Outbound;
use crate::githost::Class;

/// The receivers with one number, over all Projects.
pub struct Notifier {
    slot: u32,
    stores: Stores,
    courier: Courier,
    doors: Doors,
}

/// A receiver, ready to be told.
struct Addressee {
    way: String,
    namespace: String,
    receiver: Receiver,
    outbound: Outbound,
    since: Timestamp,
}

impl Notifier {
    /// One for each number that a receiver can have.
    pub fn all(stores: &Stores, courier: &Courier) -> Vec<Self> {
        let slots = 0..u32::try_from(keys::EVENT_AUDIENCES.len()).unwrap_or_default();
        let one = |slot| Self {
            slot,
            stores: stores.clone(),
            courier: courier.clone(),
            doors: Doors::default(),
        };
        slots.map(one).collect()
    }

    fn project(&self, namespace: &str, name: &str) -> Option<Arc<Project>> {
        self.stores.projects.get(&ObjectRef::new(name).within(namespace))
    }

    fn way_of(namespace: &str, project: &str, receiver: &str) -> String {
        format!("{namespace}/{project}/{receiver}")
    }

    /// Whom to tell; nobody where the Project names no receiver under this number.
    fn addressee(&self, namespace: &str, project: &Project) -> Result<Option<Addressee>, Failure> {
        let Some((notification, since)) = in_slot(project, self.slot) else {
            return Ok(None);
        };
        let wrong = |problem: String| Failure {
            class: Class::Transient,
            of_way: true,
            problem,
        };
        let name = project.metadata.name.as_deref().unwrap_or_default();
        let outbound = Outbound::new(&project.spec.policy.webhooks, None).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(Addressee {
            way: Self::way_of(namespace, name, &notification.name),
            namespace: namespace.to_owned(),
            receiver: receiver(notification).map_err(wrong)?,
            outbound,
            since,
        }))
    }

    /// Tells everything that is new, in order, and keeps how far it came.
    async fn tell_all(&self, to: &Addressee, environment: &Told, mark: &Mark) -> Result<(), Failure> {
        let stored = mark.get();
        let before = place(stored.as_deref(), &to.receiver.name);
        let mut reached = before;
        let mut result = Ok(());
        for event in environment.pending(&to.receiver.kinds, before, to.since) {
            result = self.tell_one(to, environment, &event).await;
            if result.is_err() {
                break;
            }
            reached = Some(event.place);
        }
        if reached != before || stored.is_none() {
            // Whoever is to be told has a mark from the start: its receipt is looked for afterwards.
            mark.keep(&marked(&to.receiver.name, reached)).await?;
        }
        result
    }

    async fn tell_one(&self, to: &Addressee, environment: &Told, event: &crate::domain::notification::Event) -> Result<(), Failure> {
        let id = environment.id(event);
        let (kind, text) = match body(&to.receiver.format, environment, event) {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(receiver = %to.way, event = %id, %error, "an event has no body by the template and is left out");
                return Ok(());
            }
        };
        let letter = Letter {
            id: &id,
            kind,
            body: &text,
        };
        let Some(pass) = self.doors.enter(&to.way).await else {
            return Err(Failure::of_one(format!("receiver {}: others wait for it already", to.way)));
        };
        let delivered = self.courier.deliver(&to.namespace, &to.outbound, &to.receiver, &letter).await;
        pass.came_back(!matches!(delivered, Err(Undelivered::Later { .. })));
        match delivered {
            Ok(()) => {
                tracing::debug!(receiver = %to.way, event = %id, "told");
                Ok(())
            }
            Err(error @ Undelivered::Refused(_)) => {
                tracing::warn!(receiver = %to.way, event = %id, %error, "the event is left out");
                Ok(())
            }
            Err(Undelivered::Later { class, problem }) => Err(Failure {
                class,
                of_way: true,
                problem: format!("receiver {}: {problem}", to.way),
            }),
        }
    }
}

impl Audience for Notifier {
    fn name(&self) -> &'static str {
        let slot = usize::try_from(self.slot).unwrap_or_default();
        keys::EVENT_AUDIENCES.get(slot).copied().unwrap_or("events")
    }

    fn way(&self, namespace: &str, project: &str) -> Option<String> {
        let object = self.project(namespace, project);
        let receiver = object.as_deref().and_then(|project| in_slot(project, self.slot));
        // What nobody is to be told of any more is over as well.
        let name = receiver.map(|(notification, _)| notification.name.clone()).unwrap_or_default();
        Some(Self::way_of(namespace, project, &name))
    }

    fn news(&self, environment: &Environment, mark: Option<&str>) -> News {
        let namespace = environment.metadata.namespace.as_deref().unwrap_or_default();
        let Some(project) = self.project(namespace, &environment.spec.project_ref.name) else {
            return News::None;
        };
        let Some((notification, since)) = in_slot(&project, self.slot) else {
            return News::None;
        };
        if mark.is_none() {
            return News::Major;
        }
        let kinds = crate::api::convert::notification::kinds(notification);
        let pending = told(environment, &project).pending(&kinds, place(mark, &notification.name), since);
        match pending.is_empty() {
            true => News::None,
            false => News::Major,
        }
    }

    fn tell<'a>(&'a self, environment: &'a Environment, mark: &'a Mark) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let namespace = environment.metadata.namespace.as_deref().unwrap_or_default();
            let Some(project) = self.project(namespace, &environment.spec.project_ref.name) else {
                return Ok(());
            };
            match self.addressee(namespace, &project)? {
                Some(to) => self.tell_all(&to, &told(environment, &project), mark).await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn tell_removed<'a>(&'a self, removed: &'a Removed, mark: &'a Mark) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let name = removed.receipt.project.rsplit('/').next().unwrap_or_default();
            let Some(project) = self.project(&removed.namespace, name) else {
                return Ok(());
            };
            match self.addressee(&removed.namespace, &project)? {
                Some(to) => {
                    let environment = told_removed(&removed.receipt, &removed.past, &project);
                    self.tell_all(&to, &environment, mark).await
                }
                None => Ok(()),
            }
        }
        .boxed()
    }
}

/// The place of the last event that a receiver was told, if the mark is its own.
fn place(mark: Option<&str>, receiver: &str) -> Option<u64> {
    let (name, place) = mark?.split_once(':')?;
    (name == receiver).then(|| place.parse().ok()).flatten()
}

fn marked(receiver: &str, place: Option<u64>) -> String {
    match place {
        Some(place) => format!("{receiver}:{place}"),
        None => format!("{receiver}:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feature_f5_a_mark_counts_for_its_own_receiver_alone() {
        assert_eq!(place(Some(&marked("chat", Some(7))), "chat"), Some(7));
        assert_eq!(place(Some(&marked("chat", None)), "chat"), None);
        for (mark, receiver) in [
            (Some("chat:7"), "other"),
            (Some(""), "chat"),
            (None, "chat"),
            (Some("chat:x"), "chat"),
        ] {
            assert_eq!(place(mark, receiver), None, "{mark:?}");
        }
    }
}
