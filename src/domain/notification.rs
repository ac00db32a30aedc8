//! What others outside are told of environments: which events there were, what each is called for good, and how it is said.
//!
//! Nothing is queued. What an environment amounts to follows from its status and its history, always in the same order and under the
//! same identifiers; a receiver is told what comes after the last that it was told.

mod body;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

pub use self::body::body;
pub use self::template::{Template, TemplateError};
use super::run::RunState;
use super::stage::webhook::SecretKey;

/// What happened. The names are those of CDEvents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// There is a new environment.
    EnvironmentCreated,
    /// A run of the pipeline began.
    RunStarted,
    /// A run of the pipeline ended, well or not.
    RunFinished,
    /// What a run brought is there.
    ServiceDeployed,
    /// It took the place of what was there.
    EnvironmentModified,
    /// What the environment showed is gone.
    ServiceRemoved,
    /// The environment is gone.
    EnvironmentDeleted,
}

/// An environment, as far as it is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The namespace of its Project.
    pub namespace: String,
    /// Its Project.
    pub project: String,
    /// Its name.
    pub name: String,
    /// Its UID: a branch that comes back has another environment of the same name.
    pub uid: String,
    /// The branch.
    pub branch: String,
    /// The repository as the Project names it.
    pub repository: String,
    /// Where it is shown, while it is.
    pub url: Option<String>,
    /// When it came into being; unknown of one that is gone and was written of by an older version.
    pub created: Option<Timestamp>,
    /// Its runs that are still known, whatever their order.
    pub runs: Vec<ToldRun>,
    /// Its end.
    pub removed: Option<Removed>,
}

/// A run, as far as it is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldRun {
    /// Its number.
    pub number: u64,
    /// The commit.
    pub revision: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, and how.
    pub ended: Option<(Timestamp, RunState)>,
    /// Why it failed, in one sentence.
    pub message: Option<String>,
    /// Whether it is the run before a removal, which brings nothing.
    pub removal: bool,
}

/// The end of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// When it was gone.
    pub at: Timestamp,
    /// The commit that it showed last.
    pub revision: Option<String>,
    /// Why it was removed.
    pub because: String,
}

/// Something that happened to an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// Its place in the order of all events of the environment.
    pub place: u64,
    /// When.
    pub at: Timestamp,
    /// The run that it is about.
    pub run: Option<ToldRun>,
}

/// Who is told, and how.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its name in the Project.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// What deliveries are signed with.
    pub secret: Option<SecretKey>,
    /// In which form it is told.
    pub format: Format,
    /// Of what; empty: of everything.
    pub kinds: BTreeSet<Kind>,
}

/// Where a receiver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// At this URL.
    Url(String),
    /// At the URL in this key of a Secret: the URL of a chat's webhook is all that it asks for.
    Secret(SecretKey),
}

/// In which form a receiver is told.
#[derive(Debug, Clone)]
pub enum Format {
    /// A CDEvent in a CloudEvent.
    CloudEvents,
    /// One line of text, as Slack and what is like it take it.
    Slack,
    /// As a template says.
    Template(Box<Template>),
}

/// The place of the end among the events: after every run.
const END: u64 = u64::MAX - 8;
/// How many places a run has.
const PLACES: u64 = 4;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::EnvironmentCreated,
        Self::RunStarted,
        Self::RunFinished,
        Self::ServiceDeployed,
        Self::EnvironmentModified,
        Self::ServiceRemoved,
        Self::EnvironmentDeleted,
    ];

    /// Its name: subject and predicate.
    pub fn name(self) -> &'static str {
        match self {
            Self::EnvironmentCreated => "environment.created",
            Self::RunStarted => "pipelinerun.started",
            Self::RunFinished => "pipelinerun.finished",
            Self::ServiceDeployed => "service.deployed",
            Self::EnvironmentModified => "environment.modified",
            Self::ServiceRemoved => "service.removed",
            Self::EnvironmentDeleted => "environment.deleted",
        }
    }

    /// Its type in CloudEvents: that of the last released version of CDEvents.
    pub fn event_type(self) -> String {
        format!("dev.cdevents.{}.0.3.0", self.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| format!("should be one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

impl Told {
    /// Everything that has happened, in order.
    pub fn events(&self) -> Vec<Event> {
        let created = self.created.map(|at| Event {
            kind: Kind::EnvironmentCreated,
            place: 1,
            at,
            run: None,
        });
        let runs = self.runs.iter().flat_map(of_run);
        let end = self.removed.iter().flat_map(|removed| self.of_end(removed));
        let mut events: Vec<Event> = created.into_iter().chain(runs).chain(end).collect();
        events.sort_by_key(|event| event.place);
        events
    }

    /// What a receiver has still to be told: what comes after the last that it was told; if it was told nothing, what happened since it
    /// is there.
    pub fn pending(&self, receiver: &BTreeSet<Kind>, last: Option<u64>, since: Timestamp) -> Vec<Event> {
        let mut events = self.events();
        events.retain(|event| {
            let is_new = last.map_or(event.at >= since, |last| event.place > last);
            is_new && (receiver.is_empty() || receiver.contains(&event.kind))
        });
        events
    }

    /// What an event is called for good, whichever process tells it and however often.
    pub fn id(&self, event: &Event) -> String {
        let name = event.kind.name().replace('.', "-");
        match &event.run {
            Some(run) => format!("{}.{}.{name}", self.uid, run.number),
            None => format!("{}.{name}", self.uid),
        }
    }

    /// What events come from: the Project, as the API server has it.
    pub fn source(&self) -> String {
        format!(
            "/apis/graftling.dev/v1alpha1/namespaces/{}/projects/{}",
            self.namespace, self.project
        )
    }

    fn of_end(&self, removed: &Removed) -> Vec<Event> {
        let event = |kind, place| Event {
            kind,
            place,
            at: removed.at,
            run: None,
        };
        let service = removed.revision.as_ref().map(|_| event(Kind::ServiceRemoved, END));
        service.into_iter().chain([event(Kind::EnvironmentDeleted, END + 1)]).collect()
    }
}

fn of_run(run: &ToldRun) -> Vec<Event> {
    let first = run.number.saturating_mul(PLACES).min(END - PLACES);
    let event = |kind, place, at| Event {
        kind,
        place: first + place,
        at,
        run: Some(run.clone()),
    };
    let mut events = vec![event(Kind::RunStarted, 0, run.started)];
    if let Some((at, state)) = run.ended {
        events.push(event(Kind::RunFinished, 1, at));
        if state == RunState::Succeeded && !run.removal {
            events.push(event(Kind::ServiceDeployed, 2, at));
            if run.number > 1 {
                events.push(event(Kind::EnvironmentModified, 3, at));
            }
        }
    }
    events
}
