//! Looking at a world: what statuses, Events and the audit log say.

use std::collections::BTreeMap;

use graftling::api::environment::Phase;
use graftling::api::{Environment, GitHostStatus, ProjectStatus};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::audit::{AuditEvent, Position};
use testbed::github::FakeGithub;
use testbed::{Repository, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{LONG, Options, Server, WEBHOOK_SECRET, World, merge};

impl World {
    /// A world with a running server, a repository, and Project `shop` over it, which leaves `main` out. `rest` is merged over the
    /// Project's spec.
    pub async fn shop(name: &str, options: Options, rest: Value) -> (Self, Repository) {
        let world = Self::with(name, options).await;
        let repository = Repository::create().unwrap();
        world.project("shop", &repository, without_main(rest)).await;
        (world, repository)
    }

    /// Makes a GitHost `name` for a stand-in of GitHub.
    pub async fn github_host(&self, name: &str, fake: &FakeGithub) {
        self.secret("webhook", "secret", WEBHOOK_SECRET).await;
        let spec = json!({ "provider": "github", "url": fake.url(), "webhook": { "secret": { "name": "webhook" } } });
        let _: graftling::api::GitHost = self.apply("GitHost", name, json!({ "spec": spec })).await;
    }

    /// The address of a GitHost's webhook endpoint.
    pub fn endpoint(&self, server: &Server, host: &str) -> String {
        format!("{}/hooks/{}/{host}", server.webhook, self.namespace.name())
    }

    /// The Environment of a branch of one Project.
    pub async fn environment_of(&self, project: &str, branch: &str) -> Option<Environment> {
        let params = ListParams::default().fields(&format!("spec.branch={branch}"));
        let all = self.environments().list(&params).await.unwrap().items;
        all.into_iter().find(|environment| environment.spec.project_ref.name == project)
    }

    /// Waits until a branch is ready at a revision.
    pub async fn wait_ready(&self, branch: &str, revision: &str) -> Environment {
        self.wait_for(branch, Phase::Ready, revision).await
    }

    /// Waits until an Environment is as it should be.
    pub async fn wait_until(&self, branch: &str, what: &str, holds: impl Fn(&Environment) -> bool) -> Environment {
        wait::until(format!("Environment of {branch} {what}"), LONG, || async {
            match self.environment(branch).await {
                Some(environment) if holds(&environment) => Ok(environment),
                Some(environment) => Err(format!("{:?}", environment.status)),
                None => Err("no Environment".to_owned()),
            }
        })
        .await
    }

    /// The UID of every Environment that is not being torn down, by `project/branch`.
    pub async fn alive(&self) -> BTreeMap<String, String> {
        let all = self.environments().list(&ListParams::default()).await.unwrap();
        let alive = all
            .items
            .into_iter()
            .filter(|environment| environment.metadata.deletion_timestamp.is_none());
        alive
            .map(|environment| {
                let place = format!("{}/{}", environment.spec.project_ref.name, environment.spec.branch);
                (place, environment.uid().unwrap())
            })
            .collect()
    }

    /// Waits until the status of a Project is as it should be.
    pub async fn wait_for_project(&self, name: &str, what: &str, holds: impl Fn(&ProjectStatus) -> bool) -> ProjectStatus {
        wait::until(format!("Project {name} {what}"), LONG, || async {
            let status = self.projects().get(name).await.unwrap().status.unwrap_or_default();
            if holds(&status) { Ok(status) } else { Err(format!("{status:?}")) }
        })
        .await
    }

    /// Waits until the status of a GitHost is as it should be.
    pub async fn wait_for_host(&self, name: &str, what: &str, holds: impl Fn(&GitHostStatus) -> bool) -> GitHostStatus {
        wait::until(format!("GitHost {name} {what}"), LONG, || async {
            let status = self.git_hosts().get(name).await.unwrap().status.unwrap_or_default();
            if holds(&status) { Ok(status) } else { Err(format!("{status:?}")) }
        })
        .await
    }

    /// Changes the spec of a Project.
    pub async fn patch_project(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.projects().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Changes the spec of an Environment.
    pub async fn patch_environment(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.environments().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The UID of a namespace, while it exists.
    pub async fn namespace_uid(&self, name: &str) -> Option<String> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.get_opt(name).await.unwrap().and_then(|namespace| namespace.uid())
    }

    /// What the sample bundle wrote into the ConfigMap of an environment.
    pub async fn settings_of(&self, environment: &Environment) -> BTreeMap<String, String> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &environment.name_any());
        api.get("settings").await.unwrap().data.unwrap_or_default()
    }

    /// The notes of Events with a reason in the world's namespace.
    pub async fn events(&self, reason: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), self.namespace.name());
        let all = api.list(&ListParams::default()).await.unwrap().items;
        let with_reason = all.into_iter().filter(|event| event.reason.as_deref() == Some(reason));
        with_reason.filter_map(|event| event.note).collect()
    }

    /// Waits until some Event has this reason: it is written after the status that it tells of, and is the last write of a pass.
    pub async fn wait_for_event(&self, reason: &str) {
        wait::until(format!("an Event {reason}"), LONG, || async {
            (!self.events(reason).await.is_empty()).then_some(())
        })
        .await;
    }

    /// The value of a series of the world's server, by its whole text before the value.
    pub async fn metric(&self, series: &str) -> f64 {
        let answer = self.metrics().await;
        let line = answer.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in {answer}")).trim().parse().unwrap()
    }

    /// Everything that the world's server counts, by a request as plain as can be.
    pub async fn metrics(&self) -> String {
        let address = self.server().admin.trim_start_matches("http://").to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// What the world's server tried to write since `position`, on its own behalf or another's, besides Leases.
    pub fn writes_since(&self, position: Position) -> Vec<AuditEvent> {
        let user = self.server_user();
        let ours = |event: &AuditEvent| event.user == user && event.is_write() && event.resource != "leases";
        self.plane.audit().matching(position, ours)
    }
}

/// `rest` over branches that leave `main` out.
pub fn without_main(rest: Value) -> Value {
    let mut spec = json!({ "branches": { "exclude": ["main"] } });
    merge(&mut spec, rest);
    spec
}

/// The reason of the condition `Ready`.
pub fn ready_reason(conditions: &[Condition]) -> &str {
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.map(|condition| condition.reason.as_str()).unwrap_or_default()
}
