//! What people do to live objects by hand.

use jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};

use super::super::model::Effect;
use super::super::observed::{is_ending, text};
use super::super::operation::{Branch, Operation, Target};
use super::{Error, Foreign, Machine};

/// The finalizer of somebody who is in no hurry.
const HOLD: &str = "storm.example.com/hold";

const OURS: &str = "graftling.dev/v1alpha1";

/// The API of a kind, without asking the server for it.
pub(super) fn api(client: &kube::Client, version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// A change of a field that we apply.
fn edit(target: Target) -> Value {
    match target {
        Target::Settings => json!({ "data": { "greeting": "by hand" } }),
        Target::Keys => json!({ "stringData": { "key": "by hand" } }),
        Target::Web => {
            json!({ "spec": { "template": { "spec": { "containers": [{ "name": "web", "image": "registry.example/other:1" }] } } } })
        }
        Target::Account => json!({ "metadata": { "labels": { "graftling.dev/project": "another" } } }),
        Target::Quota => json!({ "spec": { "hard": { "pods": "3" } } }),
        Target::Binding => json!({ "metadata": { "labels": { "graftling.dev/project": "another" } } }),
    }
}

/// A change of our label alone.
fn labelled(environment: &Value) -> Value {
    json!({ "metadata": { "labels": { "graftling.dev/environment": environment } } })
}

impl Machine {
    pub(super) async fn by_hand(&mut self, operation: &Operation) -> Result<Effect, Error> {
        match operation {
            Operation::Edit(branch, target) => self.change(*branch, *target, edit(*target)).await,
            Operation::Unlabel(branch, target) => self.change(*branch, *target, labelled(&Value::Null)).await,
            Operation::Remove(branch, target) => {
                let (version, kind, name) = target.object();
                let Some(namespace) = self.name(*branch).await? else {
                    return Ok(Effect::Nothing);
                };
                self.remove(version, kind, Some(&namespace), name).await
            }
            Operation::Hold(branch) => {
                let effect = self
                    .change(*branch, Target::Settings, json!({ "metadata": { "finalizers": [HOLD] } }))
                    .await?;
                if effect != Effect::Nothing {
                    self.held.push(*branch);
                }
                Ok(effect)
            }
            Operation::Release(branch) => self.release(*branch).await,
            Operation::RemoveNamespace(branch) => self.remove_namespace(*branch).await,
            Operation::RemoveEnvironment(branch) => {
                let Some(name) = self.name(*branch).await? else {
                    return Ok(Effect::Nothing);
                };
                let namespace = self.subject.namespace().to_owned();
                self.remove(OURS, "Environment", Some(&namespace), &name).await
            }
            Operation::Sabotage(branch) => self.sabotage(*branch).await,
            _ => self.of_others(operation).await,
        }
    }

    /// Pauses an Environment, and waits until graftling knows: a pass that began before would still mend what is broken next.
    async fn sabotage(&mut self, branch: Branch) -> Result<Effect, Error> {
        let Some(name) = self.name(branch).await? else {
            return Ok(Effect::Nothing);
        };
        let patch = json!({ "spec": { "suspend": true } });
        self.subject.patch("Environment", &name, patch).await.map_err(Error::SetUp)?;
        let knows = |environment: &Value| text(environment, "/status/message").contains("spec.suspend");
        let waited = self.subject.wait_for(branch.name(), "that is paused", knows).await;
        waited.map_err(Error::SetUp)?;
        Ok(Effect::Aside)
    }

    async fn of_others(&mut self, operation: &Operation) -> Result<Effect, Error> {
        match operation {
            Operation::Plant(branch) => self.plant(*branch).await,
            Operation::Unplant(branch) => self.unplant(*branch).await,
            Operation::PlantNamespace(branch) => self.plant_namespace(*branch).await,
            Operation::UnplantNamespace(branch) => {
                let Some(name) = self
                    .names
                    .get(branch)
                    .cloned()
                    .filter(|_| self.model.has_foreign_namespace(*branch))
                else {
                    return Ok(Effect::Nothing);
                };
                self.no_longer_foreign(&name, None);
                self.remove("v1", "Namespace", None, &name).await
            }
            Operation::ReleaseBrake => self.release_brake().await,
            _ => Ok(Effect::Nothing),
        }
    }

    /// The name of a branch's environment, if it ever had one.
    async fn name(&mut self, branch: Branch) -> Result<Option<String>, Error> {
        if !self.names.contains_key(&branch) {
            for environment in self.subject.environments().await.map_err(Error::SetUp)? {
                let of = Branch::all().find(|branch| environment["spec"]["branch"] == branch.name());
                if let Some(of) = of {
                    self.names.insert(of, text(&environment, "/metadata/name").to_owned());
                }
            }
        }
        Ok(self.names.get(&branch).cloned())
    }

    async fn change(&mut self, branch: Branch, target: Target, patch: Value) -> Result<Effect, Error> {
        let Some(namespace) = self.name(branch).await? else {
            return Ok(Effect::Nothing);
        };
        let (version, kind, name) = target.object();
        let params = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PatchParams::default()
        };
        let api = api(self.subject.client(), version, kind, Some(&namespace));
        let patched = api.patch(name, &params, &Patch::Strategic(patch)).await;
        happened(patched, || format!("edit {kind} {name}"))
    }

    async fn remove(&self, version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Result<Effect, Error> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let removed = api(self.subject.client(), version, kind, namespace).delete(name, &params).await;
        happened(removed, || format!("delete {kind} {name}"))
    }

    /// Takes the finalizer off. What the environment is doing meanwhile does not matter.
    pub(super) async fn release(&mut self, branch: Branch) -> Result<Effect, Error> {
        self.held.retain(|held| *held != branch);
        self.change(
            branch,
            Target::Settings,
            json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": [HOLD] } }),
        )
        .await
    }

    async fn remove_namespace(&mut self, branch: Branch) -> Result<Effect, Error> {
        let Some(name) = self.name(branch).await? else {
            return Ok(Effect::Nothing);
        };
        match self.namespace(&name).await? {
            Some(namespace) if !is_ending(&namespace) && namespace["metadata"]["labels"]["whose"].is_null() => {
                // Whatever others put there goes with it.
                for object in self.model.planted(branch) {
                    self.no_longer_foreign(&name, Some(&object));
                }
                self.remove("v1", "Namespace", None, &name).await
            }
            _ => Ok(Effect::Nothing),
        }
    }

    async fn namespace(&self, name: &str) -> Result<Option<Value>, Error> {
        let found = api(self.subject.client(), "v1", "Namespace", None).get_opt(name).await;
        let found = found.map_err(|source| Error::Request {
            action: format!("read namespace {name}"),
            source: Box::new(source),
        })?;
        Ok(found.map(|namespace| json!(namespace)))
    }

    async fn plant(&mut self, branch: Branch) -> Result<Effect, Error> {
        let Some(namespace) = self.name(branch).await? else {
            return Ok(Effect::Nothing);
        };
        if self.model.has_foreign_namespace(branch) {
            return Ok(Effect::Nothing);
        }
        self.planted += 1;
        let name = format!("theirs-{}", self.planted);
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "whose": "theirs" } });
        let effect = self.create("v1", "ConfigMap", Some(&namespace), object).await?;
        if effect == Effect::Nothing {
            return Ok(effect);
        }
        self.foreign.push(Foreign {
            namespace,
            object: Some(name.clone()),
            from: Timestamp::now(),
            until: None,
        });
        Ok(Effect::Done(name))
    }

    async fn unplant(&mut self, branch: Branch) -> Result<Effect, Error> {
        let Some(namespace) = self.names.get(&branch).cloned() else {
            return Ok(Effect::Nothing);
        };
        for name in self.model.planted(branch) {
            self.no_longer_foreign(&namespace, Some(&name));
            self.remove("v1", "ConfigMap", Some(&namespace), &name).await?;
        }
        for target in self.model.unlabelled(branch) {
            self.change(branch, target, labelled(&json!(namespace))).await?;
        }
        Ok(Effect::Done(String::new()))
    }

    async fn plant_namespace(&mut self, branch: Branch) -> Result<Effect, Error> {
        let Some(name) = self.name(branch).await? else {
            return Ok(Effect::Nothing);
        };
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "whose": "theirs" } } });
        let effect = self.create("v1", "Namespace", None, object).await?;
        if effect == Effect::Nothing {
            return Ok(effect);
        }
        self.foreign.push(Foreign {
            namespace: name.clone(),
            object: None,
            from: Timestamp::now(),
            until: None,
        });
        Ok(Effect::Done(name))
    }

    async fn create(&self, version: &str, kind: &str, namespace: Option<&str>, object: Value) -> Result<Effect, Error> {
        let action = format!("create {kind}");
        let object: DynamicObject = serde_json::from_value(object).map_err(|source| Error::Request {
            action: action.clone(),
            source: Box::new(kube::Error::SerdeError(source)),
        })?;
        let created = api(self.subject.client(), version, kind, namespace)
            .create(&PostParams::default(), &object)
            .await;
        happened(created, || action)
    }

    fn no_longer_foreign(&mut self, namespace: &str, object: Option<&str>) {
        let now = Timestamp::now();
        let same =
            |foreign: &&mut Foreign| foreign.namespace == namespace && foreign.object.as_deref() == object && foreign.until.is_none();
        self.foreign.iter_mut().filter(same).for_each(|foreign| foreign.until = Some(now));
    }

    async fn release_brake(&mut self) -> Result<Effect, Error> {
        let project = api(self.subject.client(), OURS, "Project", Some(self.subject.namespace()));
        let object = project.get("shop").await.map_err(|source| Error::Request {
            action: "read the Project".to_owned(),
            source: Box::new(source),
        })?;
        let digest = object.data["status"]["brake"]["digest"].as_str().map(str::to_owned);
        let Some(digest) = digest else { return Ok(Effect::Nothing) };
        let patch = json!({ "metadata": { "annotations": { "graftling.dev/release-brake": &digest } } });
        self.subject.patch("Project", "shop", patch).await.map_err(Error::SetUp)?;
        Ok(Effect::Done(digest))
    }
}

/// Whether a person's request was carried out. What is not there, is going or is there already is nobody's fault.
fn happened<T>(result: Result<T, kube::Error>, action: impl FnOnce() -> String) -> Result<Effect, Error> {
    match result {
        Ok(_) => Ok(Effect::Done(String::new())),
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409 | 422) => Ok(Effect::Nothing),
        Err(source) => Err(Error::Request {
            action: action(),
            source: Box::new(source),
        }),
    }
}
