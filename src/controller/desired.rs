//! From what is asked for to the objects that an environment should consist of.

mod failure;
mod record;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use self::failure::{Failure, refuse, unavailable};
pub use self::record::{admission, admit_record, fence_alone};
use super::sources::Sources;
use crate::api::Environment;
use crate::api::convert::environment::{Identity, pull_request_to_domain};
use crate::api::convert::first_deploy::is_first_deploy;
use crate::domain::bundle::pipeline::{Condition, when};
use crate::domain::bundle::{Bundle, BundleFiles, Problem, summary};
use crate::domain::git::{Commit, PullRequest};
use crate::domain::guardrails::{self, Fence};
use crate::domain::manifest::{AllowedKinds, Manifest, ObjectKey, admit};
use crate::domain::name::ObjectName;
use crate::domain::plan::deploy;
use crate::domain::policy::Project;
use crate::domain::render::{Address, BRANCH_FILE, Layer, Layered, RenderContext, Scheme, layer_values, value_problems};
use crate::domain::run::Staged;
use crate::metrics::{Metrics, RenderResult};
use crate::render::{Renderer, SandboxLevel};

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
    pub project: Arc<Project>,
    /// The open pull request from its branch.
    pub pull_request: Option<PullRequest>,
    /// The default branch and its head, as the last look at the repository saw it.
    pub default_branch: Option<Commit>,
    /// Values for this environment alone.
    pub values: Map<String, Value>,
    /// Whether no other revision was ever applied to it.
    pub is_first_deploy: bool,
    /// The ClusterRole of deployers.
    pub deployer_role: ObjectName,
    /// The port in URLs.
    pub url_port: Option<u16>,
}

/// What an environment should be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Its objects, all of them.
    pub objects: deploy::Desired,
    /// The same, stage by stage.
    pub staged: Staged,
    /// Where it will be found.
    pub addresses: Addresses,
    /// The digest of what makes a run another one.
    pub digest: String,
    /// Whether it was rendered; else it comes from a record.
    pub is_rendered: bool,
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
    /// Whether the branch has left the commit that is asked for: the next look at the repository asks for another one.
    pub is_outdated: bool,
}

impl Refusal {
    /// A refusal that is looked at again after half a minute.
    pub fn new(reason: &'static str, message: String) -> Self {
        Self {
            reason,
            message,
            again: Duration::from_secs(30),
            is_outdated: false,
        }
    }
}

impl Wish {
    /// What an Environment asks for under its Project's settings.
    pub fn new(
        environment: &Environment,
        identity: &Identity,
        project: Arc<Project>,
        deployer_role: ObjectName,
        url_port: Option<u16>,
    ) -> Self {
        let pull_request = environment.spec.pull_request.as_ref();
        // The branch cannot change, so nobody takes an environment out of this class.
        let project = match identity.branch.pull_request() {
            Some(_) => Arc::new(project.as_ref().clone().for_fork()),
            None => project,
        };
        Self {
            identity: identity.clone(),
            project,
            pull_request: pull_request.map(|pull| pull_request_to_domain(pull, &identity.branch)),
            default_branch: None,
            values: environment.spec.values.clone(),
            is_first_deploy: is_first_deploy(environment.status.as_ref(), &identity.revision),
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

impl Addresses {
    /// The host in the main URL.
    pub fn host(&self) -> &str {
        host_of(&self.url)
    }
}

/// The host in a URL, without its port.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split([':', '/']).next().unwrap_or_default()
}

impl Desired {
    /// Why a condition of a stage does not hold. `changed` are the files that have changed, where that is known.
    pub fn unmet(&self, wish: &Wish, condition: &Condition, changed: Option<&[String]>) -> Option<String> {
        let facts = when::Facts {
            is_first_deploy: wish.is_first_deploy,
            branch: wish.identity.branch.as_str(),
            changed,
        };
        when::unmet(condition, &facts)
    }

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
            Err(failure) => failure.result,
        });
        if let Some(level) = self.renderer.level() {
            self.metrics.render_filtered(level == SandboxLevel::Filtered);
        }
        desired.map_err(|failure| failure.refusal)
    }

    /// The values that the environment is rendered with, and what the bundle does not accept of them.
    ///
    /// # Errors
    /// As [`Self::desired`].
    pub async fn values(&self, wish: &Wish) -> Result<(Layered, Vec<Problem>), Refusal> {
        let files = self.load(wish).await?;
        let layers = self.layers(wish, &files).await.map_err(|failure| failure.refusal)?;
        let bundle = Bundle::parse(files.files()).map_err(|problems| refuse(wish, &summary(&problems)))?;
        let layered = layer_values(bundle.values(), &layers);
        let problems = value_problems(&bundle, &layered);
        Ok((layered, problems))
    }

    async fn try_desired(&self, wish: &Wish) -> Result<Desired, Failure> {
        let files = self.load(wish).await?;
        let context = context(wish, self.layers(wish, &files).await?);
        let rendered = self.renderer.render(&files, context.clone()).await;
        let rendered = rendered.map_err(|error| Failure::new(wish, &error))?;
        let kinds = allowed_kinds(wish)?;
        let namespace = wish.identity.name.namespace();
        let objects =
            admit(rendered.documents, &admission(wish, &namespace, &kinds)).map_err(|refusals| refuse(wish, &summary(&refusals)))?;
        let pipeline = rendered.pipeline.as_ref();
        let refusals = pipeline.map(|pipeline| pipeline.check_outputs(&objects)).unwrap_or_default();
        if !refusals.is_empty() {
            return Err(refuse(wish, &summary(&refusals)).into());
        }
        let fence = fence(wish);
        let staged = Staged::new(rendered.pipeline.as_ref(), objects.clone());
        Ok(Desired {
            addresses: addresses(&context, &objects),
            digest: staged.digest(),
            is_rendered: true,
            staged,
            objects: deploy::Desired {
                namespace: guardrails::namespace(&fence),
                guardrails: guardrails::guardrails(&fence),
                objects,
                held: BTreeSet::new(),
            },
        })
    }

    /// The layers of values over the bundle's defaults.
    async fn layers(&self, wish: &Wish, files: &Arc<BundleFiles>) -> Result<Vec<Layer>, Failure> {
        let file = self.branch_file(wish, files).await?;
        Ok(wish.project.layers(&wish.identity.branch, file, &wish.values))
    }

    /// The layer of the branch's own file, which is fetched only where the Project lets the branch set anything.
    async fn branch_file(&self, wish: &Wish, files: &Arc<BundleFiles>) -> Result<Option<Layer>, Failure> {
        let allowed = &wish.project.branch_file;
        if allowed.is_empty() {
            return Ok(None);
        }
        let file = self.sources.branch_file(wish, BRANCH_FILE).await;
        let Some(bytes) = file.map_err(|error| unavailable(wish, BRANCH_FILE, &error))? else {
            return Ok(None);
        };
        let layer = self.renderer.branch_file(files, bytes, allowed.clone()).await;
        layer.map(Some).map_err(|error| Failure::new(wish, &error))
    }

    async fn load(&self, wish: &Wish) -> Result<Arc<BundleFiles>, Refusal> {
        let bundle = format!("bundle {}", wish.project.bundle);
        self.sources.files(wish).await.map_err(|error| unavailable(wish, &bundle, &error))
    }
}

/// The kinds that an environment may consist of.
///
/// # Errors
/// The Project names a kind in a way that cannot be read.
pub fn allowed_kinds(wish: &Wish) -> Result<AllowedKinds, Refusal> {
    let project = &wish.project;
    AllowedKinds::of(project).map_err(|error| {
        let message = format!("Project {}: spec.policy.kinds: {error}", project.key.name);
        Refusal::new("InvalidProject", message)
    })
}

fn context(wish: &Wish, values: Vec<Layer>) -> RenderContext {
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
        values,
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
