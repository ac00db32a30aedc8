//! Judges how a run ended, without a word about any scenario: it must have ended as the run without faults did, and broken no invariant.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;
use super::bundle::SECRET;
use super::history::{Change, Digest, Turn};
use super::names::Names;
use super::scenario::{BRANCH, BYSTANDER, Scenario};
use super::stage::Stage;
use super::state::{self, State};
use crate::fault_proxy::Exchange;

/// How many differences are told.
const TOLD: usize = 12;

/// What a run left, in the form in which runs are compared.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// What is there.
    pub(super) state: State,
    /// What came and went on the way.
    pub(super) history: Digest,
}

/// Everything that is looked at once a run is over.
#[derive(Default)]
pub(super) struct Scene {
    pub(super) names: Names,
    objects: Vec<Value>,
    changes: Vec<Change>,
    written: Vec<Exchange>,
    environment: Option<String>,
}

impl Scene {
    /// Looks at everything that concerns the cell. `known` is the environment's name, where it has been seen before it went.
    pub(super) async fn look(stage: &Stage<'_>, known: Option<&str>) -> Result<Scene, Error> {
        let mut names = stage.names().await?;
        let environment = stage.environment_name(BRANCH).await?.or_else(|| known.map(str::to_owned));
        names.call(environment.as_deref().unwrap_or_default(), "ENV");
        let home = stage.subject.namespace();
        let namespaces: Vec<&str> = [Some(home), environment.as_deref()].into_iter().flatten().collect();
        let objects = stage.read(&namespaces).await?;
        let name = environment.clone().unwrap_or_default();
        let concerns = |change: &Change| [home, name.as_str()].contains(&change.namespace.as_str());
        Ok(Scene {
            changes: stage.bench.recorder.changes(concerns),
            written: stage.written(),
            names,
            objects,
            environment,
        })
    }

    /// In the form in which runs are compared.
    pub(super) fn evidence(&self, stage: &Stage<'_>) -> Evidence {
        Evidence {
            state: state::canonical(&self.objects, &self.names),
            history: stage.bench.recorder.digest(&self.changes, &self.names),
        }
    }

    /// What the server changed of the environment and in its own namespace, in the order of the store, without what came before.
    pub(super) fn changes_since(&self, revision: &str) -> Vec<&Change> {
        let since: u64 = revision.parse().unwrap_or_default();
        self.changes.iter().filter(|change| change.revision > since).collect()
    }

    /// Every invariant that does not hold, by its id.
    pub(super) async fn violations(&self, stage: &Stage<'_>) -> Result<Vec<String>, Error> {
        let mut found = self.others_are_untouched(stage).await?;
        found.extend(self.two_in_one_namespace());
        found.extend(self.removed_without_proof(stage.scenario));
        found.extend(self.wrong_order());
        found.extend(self.outside(stage.subject.namespace()));
        found.extend(self.secrets(&stage.subject.log()));
        found.extend(self.untold_failures());
        if stage.scenario == Scenario::Teardown {
            found.extend(self.residue(&state::read_all(stage.subject.client(), &stage.bench.kinds).await?));
        }
        found.truncate(TOLD);
        Ok(found)
    }

    /// S1 and S3: what belongs to a bystander or to somebody else is as it was, and nobody tried.
    async fn others_are_untouched(&self, stage: &Stage<'_>) -> Result<Vec<String>, Error> {
        let now = state::exact(&stage.read_others().await?);
        let bystander = stage.environment_name(BYSTANDER).await?.unwrap_or_default();
        Ok(self.touched([&bystander, &stage.foreign], &stage.others, &now))
    }

    /// What was done to `others`, of whom this was there before and now.
    fn touched(&self, others: [&str; 2], before: &State, now: &State) -> Vec<String> {
        let mut found: Vec<String> = state::difference(before, now, TOLD);
        let wrong = self.written.iter().filter(|exchange| {
            let request = &exchange.request;
            others.contains(&request.namespace.as_str()) || others.contains(&request.name.as_str())
        });
        found.extend(wrong.map(|exchange| format!("wrote {}", self.short(exchange))));
        found.into_iter().map(|line| format!("S1: {}", self.names.text(&line))).collect()
    }

    /// S2.
    fn two_in_one_namespace(&self) -> Vec<String> {
        let mut tenants: BTreeMap<&str, usize> = BTreeMap::new();
        for environment in self.objects.iter().filter(|object| object["kind"] == "Environment") {
            let namespace = environment["status"]["namespace"]["name"].as_str();
            *tenants.entry(namespace.unwrap_or_default()).or_default() += 1;
        }
        let shared = tenants.into_iter().filter(|(namespace, count)| !namespace.is_empty() && *count > 1);
        shared
            .map(|(namespace, count)| format!("S2: {count} environments in {}", self.names.text(namespace)))
            .collect()
    }

    /// S4: whoever's branch is there keeps Environment and namespace.
    fn removed_without_proof(&self, scenario: Scenario) -> Vec<String> {
        if scenario == Scenario::Teardown {
            return Vec::new();
        }
        let removals = self.written.iter().filter(|exchange| {
            let request = &exchange.request;
            request.verb.starts_with("delete") && ["environments", "namespaces"].contains(&request.resource.as_str())
        });
        removals
            .map(|exchange| format!("S4: {} while the branch is there", self.short(exchange)))
            .collect()
    }

    /// S5, and the finalizer as the very last: no account goes before the pods that use it, and the Environment goes after everything.
    fn wrong_order(&self) -> Vec<String> {
        let environment = self.environment.as_deref().unwrap_or_default();
        let gone = |kind: &str, name: &str| {
            let all = self
                .changes
                .iter()
                .filter(move |change| change.turn == Turn::Deleted && change.kind == kind);
            all.filter(|change| name.is_empty() || change.name == name)
                .map(|change| change.revision)
                .max()
        };
        let mut found = Vec::new();
        let pods = gone("Pod", "");
        for account in self
            .changes
            .iter()
            .filter(|change| change.turn == Turn::Deleted && change.kind == "ServiceAccount")
        {
            if pods.is_some_and(|pods| pods > account.revision) && account.namespace == environment {
                found.push(format!("S5: ServiceAccount {} went before a pod", account.name));
            }
        }
        if let Some(end) = gone("Environment", environment) {
            let late = self
                .changes
                .iter()
                .filter(|change| change.namespace == environment && change.turn == Turn::Deleted);
            let late = late.filter(|change| change.revision > end);
            found.extend(late.map(|change| format!("L2: {} {} went after its Environment", change.kind, change.name)));
        }
        found
    }

    /// S7: every write is inside the environment or beside the Environment object.
    fn outside(&self, home: &str) -> Vec<String> {
        let environment = self.environment.as_deref().unwrap_or_default();
        let places = [home, environment];
        let outside = self
            .written
            .iter()
            .filter(|exchange| !places.contains(&exchange.request.namespace.as_str()));
        outside.map(|exchange| format!("S7: {}", self.short(exchange))).collect()
    }

    /// S8: what Secrets hold is nowhere else.
    fn secrets(&self, log: &[String]) -> Vec<String> {
        let secrets = [
            SECRET.to_owned(),
            STANDARD.encode(SECRET),
            crate::subject::WEBHOOK_SECRET.to_owned(),
        ];
        let tells = |text: &str| secrets.iter().any(|secret| text.contains(secret.as_str()));
        let lines = log.iter().filter(|line| tells(line));
        let mut found: Vec<String> = lines.map(|_| "S8: a line of the log tells a Secret".to_owned()).collect();
        let objects = self
            .objects
            .iter()
            .filter(|object| object["kind"] != "Secret" && tells(&object.to_string()));
        found.extend(objects.map(|object| format!("S8: {} tells a Secret", state::key(object, &self.names))));
        found
    }

    /// L3: an Environment that is not ready says why.
    fn untold_failures(&self) -> Vec<String> {
        let environments = self.objects.iter().filter(|object| object["kind"] == "Environment");
        let untold = environments.filter(|environment| {
            let conditions = environment["status"]["conditions"].as_array();
            let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
            let told = |condition: &Value| {
                ["reason", "message"]
                    .iter()
                    .all(|field| condition[*field].as_str().is_some_and(|text| !text.is_empty()))
            };
            !ready.is_some_and(told)
        });
        untold
            .map(|object| format!("L3: {} says nothing", state::key(object, &self.names)))
            .collect()
    }

    /// L2: in the whole cluster nothing bears the environment's name or is owned by something of it, but its receipt and Events about it.
    fn residue(&self, cluster: &[Value]) -> Vec<String> {
        let Some(environment) = self.environment.as_deref() else {
            return vec!["L2: nobody saw the environment".to_owned()];
        };
        let inside = self
            .changes
            .iter()
            .filter(|change| change.namespace == environment || change.name == environment);
        let uids: Vec<&str> = inside.map(|change| change.uid.as_str()).collect();
        let left = cluster.iter().filter(|object| {
            let metadata = &object["metadata"];
            let receipt = !metadata["labels"]["graftling.dev/receipt"].is_null();
            let text = metadata.to_string();
            !receipt && (text.contains(environment) || uids.iter().any(|uid| text.contains(uid)))
        });
        left.map(|object| format!("L2: {} is left", state::key(object, &self.names)))
            .collect()
    }

    /// `apply deployments ENV web`.
    pub(super) fn short(&self, exchange: &Exchange) -> String {
        let request = &exchange.request;
        let text = format!(
            "{} {}/{} {} {}",
            request.verb, request.resource, request.subresource, request.namespace, request.name
        );
        self.names.text(&text)
    }
}

/// What is not as it was without faults.
pub(super) fn differences(expected: &Evidence, found: &Evidence) -> Vec<String> {
    let state = state::difference(&expected.state, &found.state, TOLD);
    let mut lines: Vec<String> = state.into_iter().map(|line| format!("end state: {line}")).collect();
    let keys = expected.history.keys().chain(found.history.keys());
    let mut keys: Vec<&String> = keys.collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let times = |digest: &Digest| digest.get(key).copied().unwrap_or_default();
        let (expected, found) = (times(&expected.history), times(&found.history));
        if expected != found {
            lines.push(format!("S9: {key}: {expected} times without faults, {found} times here"));
        }
    }
    lines.truncate(TOLD);
    lines
}

#[cfg(test)]
mod tests;
