//! What contenders are asked to do, and what a contender is.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::Error;
use super::content::{self, Naming, Object};
use crate::Subject;

/// One environment, and what of it must be there.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// What it is called.
    pub naming: Naming,
    /// Its objects.
    pub objects: Vec<Object>,
}

/// What is to be done with some environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// They are to be there. Once more for those that are: nothing is to be done.
    Create,
    /// They are to be there at another revision, which changes one object of each.
    Change,
    /// They are to go.
    Delete,
}

/// The names of the contenders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// The raw writer, by server-side apply: what everything is compared with.
    FloorApply,
    /// The raw writer, by POST.
    FloorPost,
    /// The raw writer, with no more rights than a deployer of graftling has.
    FloorDeployer,
    /// The same, with the three writes of an Environment.
    FloorEnvironment,
    /// Graftling: a signed delivery, and a real repository.
    Graftling,
    /// `kubectl apply`.
    Kubectl,
    /// `kubectl apply --server-side`.
    KubectlServerSide,
    /// `helm template | kubectl apply --server-side`.
    HelmTemplate,
    /// `helm install`.
    HelmInstall,
    /// Debian's `webhook` with a shell script: a signed delivery, `git fetch`, `envsubst`, `kubectl apply --server-side`.
    WebhookScript,
    /// Flux: a GitRepository and a Kustomization for each branch, and a request to reconcile. It takes part when it is asked to.
    Flux,
    /// Argo CD: an Application for each branch, pinned to its commit. It takes part when it is asked to.
    Argocd,
}

/// Who takes part. All of them get the same tasks at the same moment and answer to the same clock.
pub trait Contender: Send + Sync {
    /// Its user names in the audit log.
    fn users(&self) -> Vec<String>;

    /// Its processes that run all along; those that a task starts are counted when they have ended.
    fn processes(&self) -> Vec<u32>;

    /// Makes branches and says what their environments are. Not timed.
    fn enter<'a>(&'a self, branches: &'a [String]) -> BoxFuture<'a, Result<Vec<Environment>, Error>>;

    /// Pushes another revision to their branches and says what the environments are then. Not timed.
    fn advance<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<Vec<Environment>, Error>>;

    /// Deletes their branches. Not timed.
    fn leave<'a>(&'a self, _environments: &'a [Environment]) -> BoxFuture<'a, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }

    /// Does it, and says when it began: at the first byte of the delivery, or at the start of the process. When this returns, it need not
    /// be done: the clock says when it is.
    fn carry_out<'a>(&'a self, task: Task, environments: &'a [Environment]) -> BoxFuture<'a, Result<Instant, Error>>;

    /// Ends what runs all along and starts it anew, and says when it began to.
    fn restart(&self) -> BoxFuture<'_, Result<Instant, Error>> {
        let refused = Error::TakesNoPart {
            contender: "whoever runs only when asked".to_owned(),
            load: "restarts".to_owned(),
        };
        async { Err(refused) }.boxed()
    }

    /// The installation, if it is graftling.
    fn subject(&self) -> Option<&Subject> {
        None
    }

    /// Whether it has objects of its own for environments, which go last.
    fn has_environments(&self) -> bool {
        false
    }
}

impl Name {
    /// All that take part without being asked, in the order of reports.
    pub const ALL: [Name; 10] = [
        Name::FloorApply,
        Name::FloorPost,
        Name::FloorDeployer,
        Name::FloorEnvironment,
        Name::Graftling,
        Name::Kubectl,
        Name::KubectlServerSide,
        Name::HelmTemplate,
        Name::HelmInstall,
        Name::WebhookScript,
    ];

    /// Those that take part only when they are asked to.
    pub const GUESTS: [Name; 2] = [Name::Flux, Name::Argocd];

    /// The name as it is written in data and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::FloorApply => "floor-apply",
            Name::FloorPost => "floor-post",
            Name::FloorDeployer => "floor-deployer",
            Name::FloorEnvironment => "floor-environment",
            Name::Graftling => "graftling",
            Name::Kubectl => "kubectl",
            Name::KubectlServerSide => "kubectl-server-side",
            Name::HelmTemplate => "helm-template",
            Name::HelmInstall => "helm-install",
            Name::WebhookScript => "webhook-script",
            Name::Flux => "flux",
            Name::Argocd => "argocd",
        }
    }

    /// What it is, for people.
    pub fn title(self) -> &'static str {
        match self {
            Name::FloorApply => "the floor (raw server-side apply)",
            Name::FloorPost => "the floor by POST",
            Name::FloorDeployer => "the floor with the rights of a deployer",
            Name::FloorEnvironment => "the floor with the rights of a deployer and the three writes of an Environment",
            Name::Graftling => "graftling",
            Name::Kubectl => "kubectl apply",
            Name::KubectlServerSide => "kubectl apply --server-side",
            Name::HelmTemplate => "helm template \\| kubectl apply --server-side",
            Name::HelmInstall => "helm install",
            Name::WebhookScript => "webhook with a script",
            Name::Flux => "Flux (its controllers 1.9.3), asked at once",
            Name::Argocd => "Argo CD 3.6.1, asked at once",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Name {
    type Err = String;
    fn from_str(text: &str) -> Result<Name, String> {
        let found = Name::ALL.into_iter().chain(Name::GUESTS).find(|name| name.as_str() == text);
        found.ok_or_else(|| format!("no contender is called {text}: {}", Name::ALL.map(Name::as_str).join(", ")))
    }
}

/// Names for those who take any: branch and environment are called alike, and revisions are counted.
#[derive(Debug)]
pub struct Namer {
    /// The namespace of the Project, which these contenders do not have, but the objects name.
    pub project_namespace: String,
    counter: AtomicU64,
}

impl Namer {
    /// Begins to count.
    pub fn new(project_namespace: &str) -> Namer {
        Namer {
            project_namespace: project_namespace.to_owned(),
            counter: AtomicU64::new(1),
        }
    }

    /// A revision never given before.
    fn revision(&self) -> String {
        format!("{:040x}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// The environment of a branch.
    pub fn environment(&self, branch: &str) -> Result<Environment, Error> {
        environment(Naming {
            namespace: format!("shop-{}", branch.replace('/', "-")),
            branch: branch.to_owned(),
            revision: self.revision(),
            project_namespace: self.project_namespace.clone(),
            deployer_role: deployer_role(&self.project_namespace),
        })
    }

    /// The same environment at the next revision.
    pub fn next(&self, before: &Environment) -> Result<Environment, Error> {
        environment(Naming {
            revision: self.revision(),
            ..before.naming.clone()
        })
    }
}

/// The ClusterRole of deployers, where the namespace of their Project is called like this.
pub fn deployer_role(project_namespace: &str) -> String {
    format!("{project_namespace}-deployer")
}

/// The environment of this name.
pub fn environment(naming: Naming) -> Result<Environment, Error> {
    let objects = content::objects(&naming)?;
    Ok(Environment { naming, objects })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]
mod tests {
    use super::*;

    #[test]
    fn every_contender_is_found_by_its_name_in_options_and_in_data() {
        for name in Name::ALL.into_iter().chain(Name::GUESTS) {
            assert_eq!(name.as_str().parse(), Ok(name));
            assert_eq!(serde_json::to_string(&name).unwrap(), format!("\"{name}\""));
        }
        assert!("helm".parse::<Name>().is_err());
    }

    #[test]
    fn the_next_revision_of_an_environment_is_another_and_its_name_is_not() {
        let namer = Namer::new("team");
        let first = namer.environment("feature/a").unwrap();
        let next = namer.next(&first).unwrap();
        assert_eq!(first.naming.namespace, "shop-feature-a");
        assert_eq!(first.naming.namespace, next.naming.namespace);
        assert_ne!(first.naming.revision, next.naming.revision);
    }
}
