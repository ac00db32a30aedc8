//! Carries out the steps of a plan: server-side applies and deletions, concurrent within a step.

mod rights;
mod run;

use self::rights::Rights;
use futures::{FutureExt, StreamExt, stream};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy, ValidationDirective};
use kube::{Api, Client};
use serde_json::json;

use super::connection::{Deployer, within};
use super::error::{classify, message};
use super::live::reduce;
use super::observe::{FAN_OUT, Observer};
use super::{Error, error};
use crate::api::keys;
use crate::domain::inventory::Stage;
use crate::domain::manifest::scope::owner_manager;
use crate::domain::manifest::{Manifest, ObjectKey};
use crate::domain::observed::{Deletion, LiveObject};
use crate::domain::outcome::{Failure, FailureClass, Outcome};
use crate::domain::plan::deploy::{not_ours, wish};
use crate::domain::plan::teardown::Tier;
use crate::domain::plan::{Apply, Because, Delete, Fence, Removal, Step};
use crate::domain::run::RunNumber;

impl Observer {
    /// Carries out `steps` in their order; stops after the first step with a failure. A conflict is none in this sense: the object
    /// is there, somebody else decides about some of its fields, and what comes later can do its work.
    ///
    /// # Guarantees
    /// Every outcome of every request that was sent is returned, whatever else failed.
    pub async fn carry_out(&self, deployer: &Deployer, steps: &[Step]) -> Vec<Outcome> {
        self.carry_out_in(deployer, steps, None).await
    }

    /// Carries out `steps` for a run as [`Self::carry_out`] does. What is written bears its number, and nothing is written over a later run.
    pub async fn carry_out_run(&self, deployer: &Deployer, steps: &[Step], run: RunNumber) -> Vec<Outcome> {
        self.carry_out_in(deployer, steps, Some(run)).await
    }

    async fn carry_out_in(&self, deployer: &Deployer, steps: &[Step], run: Option<RunNumber>) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut rights = Rights::default();
        for step in steps {
            let of_step = self.carry_out_step(deployer, step, run, rights).await;
            rights.learn(&of_step).await;
            let stop = !of_step.iter().all(goes_on);
            outcomes.extend(of_step);
            if stop {
                break;
            }
        }
        outcomes
    }

    async fn carry_out_step(&self, deployer: &Deployer, step: &Step, run: Option<RunNumber>, rights: Rights) -> Vec<Outcome> {
        match step {
            Step::Apply(applies) => {
                let writes = applies
                    .iter()
                    .map(|apply| rights.take_effect(|| self.apply(deployer, apply, run).boxed()));
                concurrently(writes.collect()).await
            }
            Step::Delete(deletes) => concurrently(deletes.iter().map(|delete| self.delete(deployer, delete)).collect()).await,
        }
    }

    fn client_for(&self, stage: Stage, deployer: &Deployer) -> Result<Client, Error> {
        match stage {
            Stage::Namespace | Stage::Guardrails => Ok(self.connection.controller()),
            Stage::Deploy => self.connection.deployer(deployer),
        }
    }

    async fn apply(&self, deployer: &Deployer, apply: &Apply, run: Option<RunNumber>) -> Outcome {
        let outcome = match apply.because {
            Because::Wished => self.try_wish(deployer, apply).await,
            _ => self.try_apply(deployer, apply, run).await,
        };
        match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                self.recent.forget(&apply.manifest.key);
                match failed(&apply.manifest.key, &error) {
                    Outcome::Failed(failure) if failure.class == FailureClass::Rejected => Outcome::Failed(Failure {
                        message: format!("{} ({})", failure.message, apply.manifest.source),
                        ..failure
                    }),
                    outcome => outcome,
                }
            }
        }
    }

    /// Applies what is there already, with the wish added. The fence is the plan's, so what is read here must be what was planned over.
    async fn try_wish(&self, deployer: &Deployer, apply: &Apply) -> Result<Outcome, Error> {
        let key = &apply.manifest.key;
        let client = self.client_for(apply.stage, deployer)?;
        let Some(live) = self.read_whole(client, key).await? else {
            return Ok(Outcome::Vanished { key: key.clone() });
        };
        let manifest = wish(&apply.manifest, &live);
        self.try_apply(deployer, &Apply { manifest, ..apply.clone() }, None).await
    }

    async fn try_apply(&self, deployer: &Deployer, apply: &Apply, run: Option<RunNumber>) -> Result<Outcome, Error> {
        let client = self.client_for(apply.stage, deployer)?;
        // What environments share belongs to no run of one of them.
        let run = run.filter(|_| apply.manifest.owner().is_none());
        let sent = match (run, &apply.fence) {
            (Some(run), Fence::Uid(uid)) => return self.apply_in_run(&client, apply, uid, run).await,
            (Some(run), _) => self.send(client.clone(), apply, &run::marked(fenced_body(apply), run)).await,
            (None, _) => self.send(client.clone(), apply, &fenced_body(apply)).await,
        };
        match sent {
            Err(Error::Write { source, .. }) if is_fence(&source, &apply.fence) => self.refused_by_fence(client, apply).await,
            other => other,
        }
    }

    /// One server-side apply of `body`.
    async fn send(&self, client: Client, apply: &Apply, body: &serde_json::Value) -> Result<Outcome, Error> {
        let key = &apply.manifest.key;
        let resource = self.kinds.resolve(key).await?;
        let api = resource.api_for(client, key);
        let mut params = PatchParams::apply(&field_manager(&apply.manifest));
        params.force = apply.force;
        params.field_validation = Some(ValidationDirective::Strict);
        let patch = Patch::Apply(body);
        let applied = within(
            || format!("apply {key}"),
            api.patch(&key.name, &params, &patch),
            |source| Error::Write {
                what: key.to_string(),
                source,
            },
        )
        .await;
        applied.map(|object| self.applied(apply, &resource, &object))
    }

    fn applied(&self, apply: &Apply, resource: &super::kinds::Resource, object: &DynamicObject) -> Outcome {
        match reduce(resource, object) {
            Some(live) => {
                self.record(&live);
                if let Some(holders) = &self.holders {
                    holders.record(resource, object);
                }
                let live = match apply.manifest.owner() {
                    Some((environment, _)) => live.seen_by(environment),
                    None => live,
                };
                Outcome::Applied {
                    stage: apply.stage,
                    digest: apply.manifest.recorded_digest(),
                    live: Box::new(live),
                }
            }
            None => Outcome::Failed(Failure {
                key: apply.manifest.key.clone(),
                class: FailureClass::Transient,
                message: "the server's answer lacks a UID".to_owned(),
            }),
        }
    }

    /// No watch shows shared objects, so the cache would never learn of their changes.
    fn record(&self, live: &LiveObject) {
        if !live.is_shared() {
            self.live.record(live);
            if !self.live.shows(&live.key) {
                self.recent.keep(live);
            }
        }
    }

    /// What is there is not as it was seen.
    fn forget(&self, key: &ObjectKey, uid: &str) {
        self.live.forget(key, uid);
        self.recent.forget(key);
    }

    /// The object is not what the plan was made for: what is there instead?
    async fn refused_by_fence(&self, client: Client, apply: &Apply) -> Result<Outcome, Error> {
        let key = &apply.manifest.key;
        Ok(match (self.read(client, key).await?, &apply.fence) {
            // It does not even say that it is ours, and no watch will show it.
            (Some(live), Fence::MustNotExist) if live.environment.is_none() && !live.is_shared() => Outcome::Failed(Failure {
                key: key.clone(),
                class: FailureClass::NotOurs,
                message: not_ours(key).to_owned(),
            }),
            (Some(live), Fence::MustNotExist) => {
                self.record(&live);
                Outcome::Exists { live: Box::new(live) }
            }
            (None, Fence::MustNotExist) => Outcome::Failed(Failure {
                key: key.clone(),
                class: FailureClass::Transient,
                message: "appeared and disappeared while it was created".to_owned(),
            }),
            (Some(live), Fence::Unchanged { uid, .. }) if live.uid == *uid => Outcome::Exists { live: Box::new(live) },
            (_, Fence::Uid(uid) | Fence::Unchanged { uid, .. }) => {
                self.forget(key, uid);
                Outcome::Vanished { key: key.clone() }
            }
        })
    }

    pub(crate) async fn delete(&self, deployer: &Deployer, delete: &Delete) -> Outcome {
        match self.try_delete(deployer, delete).await {
            Ok(outcome) => outcome,
            Err(error) => failed(&delete.key, &error),
        }
    }

    async fn try_delete(&self, deployer: &Deployer, delete: &Delete) -> Result<Outcome, Error> {
        let key = &delete.key;
        self.recent.forget(key);
        let client = self.client_for(delete.stage, deployer)?;
        let resource = self.kinds.resolve(key).await?;
        let api = resource.api_for(client, key);
        let version = match &delete.removal {
            Removal::Release { environment, version, .. } => return release(&api, delete, environment, *version).await,
            Removal::DeleteUnchanged { version } => Some(version.to_string()),
            Removal::Delete => None,
        };
        let is_shared = version.is_some();
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(delete.uid.clone()),
                resource_version: version,
            }),
            propagation_policy: Some(propagation(key)),
            ..DeleteParams::default()
        };
        let deleted = within(
            || format!("delete {key}"),
            api.delete(&key.name, &params),
            |source| Error::Write {
                what: key.to_string(),
                source,
            },
        );
        match deleted.await {
            Ok(deleting) => {
                let live = deleting.left().and_then(|object| reduce(&resource, &object));
                live.iter().filter(|live| is_marked(live)).for_each(|live| self.record(live));
                Ok(Outcome::Deleting { key: key.clone() })
            }
            // Somebody may have joined its owners: the next look decides anew.
            Err(error) if is_shared && !error.is_not_found() => Err(error),
            Err(Error::Write {
                source: kube::Error::Api(status),
                ..
            }) if matches!(status.code, 404 | 409) => {
                self.forget(key, &delete.uid);
                Ok(Outcome::Deleting { key: key.clone() })
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether an object stays for a while after its deletion: its mark is known then, and the watch that shows it wakes nobody. What goes at
/// once must not be recorded, or it would stay in the cache.
fn is_marked(live: &LiveObject) -> bool {
    let held = |deletion: &Deletion| !deletion.finalizers.is_empty() || live.key.kind == "Namespace";
    live.deletion.as_ref().is_some_and(held)
}

/// Applies nothing under the environment's field manager: what it alone wanted of a shared object goes, and with it its name among the
/// owners; what others want stays. A missing object gives 409, as the UID is there as well.
async fn release(api: &Api<DynamicObject>, delete: &Delete, environment: &str, version: u64) -> Result<Outcome, Error> {
    let key = &delete.key;
    let mut body = key.to_value();
    body["metadata"]["uid"] = json!(delete.uid);
    body["metadata"]["resourceVersion"] = json!(version.to_string());
    let params = PatchParams::apply(&owner_manager(environment));
    let patch = Patch::Apply(&body);
    within(
        || format!("let go of {key}"),
        api.patch(&key.name, &params, &patch),
        |source| Error::Write {
            what: key.to_string(),
            source,
        },
    )
    .await?;
    Ok(Outcome::Deleting { key: key.clone() })
}

/// Each owner of a shared object applies under a field manager of its own.
fn field_manager(manifest: &Manifest) -> String {
    match manifest.owner() {
        Some((environment, _)) => owner_manager(environment),
        None => keys::FIELD_MANAGER.to_owned(),
    }
}

async fn concurrently<F: Future<Output = Outcome>>(writes: Vec<F>) -> Vec<Outcome> {
    stream::iter(writes).buffer_unordered(FAN_OUT).collect().await
}

/// Workloads go after their pods, so that seeing the workload gone means that nothing of it runs.
fn propagation(key: &ObjectKey) -> PropagationPolicy {
    match Tier::of(key) {
        Tier::Workload => PropagationPolicy::Foreground,
        _ => PropagationPolicy::Background,
    }
}

/// A UID fences against a missing or another object. A resourceVersion fences against any object: the server creates a missing
/// object whatever the version says, and refuses to touch one of another version (measured on 1.36).
fn fenced_body(apply: &Apply) -> serde_json::Value {
    let mut body = serde_json::Value::clone(&apply.manifest.body);
    match &apply.fence {
        Fence::MustNotExist => body["metadata"]["resourceVersion"] = json!("1"),
        Fence::Uid(uid) => body["metadata"]["uid"] = json!(uid),
        Fence::Unchanged { uid, version } => {
            body["metadata"]["uid"] = json!(uid);
            body["metadata"]["resourceVersion"] = json!(version.to_string());
        }
    }
    body
}

/// Whether the server refused because of the fence: 409 for a missing object or another version, 422 for another UID. Where an object
/// had to be missing, a conflict over its fields says that it is there: the server looks at them first.
fn is_fence(error: &kube::Error, fence: &Fence) -> bool {
    let kube::Error::Api(status) = error else { return false };
    match status.code {
        409 => *fence == Fence::MustNotExist || classify(error) != FailureClass::Conflict,
        422 => status.message.contains("metadata.uid"),
        _ => false,
    }
}

/// Whether later steps may still be carried out after this outcome.
fn goes_on(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Applied { .. } | Outcome::Deleting { .. } => true,
        Outcome::Failed(failure) => failure.class == FailureClass::Conflict,
        Outcome::Exists { .. } | Outcome::Vanished { .. } => false,
    }
}

fn failed(key: &ObjectKey, error: &Error) -> Outcome {
    let message = match error {
        Error::Write { source, .. } | Error::Read { source, .. } => message(source),
        other => error::chain(other),
    };
    Outcome::Failed(Failure {
        key: key.clone(),
        class: error.class(),
        message,
    })
}
