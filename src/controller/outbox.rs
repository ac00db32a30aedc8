//! What is told to others outside of each environment, beside the work on it.
//!
//! An audience says what it has not been told yet and tells it; everything else is here: at most one thing at a time is told of one
//! environment, and always the newest; what fails is tried again, later and later; and what was told is kept on the Environment, then on
//! its receipt, so that neither a restart nor the end of the environment makes anything be forgotten or told for nothing.

mod agenda;
mod bell;
mod mark;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::agenda::{Agenda, Place};
pub use self::bell::Bell;
pub use self::mark::Mark;
use self::mark::Marks;
use super::settings::Scope;
use super::stores::Stores;
use crate::api::Environment;
use crate::api::receipt::{FullReceipt, Past};
use crate::cluster::told::{self, OpenReceipt};
use crate::githost::Class;

/// Who is told of environments.
///
/// # Guarantees
/// Of environments of one name, one call is under way at a time, those about a removed one before those about the next. A call may be
/// repeated at any time, also after it has succeeded: whatever must not happen twice is known by the mark, which is kept *before* it.
pub trait Audience: Send + Sync + 'static {
    /// Its name, one of [`keys::AUDIENCES`](crate::api::keys::AUDIENCES).
    fn name(&self) -> &'static str;

    /// The way to it for a Project, by namespace and name: what goes the same way waits together while nobody is reached there. `None`: nobody
    /// is to be told.
    fn way(&self, namespace: &str, project: &str) -> Option<String>;

    /// Whether there is something to tell, by what was told last. It is asked often, so it asks nobody.
    fn news(&self, environment: &Environment, mark: Option<&str>) -> News;

    /// Tells what there is to tell, and keeps in `mark` what was told.
    fn tell<'a>(&'a self, environment: &'a Environment, mark: &'a Mark) -> BoxFuture<'a, Result<(), Failure>>;

    /// Tells that an environment is gone. Afterwards nothing more is told of it.
    fn tell_removed<'a>(&'a self, removed: &'a Removed, mark: &'a Mark) -> BoxFuture<'a, Result<(), Failure>>;
}

/// Whether there is something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// Something that may wait for what comes next.
    Minor,
    /// Something that people wait for.
    Major,
}

/// An environment that is gone.
pub struct Removed {
    /// The namespace of its Project.
    pub namespace: String,
    /// Its receipt.
    pub receipt: FullReceipt,
    /// What it was, as far as an audience of events needs it.
    pub past: Past,
    /// The environment that has its name now.
    pub successor: Option<Arc<Environment>>,
}

/// Why something was not told.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct Failure {
    /// When to try again.
    pub class: Class,
    /// Whether nothing else gets through on the same way either.
    pub of_way: bool,
    /// What is wrong.
    pub problem: String,
}

/// So much is told at one time.
const CONCURRENCY: usize = 16;
/// Everything is looked over so often, whatever was missed.
const ROUND: Duration = Duration::from_secs(60);
/// Whatever hangs is given up after this.
const PATIENCE: Duration = Duration::from_secs(120);

/// The loop of one audience.
pub struct Outbox<A> {
    /// The audience.
    pub audience: Arc<A>,
    /// The cluster.
    pub client: Client,
    /// Our custom resources.
    pub stores: Stores,
    /// Whose environments are told of.
    pub scope: Scope,
    /// What says that something has changed.
    pub bell: Bell,
}

/// What is told by one task.
enum Letter {
    Environment(Arc<Environment>),
    Removed(OpenReceipt),
}

impl<A: Audience> Outbox<A> {
    /// Tells until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let marks = Marks::new(self.client.clone(), self.audience.name());
        let (mut agenda, mut running) = (Agenda::default(), JoinSet::new());
        let mut rounds = tokio::time::interval(ROUND);
        let mut receipts_known = false;
        loop {
            for (place, receipt) in self.bell.take() {
                agenda.ring(place, receipt, Instant::now());
            }
            self.begin(&mut agenda, &mut running, &marks);
            let next = agenda.next(running.len() < CONCURRENCY);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.bell.rung() => {}
                Some(ended) = running.join_next(), if !running.is_empty() => match ended {
                    Ok((place, way, letter, result)) => self.settle(&mut agenda, &place, &way, &letter, result),
                    Err(error) => tracing::error!(%error, audience = self.audience.name(), "telling failed unexpectedly"),
                },
                () = sleep_until(next) => {}
                _ = rounds.tick() => {
                    self.round(&mut agenda);
                    receipts_known = receipts_known || self.find_receipts(&mut agenda).await;
                }
            }
        }
    }

    fn round(&self, agenda: &mut Agenda) {
        for environment in self.stores.environments.state() {
            if self.scope.contains(environment.metadata.namespace.as_deref()) {
                agenda.ring(place(&environment), None, Instant::now());
            }
        }
    }

    /// What ended while nobody listened. Looked for once: afterwards each end is told by the bell.
    async fn find_receipts(&self, agenda: &mut Agenda) -> bool {
        match told::open_receipts(self.client.clone(), self.audience.name()).await {
            Ok(open) => {
                let ours = open.into_iter().filter(|receipt| self.scope.contains(Some(&receipt.namespace)));
                for receipt in ours {
                    let place = (receipt.namespace.clone(), environment_of(&receipt.name).to_owned());
                    agenda.ring(place, Some(receipt.name), Instant::now());
                }
                true
            }
            Err(error) => {
                tracing::warn!(error = %error.chain(), "could not list the receipts");
                false
            }
        }
    }

    /// Starts whatever is due and may go.
    fn begin(&self, agenda: &mut Agenda, running: &mut JoinSet<Told>, marks: &Marks) {
        while running.len() < CONCURRENCY {
            let now = Instant::now();
            let Some((place, receipt)) = agenda.take_due(now) else { return };
            let environment = self.stores.environments.get(&ObjectRef::new(&place.1).within(&place.0));
            let Some((way, letter)) = self.letter(agenda, &place, receipt, environment.as_ref(), marks) else {
                continue;
            };
            if agenda.wait_for_way(&place, &way, now) {
                continue;
            }
            agenda.start(&place, now);
            running.spawn(self.deliver(place, way, letter, environment, marks));
        }
    }

    /// What to tell of a place and how it goes there. Nothing where nobody is to be told, or nothing is new.
    fn letter(
        &self,
        agenda: &mut Agenda,
        place: &Place,
        receipt: Option<String>,
        environment: Option<&Arc<Environment>>,
        marks: &Marks,
    ) -> Option<(String, Letter)> {
        if let Some(name) = receipt {
            let namespace = place.0.clone();
            // Only the receipt says of which Project it is.
            return Some((String::new(), Letter::Removed(OpenReceipt { namespace, name })));
        }
        let Some(environment) = environment else {
            agenda.forget(place);
            return None;
        };
        let way = self.audience.way(&place.0, &environment.spec.project_ref.name);
        let mark = marks.of(environment);
        let news = way
            .as_ref()
            .map_or(News::None, |_| self.audience.news(environment, mark.as_deref()));
        match news {
            News::None => agenda.rest(place, Instant::now()),
            News::Minor if agenda.is_too_soon(place, Instant::now()) => {}
            News::Minor | News::Major => return Some((way?, Letter::Environment(environment.clone()))),
        }
        None
    }

    fn deliver(
        &self,
        place: Place,
        way: String,
        letter: Letter,
        successor: Option<Arc<Environment>>,
        marks: &Marks,
    ) -> impl Future<Output = Told> + Send + use<A> {
        let (audience, client, marks) = (self.audience.clone(), self.client.clone(), marks.clone());
        async move {
            let mut way = way;
            let telling = async {
                match &letter {
                    Letter::Environment(environment) => audience.tell(environment, &marks.mark(environment)).await,
                    Letter::Removed(open) => tell_removed(&*audience, client, open, successor, &marks, &mut way).await,
                }
            };
            let result = match tokio::time::timeout(PATIENCE, AssertUnwindSafe(telling).catch_unwind()).await {
                Ok(Ok(result)) => result,
                // Logged where it happened; the place must not stay taken.
                Ok(Err(_)) => Err(Failure::of_one("it broke off by a defect")),
                Err(_) => Err(Failure::of_one(format!("it was given up after {} s", PATIENCE.as_secs()))),
            };
            (place, way, letter, result)
        }
    }

    fn settle(&self, agenda: &mut Agenda, place: &Place, way: &str, letter: &Letter, result: Result<(), Failure>) {
        if let Err(failure) = &result {
            let audience = self.audience.name();
            tracing::warn!(environment = %place.1, audience, error = %failure.problem, "could not tell; it is tried again");
        }
        let receipt = match letter {
            Letter::Environment(_) => None,
            Letter::Removed(open) => Some(open.name.as_str()),
        };
        agenda.settle(place, way, receipt, result.as_ref().err(), Instant::now());
    }
}

/// What a task ends with.
type Told = (Place, String, Letter, Result<(), Failure>);

async fn tell_removed<A: Audience>(
    audience: &A,
    client: Client,
    open: &OpenReceipt,
    successor: Option<Arc<Environment>>,
    marks: &Marks,
    way: &mut String,
) -> Result<(), Failure> {
    let read = told::read_receipt(client, open, audience.name()).await;
    let Some(told) = read.map_err(|error| Failure::of_cluster(&error))? else {
        return Ok(());
    };
    let project = told.receipt.project.rsplit('/').next().unwrap_or_default();
    let Some(found) = audience.way(&open.namespace, project) else {
        // The connection to it may not be there yet, just after the start.
        return Err(Failure::of_one("nobody can be told for now"));
    };
    *way = found;
    let mark = marks.of_receipt(open, &told);
    let is_other = |environment: &Arc<Environment>| environment.uid().as_deref() != Some(told.receipt.uid.as_str());
    let removed = Removed {
        namespace: open.namespace.clone(),
        successor: successor.filter(is_other),
        receipt: told.receipt,
        past: told.past,
    };
    audience.tell_removed(&removed, &mark).await?;
    mark.close(&removed.receipt.uid).await
}

async fn sleep_until(next: Option<Instant>) {
    match next {
        Some(next) => tokio::time::sleep_until(next).await,
        None => std::future::pending().await,
    }
}

fn place(environment: &Environment) -> Place {
    (environment.namespace().unwrap_or_default(), environment.name_any())
}

/// The environment whose receipt has this name.
fn environment_of(receipt: &str) -> &str {
    let stem = receipt.strip_suffix("-receipt").unwrap_or(receipt);
    stem.rsplit_once('-').map_or(stem, |(environment, _)| environment)
}

impl Failure {
    /// The cluster did not do as asked.
    pub fn of_cluster(error: &crate::cluster::Error) -> Self {
        Self::of_one(error.chain())
    }

    /// Something that passes by itself and says nothing about other environments.
    pub fn of_one(problem: impl Into<String>) -> Self {
        Self {
            class: Class::Transient,
            of_way: false,
            problem: problem.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::environment_of;
    use crate::api::receipt::config_map_name;

    #[test]
    fn a_receipt_is_filed_under_the_environment_that_it_is_of() {
        let name = config_map_name("shop-feature-a-1a2b3c", "01234567-89ab-cdef");
        assert_eq!(environment_of(&name), "shop-feature-a-1a2b3c");
    }
}
