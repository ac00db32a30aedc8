//! A world with one Project, one repository and a bundle that the test writes itself.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set is the test's failure")]

use std::fs;
use std::path::PathBuf;

use graftling::api::Environment;
use graftling::api::environment::{EnvironmentStatus, Phase};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{AuditEvent, Position, Repository, wait};

use crate::world::objects;
use crate::world::{LONG, Options, World, repository_name};

/// A Deployment `web` under a ServiceAccount of its own, with a ConfigMap and a Secret. Only the Deployment depends on the revision.
pub const WEB: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {key: not-in-any-log}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers: [{name: web, image: "registry.example/web:1", env: [{name: REVISION, value: {{quote revision}}}]}]
"#;

/// What nearly every environment has: something that is there at once.
pub const CONFIG: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: hello}
"#;

const WEBHOOK_VERSION: &str = "admissionregistration.k8s.io/v1";

/// One Project called `shop` over a repository of its own, whose branches other than `main` get environments.
pub struct Scene {
    pub world: World,
    pub repository: Repository,
    bundles: TempDir,
}

impl Scene {
    /// Sets the scene: the Project uses the bundle `app` with this one template.
    pub async fn start(name: &str, template: &str) -> Self {
        Self::with(name, template, json!({}), &[]).await
    }

    /// Sets the scene with more in the Project's spec and with values of the chart.
    pub async fn with(name: &str, template: &str, project: Value, chart_values: &[&str]) -> Self {
        let (bundles, options) = prepare(template, chart_values);
        let world = World::with(name, options).await;
        Self::on(world, bundles, project).await
    }

    /// Sets the scene with more in the Project's spec and with further arguments of the server.
    pub async fn with_arguments(name: &str, template: &str, project: Value, arguments: &[String]) -> Self {
        let (bundles, options) = prepare(template, &[]);
        let options = Options {
            arguments: arguments.to_vec(),
            ..options
        };
        Self::on(World::with(name, options).await, bundles, project).await
    }

    /// Sets the scene with a proxy between the server and the API server. The tests themselves go around it.
    pub async fn through_proxy(name: &str, template: &str, options: Options) -> Self {
        let (bundles, prepared) = prepare(template, &[]);
        let options = Options {
            bundles: prepared.bundles,
            proxied: true,
            ..options
        };
        Self::on(World::with(name, options).await, bundles, json!({})).await
    }

    /// Sets the scene on a control plane of its own, for what would disturb others.
    pub async fn apart(name: &str, template: &str) -> Self {
        let (bundles, options) = prepare(template, &[]);
        let mut world = World::apart(name, options).await;
        world.start_server().await;
        Self::on(world, bundles, json!({})).await
    }

    /// Sets the scene where pods really run. Nothing where no node can run: then the test is skipped, and has said so.
    pub async fn on_node(name: &str, template: &str, project: Value) -> Option<Self> {
        let (bundles, options) = prepare(template, &[]);
        let world = World::on_node(name, options).await?;
        Some(Self::on(world, bundles, project).await)
    }

    async fn on(world: World, bundles: TempDir, project: Value) -> Self {
        let repository = Repository::create().unwrap();
        let mut spec = json!({ "bundle": { "name": "app" }, "branches": { "exclude": ["main"] } });
        crate::world::merge(&mut spec, project);
        world.project("shop", &repository, spec).await;
        Self {
            world,
            repository,
            bundles,
        }
    }

    /// Replaces the template; it counts from the next look at an environment on.
    pub fn template(&self, template: &str) {
        write_bundle(self.bundle_folder(), template);
    }

    /// Where the bundle is.
    pub fn bundle_folder(&self) -> PathBuf {
        self.bundles.path().join("app")
    }

    /// Pushes to a branch and returns the revision.
    pub fn push(&self, branch: &str) -> String {
        self.repository.commit(branch, &[]).unwrap()
    }

    /// Pushes a branch and waits until its environment is ready.
    pub async fn up(&self, branch: &str) -> Environment {
        let revision = self.push(branch);
        self.world.wait_for(branch, Phase::Ready, &revision).await
    }

    /// Pushes nothing and hints at the branch, as a repeated delivery of a webhook does.
    pub async fn hint(&self, branch: &str) {
        let revision = self.repository.head(branch).unwrap().unwrap();
        let name = repository_name(&self.repository);
        let answer = self
            .world
            .hint("git", &name, &format!("refs/heads/{branch}"), &revision, &revision)
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// Asks for the end of an environment whose branch still exists.
    pub async fn delete(&self, environment: &Environment) {
        self.suspend_project().await;
        let api = self.world.environments();
        api.delete(&environment.name_any(), &DeleteParams::default()).await.unwrap();
    }

    /// From now on nothing is created for branches, so that an environment deleted by hand stays deleted.
    pub async fn suspend_project(&self) {
        self.change_project(json!({ "suspend": true })).await;
    }

    /// Changes the spec of the Project.
    pub async fn change_project(&self, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.world.projects().patch("shop", &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the message of a branch's environment contains all of `words`, in this phase.
    pub async fn told(&self, branch: &str, phase: Phase, words: &[&str]) -> EnvironmentStatus {
        wait::until(format!("{phase:?} {branch} that tells {words:?}"), LONG, || async {
            let environment = self.world.environment(branch).await.ok_or("no Environment".to_owned())?;
            let status = environment.status.unwrap_or_default();
            let message = status.message.clone().unwrap_or_default();
            let told = status.phase == Some(phase) && words.iter().all(|word| message.contains(word));
            if told {
                Ok(status)
            } else {
                Err(format!("{:?}: {message}", status.phase))
            }
        })
        .await
    }

    /// An object as it is now.
    pub async fn read(&self, version: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let api = objects::api(&self.world.client, version, kind, Some(namespace)).await;
        api.get_opt(name).await.unwrap().map(|object| json!(object))
    }

    /// Its UID; the object must exist.
    pub async fn uid(&self, version: &str, kind: &str, namespace: &str, name: &str) -> String {
        let object = self.read(version, kind, namespace, name).await;
        object.unwrap_or_else(|| panic!("no {kind} {name}"))["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until an object is there under another UID than `before`.
    pub async fn anew(&self, version: &str, kind: &str, namespace: &str, name: &str, before: &str) -> Value {
        wait::until(format!("new {kind} {name}"), LONG, || async {
            let object = self.read(version, kind, namespace, name).await?;
            (object["metadata"]["uid"] != before && object["metadata"]["deletionTimestamp"].is_null()).then_some(object)
        })
        .await
    }

    /// Deletes an object as the admin.
    pub async fn remove(&self, version: &str, kind: &str, namespace: &str, name: &str) {
        let api = objects::api(&self.world.client, version, kind, Some(namespace)).await;
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        api.delete(name, &params).await.unwrap();
    }

    /// Changes an object by hand: an update under the field manager `kubectl-edit`.
    pub async fn edit(&self, version: &str, kind: &str, namespace: &str, name: &str, patch: Value) {
        let api = objects::api(&self.world.client, version, kind, Some(namespace)).await;
        let params = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PatchParams::default()
        };
        api.patch(name, &params, &Patch::Merge(patch)).await.unwrap();
    }

    /// Has the API server ask an admission webhook that is down about each of these operations on ConfigMaps, in the namespace of this
    /// environment alone: other tests share the control plane. Answers with the name of the configuration.
    pub async fn webhook_is_down(&self, environment: &Environment, webhook: &str, operations: &[&str]) -> String {
        let configuration = format!("{}-down", self.world.namespace.name());
        let body = json!({ "webhooks": [{
            "name": webhook, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 2,
            "clientConfig": { "url": "https://127.0.0.1:1/ask" },
            "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": operations }],
            "namespaceSelector": { "matchLabels": { "graftling.dev/environment": environment.name_any() } },
        }]});
        self.world
            .create(WEBHOOK_VERSION, "ValidatingWebhookConfiguration", None, &configuration, body)
            .await;
        configuration
    }

    /// Removes the webhook again.
    pub async fn webhook_is_gone(&self, configuration: &str) {
        self.remove(WEBHOOK_VERSION, "ValidatingWebhookConfiguration", "", configuration)
            .await;
    }

    /// Makes the server look at an environment at once: what is not ours is not watched, and would be seen half a minute later.
    pub async fn nudge(&self, environment: &Environment) {
        let patch = json!({ "metadata": { "annotations": { "example.com/nudge": format!("{:?}", self.position()) } } });
        let name = environment.name_any();
        self.edit("v1", "Namespace", "", &name, patch).await;
    }

    /// The end of the audit log.
    pub fn position(&self) -> Position {
        self.world.plane.audit().position()
    }

    /// The writes of this world's server since `position`, whoever it acted as.
    pub fn writes(&self, position: Position) -> Vec<AuditEvent> {
        let user = self.world.server_user();
        let ours = |event: &AuditEvent| event.user == user && event.is_write();
        let mut events = self.world.plane.audit().matching(position, ours);
        events.sort_by_key(|event| event.request_received);
        events
    }

    /// The branches' namespaces are named as their environments: what the server wrote inside of one, as short texts.
    pub fn writes_inside(&self, position: Position, environment: &Environment) -> Vec<String> {
        let namespace = environment.name_any();
        let inside = |event: &&AuditEvent| event.namespace == namespace && !event.name.starts_with("graftling-run-");
        self.writes(position).iter().filter(inside).map(short).collect()
    }
}

fn prepare(template: &str, chart_values: &[&str]) -> (TempDir, Options) {
    let bundles = tempfile::tempdir().unwrap();
    write_bundle(bundles.path().join("app"), template);
    let options = Options {
        bundles: bundles.path().to_owned(),
        chart_values: chart_values.iter().map(ToString::to_string).collect(),
        ..Options::default()
    };
    (bundles, options)
}

/// `patch deployments web`, or `patch pods/status x 409` if it did not succeed.
pub fn short(event: &AuditEvent) -> String {
    let subresource = if event.subresource.is_empty() {
        String::new()
    } else {
        format!("/{}", event.subresource)
    };
    let code = if event.code < 300 {
        String::new()
    } else {
        format!(" {}", event.code)
    };
    format!("{} {}{subresource} {}{code}", event.verb, event.resource, event.name)
}

/// Writes a bundle of one template.
pub fn write_bundle(folder: PathBuf, template: &str) {
    fs::create_dir_all(folder.join("templates")).unwrap();
    fs::write(folder.join("bundle.yaml"), "name: app\nversion: 0.1.0\n").unwrap();
    // By rename: the server may read at any time.
    let draft = folder.with_extension("draft");
    fs::write(&draft, template).unwrap();
    fs::rename(&draft, folder.join("templates/all.yaml")).unwrap();
}
