//! From what is asked for to the objects that an environment should consist of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::sources::{self, Sources};
use crate::api::Environment;
use crate::api::convert::environment::{Identity, pull_request_to_domain};
use crate::domain::bundle::BundleFiles;
use crate::domain::git::{Commit, PullRequest};
use crate::domain::guardrails::{self, Fence};
use crate::domain::manifest::{Admission, AllowedKinds, Manifest, ObjectKey, admit};
use crate::domain::name::ObjectName;
use crate::domain::plan::deploy;
use crate::domain::policy::Project;
use crate::domain::render::{Address, Layer, Origin, RenderContext, Scheme};
use crate::githost::Class;
use crate::metrics::{Metrics, RenderResult};
use crate::render::Renderer;

/// Bundles, from where they come to what they give.
#[derive(Clone)]
pub struct Bundles {
    sources: Sources,
    renderer: Renderer,
    metrics: Metrics,
}

/// What is asked for: everything that the desired objects are a function of, besides the bundle.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The environment.
    pub identity: Identity,
    /// Its Project.
    pub project: Project,
    /// The open pull request from its branch.
    pub pull_request: Option<PullRequest>,
    /// The default branch and its head, as the last look at the repository saw it.
    pub default_branch: Option<Commit>,
    /// Values for this environment alone.
    pub values: Map<String, Value>,
    /// Whether nothing of it was ever applied.
    pub is_first_deploy: bool,
    /// The ClusterRole of deployers.
    pub deployer_role: ObjectName,
    /// The port in URLs.
    pub url_port: Option<u16>,
}

/// What an environment should be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Its objects.
    pub objects: deploy::Desired,
    /// Where it will be found.
    pub addresses: Addresses,
}

/// Where an environment is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The main URL, known from the identity alone.
    pub url: String,
    /// Every URL that an Ingress serves, sorted.
    pub urls: Vec<String>,
}

/// Why nothing can be planned: what is asked for is wrong. Nothing was written, and what runs keeps running.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The machine-readable reason.
    pub reason: &'static str,
    /// What is wrong and where.
    pub message: String,
    /// When to look again, because not everything that it depends on is watched.
    pub again: Duration,
}

impl Refusal {
    /// A refusal that is looked at again after half a minute.
    pub fn new(reason: &'static str, message: String) -> Self {
        Self {
            reason,
            message,
            again: Duration::from_secs(30),
        }
    }
}

impl Wish {
    /// What an Environment asks for under its Project's settings.
    pub fn new(environment: &Environment, identity: &Identity, project: Project, deployer_role: ObjectName, url_port: Option<u16>) -> Self {
        let pull_request = environment.spec.pull_request.as_ref();
        Self {
            identity: identity.clone(),
            project,
            pull_request: pull_request.map(|pull| pull_request_to_domain(pull, &identity.branch)),
            default_branch: None,
            values: environment.spec.values.clone(),
            is_first_deploy: is_first_deploy(environment, identity),
            deployer_role,
            url_port,
        }
    }

    /// The same while the default branch is at `commit`.
    #[must_use]
    pub fn at(self, commit: Option<Commit>) -> Self {
        Self {
            default_branch: commit,
            ..self
        }
    }
}

impl Desired {
    /// The keys of all objects.
    pub fn keys(&self) -> impl Iterator<Item = ObjectKey> {
        let objects = self.objects.guardrails.iter().chain(&self.objects.objects);
        std::iter::once(&self.objects.namespace)
            .chain(objects)
            .map(|manifest| manifest.key.clone())
    }
}

impl Bundles {
    /// Bundles from `sources`.
    pub fn new(sources: Sources, renderer: Renderer, metrics: Metrics) -> Self {
        Self {
            sources,
            renderer,
            metrics,
        }
    }

    /// Renders and admits everything that the environment should consist of.
    ///
    /// # Errors
    /// A [`Refusal`] that names the Project, the bundle, the file and the line.
    pub async fn desired(&self, wish: &Wish) -> Result<Desired, Refusal> {
        let desired = self.try_desired(wish).await;
        self.metrics.render(match &desired {
            Ok(_) => RenderResult::Ok,
            Err(_) => RenderResult::Rejected,
        });
        desired
    }

    async fn try_desired(&self, wish: &Wish) -> Result<Desired, Refusal> {
        let files = self.load(wish).await?;
        let context = context(wish);
        let rendered = self
            .renderer
            .render(&files, context.clone())
            .await
            .map_err(|error| refuse(wish, &crate::cluster::error::chain(&error)))?;
        let kinds = allowed_kinds(wish)?;
        let namespace = wish.identity.name.namespace();
        let admission = Admission {
            namespace: &namespace,
            environment: &wish.identity.name,
            project: &wish.project.key,
            domain: &wish.project.domain,
            kinds: &kinds,
        };
        let objects = admit(rendered.documents, &admission).map_err(|refusals| refuse(wish, &lines(&refusals)))?;
        let fence = fence(wish);
        Ok(Desired {
            addresses: addresses(&context, &objects),
            objects: deploy::Desired {
                namespace: guardrails::namespace(&fence),
                guardrails: guardrails::guardrails(&fence),
                objects,
            },
        })
    }

    async fn load(&self, wish: &Wish) -> Result<Arc<BundleFiles>, Refusal> {
        self.sources.files(wish).await.map_err(|error| unavailable(wish, &error))
    }
}

/// Whether no other revision was ever applied. It changes with a push only, never because a deployment has ended.
fn is_first_deploy(environment: &Environment, identity: &Identity) -> bool {
    let history = environment.status.iter().flat_map(|status| &status.history);
    history.into_iter().all(|run| run.revision == identity.revision.as_str())
}

fn refuse(wish: &Wish, problem: &str) -> Refusal {
    let (project, bundle) = (&wish.project.key.name, &wish.project.bundle);
    Refusal::new("InvalidBundle", format!("Project {project}: bundle {bundle}: {problem}"))
}

/// Without its files nothing is known of what the environment should be, so nothing of it is touched.
fn unavailable(wish: &Wish, error: &sources::Error) -> Refusal {
    let refusal = refuse(wish, &crate::cluster::error::chain(error));
    if error.is_about_content() {
        return refusal;
    }
    let again = match error.class() {
        Class::Transient | Class::RateLimited(None) => UNAVAILABLE,
        Class::RateLimited(Some(wait)) => wait.max(UNAVAILABLE),
        Class::NeedsAttention => refusal.again,
    };
    Refusal {
        reason: "BundleUnavailable",
        message: format!("{}; what runs keeps running", refusal.message),
        again,
    }
}

/// A source that fails is asked again after this time.
const UNAVAILABLE: Duration = Duration::from_secs(10);

fn lines(problems: &[impl std::fmt::Display]) -> String {
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn allowed_kinds(wish: &Wish) -> Result<AllowedKinds, Refusal> {
    let read = |text: &String| {
        text.parse().map_err(|error| {
            Refusal::new(
                "InvalidProject",
                format!("Project {}: spec.policy.kinds: {error}", wish.project.key.name),
            )
        })
    };
    let added: Result<Vec<_>, _> = wish.project.kinds.iter().map(read).collect();
    Ok(AllowedKinds::with(added?))
}

fn context(wish: &Wish) -> RenderContext {
    RenderContext {
        branch: wish.identity.branch.clone(),
        revision: wish.identity.revision.clone(),
        pull_request: wish.pull_request.clone(),
        repository_id: wish.identity.repository.clone(),
        repository_name: wish.project.repository.clone(),
        project: wish.project.key.clone(),
        environment: wish.identity.name.clone(),
        address: Address {
            scheme: if wish.project.https { Scheme::Https } else { Scheme::Http },
            domain: wish.project.domain.clone(),
            port: wish.url_port,
        },
        is_first_deploy: wish.is_first_deploy,
        values: vec![
            Layer::new(Origin::Project, wish.project.values.clone()),
            Layer::new(Origin::Environment, wish.values.clone()),
        ],
    }
}

fn fence(wish: &Wish) -> Fence<'_> {
    Fence {
        environment: &wish.identity.name,
        environment_uid: &wish.identity.uid,
        branch: wish.identity.branch.as_str(),
        project: &wish.project.key,
        guardrails: &wish.project.guardrails,
        deployer: &wish.project.deployer,
        deployer_role: &wish.deployer_role,
    }
}

fn addresses(context: &RenderContext, objects: &[Manifest]) -> Addresses {
    let rules = objects
        .iter()
        .filter(|manifest| manifest.key.kind == "Ingress")
        .filter_map(|manifest| manifest.body.pointer("/spec/rules")?.as_array());
    let hosts: BTreeSet<&str> = rules.flatten().filter_map(|rule| rule.get("host")?.as_str()).collect();
    let url = context.address.url(&context.environment);
    let own = context.address.host(&context.environment);
    Addresses {
        urls: hosts.iter().map(|host| url.replacen(&own, host, 1)).collect(),
        url,
    }
}
