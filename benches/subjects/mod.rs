//! What is timed: the same inputs for every benchmark of the pure parts.
#![allow(dead_code, reason = "each benchmark uses its part of the subjects")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has no figure")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use graftling::api::convert;
use graftling::api::environment::EnvironmentStatus;
use graftling::api::{Environment, Project};
use graftling::domain::bundle::{Bundle, BundleFiles};
use graftling::domain::event::Delivery;
use graftling::domain::git::{BranchName, Listing, Provider, Repository};
use graftling::domain::guardrails::{self, Fence};
use graftling::domain::inventory::Inventory;
use graftling::domain::manifest::{Admission, AllowedKinds, Manifest, admit};
use graftling::domain::name::{EnvironmentName, Identity};
use graftling::domain::observed::{LiveObject, Marks};
use graftling::domain::outcome::{self, Outcome};
use graftling::domain::plan::deploy::{self, Desired};
use graftling::domain::plan::{Apply, Observed, Plan, Step};
use graftling::domain::policy;
use graftling::domain::render::{self, Address, Layer, Origin, RenderContext, Scheme};
use graftling::domain::roster::{self, ApprovedForks, ChangedPaths, Existing, Facts, Question, Roster};
use graftling::domain::status::{self, Report};
use graftling::githost::{payload, signature};
use graftling::render::load_directory;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use secrecy::SecretString;
use serde_json::{Value, json};

/// So many parts of the reference bundle give 498 objects.
pub const PARTS: usize = 123;
const HOST: &str = "https://git.example.com";
const UID: &str = "00000000-0000-4000-8000-000000000001";

/// A delivery as GitHub sends it, of about ten kilobytes, with its signature.
pub struct Signed {
    secret: SecretString,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Signed {
    /// A push with many commits.
    pub fn push() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads/github/push.json");
        let mut push: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let commit = json!({ "id": "b7e05c1d9a3f4e628c5b0d7a1f3e9c2b4d6a8f22", "message": "Change one more thing, for a reason", "modified": ["src/a.rs"] });
        let mut commits = Vec::new();
        while serde_json::to_vec(&push).unwrap().len() < 10 * 1024 {
            commits.push(commit.clone());
            push["commits"] = json!(commits);
        }
        let (secret, body) = (SecretString::from("it is a secret"), serde_json::to_vec(&push).unwrap());
        let (name, value) = signature::signed(Provider::Github, &secret, &body);
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(&value).unwrap());
        headers.insert("x-github-event", HeaderValue::from_static("push"));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Self { secret, headers, body }
    }

    /// The same with one byte of the body changed.
    pub fn forged() -> Self {
        let mut signed = Self::push();
        let last = signed.body.len() - 2;
        signed.body[last] ^= 1;
        signed
    }

    /// Verifies it and, if it is genuine, reads it.
    pub fn read(&self) -> Option<Delivery> {
        signature::verify(Provider::Github, &self.secret, &self.headers, &self.body, Timestamp::UNIX_EPOCH).ok()?;
        Some(payload::parse(Provider::Github, &self.headers, &self.body).unwrap())
    }
}

fn project() -> policy::Project {
    let project: Project = serde_json::from_value(json!({
        "apiVersion": "graftling.dev/v1alpha1", "kind": "Project", "metadata": { "name": "shop", "namespace": "team" },
        "spec": {
            "gitHostRef": { "name": "git" }, "repository": "acme/shop", "bundle": { "name": "e14" }, "domain": "preview.example.com",
            "branches": { "include": ["**"], "exclude": ["main", "wip/**"], "protected": ["release/**"] },
        },
    }))
    .unwrap();
    convert::project::project(&project).unwrap()
}

/// The name of the environment of a branch.
pub fn name_of(branch: &BranchName) -> EnvironmentName {
    EnvironmentName::compute(Identity {
        host_url: HOST,
        repository: &"7".parse().unwrap(),
        branch,
        project: &"team/shop".parse().unwrap(),
    })
}

/// A repository and the environments of its branches.
pub struct Branches {
    project: policy::Project,
    facts: Facts,
    existing: Vec<Arc<Existing>>,
}

impl Branches {
    /// So many branches, of which nine of ten have their environment already, one of a hundred at an older revision.
    pub fn many(count: usize) -> Self {
        let branch = |number: usize| -> BranchName { format!("feature/team-{}/change-{number}", number % 17).parse().unwrap() };
        // Forty zeros are no revision.
        let head = |number: usize| format!("{:040x}", number + 1);
        let mut heads: BTreeMap<_, _> = (0..count).map(|number| (branch(number), head(number).parse().unwrap())).collect();
        heads.insert("main".parse().unwrap(), "a".repeat(40).parse().unwrap());
        let with_environment = (0..count).filter(|number| number % 10 != 0);
        let existing = with_environment.map(|number| Existing {
            name: name_of(&branch(number)),
            uid: format!("uid-{number}"),
            branch: branch(number),
            repository: "7".parse().unwrap(),
            revision: head(if number % 100 == 1 { 0 } else { number }),
            pull_request: None,
            grace: None,
            active: None,
            pinned: false,
            deleting: false,
        });
        let repository = Repository {
            id: "7".parse().unwrap(),
            name: "acme/shop".parse().unwrap(),
            default_branch: Some("main".parse().unwrap()),
        };
        Self {
            project: project(),
            existing: existing.map(Arc::new).collect(),
            facts: Facts::Listing(Listing {
                repository,
                branches: heads,
                pull_requests: Vec::new(),
            }),
        }
    }

    /// What is to be done about them.
    pub fn decide(&self) -> Roster {
        roster::decide(&Question {
            project: &self.project,
            host_url: HOST,
            facts: &self.facts,
            existing: &self.existing,
            absences: &BTreeMap::new(),
            now: Duration::from_secs(60),
            confirmation: Duration::from_secs(30),
            released: None,
            held: None,
            ended: &[],
            closures: &BTreeMap::new(),
            changed_paths: &ChangedPaths::default(),
            approved_forks: &ApprovedForks::default(),
            tells_pull_requests: true,
            server_time: Some(Timestamp::UNIX_EPOCH),
        })
    }
}

/// What an environment is to consist of, and what is there.
pub struct Deployment {
    environment: EnvironmentName,
    desired: Desired,
    inventory: Inventory,
    observed: Observed,
}

impl Deployment {
    /// The reference bundle, with so many more parts, of which nothing is there yet.
    pub fn fresh(count: usize) -> Self {
        let context = context(parts(count));
        let (environment, key, project) = (context.environment.clone(), context.project.clone(), project());
        let bundle = Bundle::parse(reference().files()).unwrap();
        let admission = Admission {
            namespace: &environment.namespace(),
            environment: &environment,
            project: &key,
            domain: &context.address.domain,
            kinds: &AllowedKinds::default(),
        };
        let objects = admit(render::render(&bundle, &context).unwrap().documents, &admission).unwrap();
        let fence = Fence {
            environment: &environment,
            environment_uid: UID,
            branch: "feature/login",
            project: &key,
            guardrails: &project.guardrails,
            deployer: &project.deployer,
            deployer_role: &"deployer".parse().unwrap(),
        };
        let desired = Desired {
            namespace: guardrails::namespace(&fence),
            guardrails: guardrails::guardrails(&fence),
            objects,
            held: Default::default(),
        };
        Self {
            environment,
            desired,
            inventory: Inventory::default(),
            observed: Observed::new(),
        }
    }

    /// The same when everything is there as it was applied.
    pub fn quiet(parts: usize) -> Self {
        let mut deployment = Self::fresh(parts);
        let outcomes = deployment.outcomes();
        deployment.inventory = deployment.plan().write_ahead;
        outcome::absorb(&mut deployment.inventory, &outcomes);
        let live = outcomes.into_iter().filter_map(|outcome| match outcome {
            Outcome::Applied { live, .. } => Some((live.key.clone(), *live)),
            _ => None,
        });
        deployment.observed = live.collect();
        deployment
    }

    /// What to write next.
    pub fn plan(&self) -> Plan {
        deploy::plan(&self.environment, UID, &self.desired, &self.inventory, &self.observed)
    }

    /// What comes of the plan where the API server takes everything.
    pub fn outcomes(&self) -> Vec<Outcome> {
        let applies = self.plan().steps.into_iter().flat_map(|step| match step {
            Step::Apply(applies) => applies,
            Step::Delete(_) => Vec::new(),
        });
        applies.enumerate().map(|(number, apply)| applied(number, &apply)).collect()
    }

    /// The inventory before the first of these writes.
    pub fn written_ahead(&self) -> Inventory {
        self.plan().write_ahead
    }
}

/// The reference bundle.
pub fn reference() -> BundleFiles {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundles/e14");
    load_directory(&path).unwrap()
}

/// The values by which the reference bundle has so many parts.
pub fn parts(count: usize) -> Value {
    let parts: Vec<String> = (0..count).map(|number| format!("part-{number}")).collect();
    json!({ "parts": parts })
}

/// What templates see of the branch `feature/login`.
pub fn context(values: Value) -> RenderContext {
    RenderContext {
        branch: "feature/login".parse().unwrap(),
        revision: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        pull_request: None,
        repository_id: "7".parse().unwrap(),
        repository_name: "acme/shop".parse().unwrap(),
        project: "team/shop".parse().unwrap(),
        environment: name_of(&"feature/login".parse().unwrap()),
        address: Address {
            scheme: Scheme::Https,
            domain: "preview.example.com".parse().unwrap(),
            port: None,
        },
        is_first_deploy: true,
        values: vec![Layer::new(Origin::Project, values.as_object().unwrap().clone())],
    }
}

fn applied(number: usize, apply: &Apply) -> Outcome {
    let marks = Marks {
        field_manager: "graftling",
        environment_label: "graftling.dev/environment",
        environment_uid_annotation: "graftling.dev/environment-uid",
    };
    let body = as_stored(number, &apply.manifest);
    Outcome::Applied {
        stage: apply.stage,
        digest: apply.manifest.recorded_digest(),
        live: Box::new(LiveObject::from_body(apply.manifest.key.clone(), &body, marks).unwrap()),
    }
}

/// A manifest as the API server would answer with it.
fn as_stored(number: usize, manifest: &Manifest) -> Value {
    let mut body = Value::clone(&manifest.body);
    body["metadata"]["uid"] = json!(format!("uid-{number}"));
    body["metadata"]["resourceVersion"] = json!((1_000 + number).to_string());
    body["metadata"]["managedFields"] = json!([{ "manager": "graftling", "operation": "Apply", "fieldsV1": { "f:metadata": {} } }]);
    body
}

/// An environment, and what is concluded about it.
pub struct Conclusion {
    environment: Environment,
    identity: convert::environment::Identity,
    plan: Plan,
    outcomes: Vec<Outcome>,
}

impl Conclusion {
    /// About a deployment of which everything was written just now.
    pub fn of(deployment: &Deployment) -> Self {
        let environment: Environment = serde_json::from_value(json!({
            "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment",
            "metadata": { "name": deployment.environment.as_str(), "namespace": "team", "uid": UID },
            "spec": {
                "projectRef": { "name": "shop" }, "branch": "feature/login", "repositoryId": "7",
                "revision": "0123456789abcdef0123456789abcdef01234567",
            },
        }))
        .unwrap();
        Self {
            identity: convert::environment::identity(&environment).unwrap(),
            environment,
            plan: deployment.plan(),
            outcomes: deployment.outcomes(),
        }
    }

    /// The status as it would be stored.
    pub fn status(&self) -> EnvironmentStatus {
        let report: Report = status::summarise_deployment(&self.plan, &self.outcomes);
        convert::environment::status(&self.environment, &self.identity, &report, &Time(Timestamp::UNIX_EPOCH))
    }
}
