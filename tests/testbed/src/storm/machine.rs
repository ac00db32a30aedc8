//! Carries a storm out on a real graftling, and asks the model at each quiet point.

mod audit;
mod cluster;
mod faults;
mod git;
mod look;
mod process;
mod quiet;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use tempfile::TempDir;

use super::model::{Effect, Model, wish};
use super::operation::{Branch, Operation};
use crate::audit::Position;
use crate::fault_proxy::FaultProxy;
use crate::repository::{self, Repository};
use crate::subject::{self, Subject};
use crate::{ControlPlane, control_plane};
use faults::Faults;
use git::Delivery;

/// How a storm is carried out.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The program under test.
    pub program: PathBuf,
    /// How long everything may take to be as it must be, once it is quiet.
    pub patience: Duration,
    /// How long nothing may be written while something is not as it must be.
    pub idle: Duration,
    /// How long nothing may be written then.
    pub silence: Duration,
    /// Whether the control plane is this storm's alone, so that its API server can really be stopped.
    pub owns_plane: bool,
    /// Whether each group is told on standard error.
    pub tells: bool,
}

/// What a storm did and survived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many operations happened, quiet points left out.
    pub operations: usize,
    /// How many of them found nothing to happen to.
    pub without_effect: usize,
    /// How many quiet points were passed.
    pub quiet_points: usize,
    /// Operations by their first word.
    pub verbs: BTreeMap<String, usize>,
    /// Injected faults by what was done to which kind of request.
    pub faults: BTreeMap<String, usize>,
}

/// What a storm came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was done.
    pub tally: Tally,
    /// Why it ended early, if it did.
    pub failure: Option<Failure>,
}

/// A quiet point at which something was wrong.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Everything up to and with that quiet point.
    pub operations: Vec<Operation>,
    /// What was wrong.
    pub complaints: Vec<String>,
    /// The last lines of the server's log.
    pub log: Vec<String>,
}

/// Why the machine itself could not go on. Nothing is wrong with graftling because of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// graftling could not be installed or started.
    #[error("cannot set the storm up")]
    SetUp(#[source] subject::Error),
    /// The proxy could not be started.
    #[error("cannot start the proxy")]
    Proxy(#[source] std::io::Error),
    /// A file of the bundle could not be written.
    #[error("cannot write the bundle")]
    WriteBundle(#[source] std::io::Error),
    /// The repository could not be moved out of the way or back.
    #[error("cannot move the repository")]
    MoveRepository(#[source] std::io::Error),
    /// Git did not do as told.
    #[error("cannot change the repository")]
    Git(#[source] repository::Error),
    /// The API server did not come back.
    #[error("cannot start the API server")]
    StartServer(#[source] control_plane::Error),
    /// The API server refused a person.
    #[error("cannot {action}")]
    Request {
        /// What was asked.
        action: String,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Something that is not graftling's, while it is there.
#[derive(Debug, Clone)]
struct Foreign {
    namespace: String,
    /// The name of a ConfigMap in it; none: the namespace itself.
    object: Option<String>,
    from: Timestamp,
    until: Option<Timestamp>,
}

/// A storm that is being carried out.
pub struct Machine {
    setting: Setting,
    subject: Subject,
    faults: Faults,
    repository: Repository,
    bundles: TempDir,
    model: Model,
    tally: Tally,
    /// The names of environments, which never change.
    names: BTreeMap<Branch, String>,
    /// Where branches were, in the order of pushes.
    commits: BTreeMap<Branch, Vec<String>>,
    /// When branches came and went.
    presence: BTreeMap<Branch, Vec<(Timestamp, bool)>>,
    foreign: Vec<Foreign>,
    late: Vec<Delivery>,
    past: Vec<Delivery>,
    held: Vec<Branch>,
    server_away: Option<Instant>,
    repository_away: Option<Instant>,
    /// What went wrong at once, for the next quiet point.
    witnessed: Vec<String>,
    tick: u32,
    planted: u32,
    begun: Position,
}

impl Machine {
    /// Installs graftling anew, with a repository and a Project, and starts it behind a proxy.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn set_up(plane: &'static ControlPlane, setting: Setting) -> Result<Machine, Error> {
        let bundles = tempfile::tempdir().map_err(Error::WriteBundle)?;
        let model = Model::new();
        write_bundle(&bundles, &model)?;
        let proxy = Arc::new(FaultProxy::before_api_server(plane).await.map_err(Error::Proxy)?);
        let mut settings = subject::Settings::new(&setting.program);
        settings.bundles = bundles.path().to_owned();
        settings.proxy = Some(Arc::clone(&proxy));
        settings.arguments = ["--resync=3s", "--shutdown-grace=2s"].map(str::to_owned).to_vec();
        let subject = Subject::install(plane, "storm", settings).await.map_err(Error::SetUp)?;
        let repository = Repository::create().map_err(Error::Git)?;
        let begun = plane.audit().position();
        subject.start().await.map_err(Error::SetUp)?;
        let spec = wish::spec(model.settings(), 0);
        subject.project("shop", &repository, spec).await.map_err(Error::SetUp)?;
        Ok(Machine {
            faults: Faults::new(proxy),
            setting,
            subject,
            repository,
            bundles,
            model,
            begun,
            tally: Tally::default(),
            names: BTreeMap::new(),
            commits: BTreeMap::new(),
            presence: BTreeMap::new(),
            foreign: Vec::new(),
            late: Vec::new(),
            past: Vec::new(),
            held: Vec::new(),
            server_away: None,
            repository_away: None,
            witnessed: Vec::new(),
            tick: 0,
            planted: 0,
        })
    }

    /// Carries operations out up to the first quiet point at which something is wrong, or until `enough` says so at one.
    ///
    /// # Errors
    /// [`Error`], if the machine itself cannot go on.
    pub async fn run(mut self, operations: &[Operation], enough: impl Fn() -> bool) -> Result<Outcome, Error> {
        for (index, operation) in operations.iter().enumerate() {
            if *operation != Operation::Quiet {
                self.step(operation).await?;
                continue;
            }
            let complaints = self.quiet().await?;
            self.tell(&complaints);
            if !complaints.is_empty() {
                let log = self.subject.log();
                let failure = Failure {
                    operations: operations[..=index].to_vec(),
                    complaints,
                    log: log[log.len().saturating_sub(400)..].to_vec(),
                };
                return Ok(self.outcome(Some(failure)));
            }
            self.tally.quiet_points += 1;
            if enough() {
                break;
            }
        }
        Ok(self.outcome(None))
    }

    fn outcome(&mut self, failure: Option<Failure>) -> Outcome {
        self.tally.faults = self.faults.injected();
        Outcome {
            tally: self.tally.clone(),
            failure,
        }
    }

    fn tell(&self, complaints: &[String]) {
        if self.setting.tells {
            let count = self.tally.operations;
            let verdict = if complaints.is_empty() { "as it must be" } else { "WRONG" };
            eprintln!("{}: after {count} operations: {verdict}", self.subject.namespace());
        }
    }

    /// One operation, and what came of it for the model.
    async fn step(&mut self, operation: &Operation) -> Result<(), Error> {
        let effect = self.carry_out(operation).await?;
        self.tally.operations += 1;
        self.tally.without_effect += usize::from(effect == Effect::Nothing);
        let verb = operation.to_string().split(' ').next().unwrap_or_default().to_owned();
        *self.tally.verbs.entry(verb).or_default() += 1;
        self.model.happened(operation, &effect);
        match operation {
            Operation::Object(..) | Operation::NoObject(_) | Operation::Break | Operation::Mend => {
                write_bundle(&self.bundles, &self.model)?;
                self.tick += 1;
                self.write_project().await
            }
            Operation::Values(_)
            | Operation::Quota(_)
            | Operation::Domain(_)
            | Operation::Exclude(_)
            | Operation::Limit(_)
            | Operation::Suspend(_) => self.write_project().await,
            _ => Ok(()),
        }
    }

    async fn carry_out(&mut self, operation: &Operation) -> Result<Effect, Error> {
        match operation {
            Operation::Push { .. }
            | Operation::PushSeveral(_)
            | Operation::Delete(..)
            | Operation::DeleteSeveral(_)
            | Operation::Recreate(..)
            | Operation::Tag(_)
            | Operation::Replay => self.git(operation).await,
            Operation::Kill(_) | Operation::Terminate(_) | Operation::ServerAway(_) | Operation::RepositoryAway(_) => {
                self.process(operation).await
            }
            Operation::Fault {
                kind,
                place,
                percent,
                seed,
            } => {
                self.faults.add(*kind, *place, *percent, *seed);
                Ok(Effect::Aside)
            }
            Operation::NoFaults => {
                self.faults.clear();
                Ok(Effect::Aside)
            }
            Operation::Pause(pause) => {
                tokio::time::sleep(Duration::from_millis(u64::from(*pause))).await;
                Ok(Effect::Aside)
            }
            Operation::Quiet => Ok(Effect::Aside),
            Operation::Values(_)
            | Operation::Quota(_)
            | Operation::Domain(_)
            | Operation::Exclude(_)
            | Operation::Limit(_)
            | Operation::Suspend(_)
            | Operation::Object(..)
            | Operation::NoObject(_)
            | Operation::Break
            | Operation::Mend => Ok(Effect::Done(String::new())),
            _ => {
                self.server_is_back().await?;
                self.by_hand(operation).await
            }
        }
    }

    /// Writes the Project as the model knows it, as one edit.
    async fn write_project(&mut self) -> Result<(), Error> {
        self.server_is_back().await?;
        let spec = json!({ "spec": wish::spec(self.model.settings(), self.tick) });
        self.subject.patch("Project", "shop", spec).await.map_err(Error::SetUp)
    }
}

/// Writes the bundle that the model knows, by rename: the server may read at any time.
fn write_bundle(bundles: &TempDir, model: &Model) -> Result<(), Error> {
    let folder = bundles.path().join("app");
    let write = || {
        std::fs::create_dir_all(folder.join("templates"))?;
        std::fs::write(folder.join("bundle.yaml"), "name: app\nversion: 0.1.0\n")?;
        let draft = folder.with_extension("draft");
        std::fs::write(&draft, wish::template(model.bundle()))?;
        std::fs::rename(&draft, folder.join("templates/all.yaml"))
    };
    write().map_err(Error::WriteBundle)
}
