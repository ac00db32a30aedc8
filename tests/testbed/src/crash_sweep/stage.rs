//! One cell's world: an installation behind a proxy of its own, a repository, a bystander, and what belongs to somebody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::kinds::Kind;
use super::names::Names;
use super::scenario::{self, BRANCH, BYSTANDER, Scenario};
use super::state::{self, State};
use super::{Bench, Error, bundle};
use crate::fault_proxy::{Exchange, FaultProxy, Gate};
use crate::subject::{Settings, objects};
use crate::{Repository, Subject};

/// How long it must have written nothing before one believes that it has come to rest: longer than the time between two sweeps.
const REST: Duration = Duration::from_secs(4);

/// The time between two listings of the repository. A hint tells of the push, so that nothing waits for it but the end of quiet, and many
/// servers that wait for quiet at a time take little of the machine.
const SWEEP: &str = "3s";

/// How long a scenario may take. The slowest has to wait for Kubernetes to end a namespace, several times.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often the world is looked at while something is awaited.
const POLL: Duration = Duration::from_millis(25);

/// A world in which a scenario is about to happen.
pub(super) struct Stage<'a> {
    pub(super) bench: &'a Bench,
    pub(super) subject: Subject,
    pub(super) proxy: Arc<FaultProxy>,
    pub(super) repository: Repository,
    pub(super) scenario: Scenario,
    /// What was there of others before.
    pub(super) others: State,
    pub(super) foreign: String,
    /// The number of the first exchange that belongs to the scenario.
    pub(super) begun: usize,
    /// The revision of the store before the scenario.
    pub(super) before: String,
    first: Option<String>,
    bystander: String,
    wished: Option<String>,
}

impl<'a> Stage<'a> {
    /// Installs everything and brings the environment to where the scenario begins.
    pub(super) async fn set(bench: &'a Bench, scenario: Scenario, arguments: &[&str]) -> Result<Stage<'a>, Error> {
        let proxy = Arc::new(FaultProxy::before_api_server(bench.plane).await.map_err(Error::Proxy)?);
        let mut settings = Settings::new(&bench.program);
        settings.proxy = Some(Arc::clone(&proxy));
        SWEEP.clone_into(&mut settings.sweep_interval);
        settings.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let subject = Subject::install(bench.plane, scenario.name(), settings).await?;
        let repository = Repository::create().map_err(Error::Git)?;
        subject.project("shop", &repository, Scenario::project()).await?;
        let foreign = plant(&subject).await?;
        subject.start().await?;
        let bystander = scenario::push(&repository, BYSTANDER, &bundle::first())?;
        let first = scenario.prepare(&subject, &repository).await?;
        subject.wait_ready(BYSTANDER, &bystander).await?;
        let mut stage = Stage {
            bench,
            subject,
            proxy,
            repository,
            scenario,
            others: State::new(),
            foreign,
            begun: 0,
            before: String::new(),
            first,
            bystander,
            wished: None,
        };
        stage.rest().await?;
        stage.others = state::exact(&stage.read_others().await?);
        stage.before = revision(&stage.subject).await?;
        stage.begun = stage.proxy.count();
        Ok(stage)
    }

    /// Lets the scenario happen.
    pub(super) async fn act(&mut self) -> Result<(), Error> {
        self.wished = self.scenario.act(&self.repository)?;
        let nothing = "0".repeat(40);
        let (before, after) = (
            self.first.as_deref().unwrap_or(&nothing),
            self.wished.as_deref().unwrap_or(&nothing),
        );
        // A hint that is refused or lost costs a sweep.
        let _ = self.subject.hint(&self.repository, BRANCH, before, after).await;
        Ok(())
    }

    /// Waits until a request stands at the gate. Answers with false when the scenario ended without one.
    pub(super) async fn hit(&self, gate: &Gate) -> Result<bool, Error> {
        let began = Instant::now();
        let mut quiet_since: Option<Instant> = None;
        let mut writes = self.writes();
        let mut look = 0_u32;
        while gate.came() == 0 {
            tokio::time::sleep(POLL).await;
            look += 1;
            // The gate is looked at often, and the rest of the world now and then.
            if !look.is_multiple_of(8) {
                continue;
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::NoEnd(self.told().await));
            }
            let reached = self.scenario.reached(&self.subject, self.wished.as_deref()).await.is_ok();
            let now = self.writes();
            match quiet_since {
                Some(since) if reached && now == writes && since.elapsed() > REST => return Ok(false),
                Some(_) if reached && now == writes => {}
                _ => quiet_since = reached.then(Instant::now),
            }
            writes = now;
        }
        Ok(true)
    }

    /// Waits until the scenario has come to its end.
    pub(super) async fn end(&self) -> Result<(), Error> {
        let began = Instant::now();
        while let Err(instead) = self.scenario.reached(&self.subject, self.wished.as_deref()).await {
            if began.elapsed() > PATIENCE {
                return Err(Error::NoEnd(instead));
            }
            tokio::time::sleep(POLL * 4).await;
        }
        self.rest().await
    }

    /// Waits until nothing has been written for a moment.
    async fn rest(&self) -> Result<(), Error> {
        let began = Instant::now();
        let (mut writes, mut since) = (self.writes(), Instant::now());
        while since.elapsed() < REST {
            if began.elapsed() > PATIENCE {
                return Err(Error::NoRest);
            }
            tokio::time::sleep(POLL * 4).await;
            let now = self.writes();
            if now != writes {
                (writes, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Waits for the time of quiet and answers with what was written in it, and what became different by that.
    pub(super) async fn quiet(&self) -> Result<(Vec<Exchange>, Vec<String>), Error> {
        let from = self.proxy.count();
        let before = state::exact_with_status(&self.subject.environments().await?);
        // Not a wait for a condition: this is the time in which nothing must happen.
        tokio::time::sleep(self.bench.quiet).await;
        let all = self.proxy.exchanges_since(from);
        let noise: Vec<Exchange> = all.into_iter().filter(counts).collect();
        if noise.is_empty() {
            return Ok((noise, Vec::new()));
        }
        let after = state::exact_with_status(&self.subject.environments().await?);
        Ok((noise, state::difference(&before, &after, 6)))
    }

    fn writes(&self) -> usize {
        let all = self.proxy.exchanges_since(self.begun);
        all.iter().filter(|exchange| counts(exchange)).count()
    }

    /// What the server has written since the scenario began.
    pub(super) fn written(&self) -> Vec<Exchange> {
        let all = self.proxy.exchanges_since(self.begun);
        all.into_iter().filter(|exchange| exchange.request.is_write()).collect()
    }

    async fn told(&self) -> String {
        let reached = self.scenario.reached(&self.subject, self.wished.as_deref()).await;
        reached
            .err()
            .unwrap_or_else(|| "the end is reached, and it goes on writing".to_owned())
    }

    /// What everything is called, as far as it is known by now.
    pub(super) async fn names(&self) -> Result<Names, Error> {
        let mut names = Names::default();
        names.call(self.subject.namespace(), "HOME");
        names.call(&self.foreign, "FOREIGN");
        for environment in self.subject.environments().await? {
            let name = environment["metadata"]["name"].as_str().unwrap_or_default();
            let own = environment["spec"]["branch"] == BRANCH;
            names.call(name, if own { "ENV" } else { "OTHER" });
        }
        let revisions = [
            (&self.first, "REVFIRST"),
            (&self.wished, "REVWISHED"),
            (&Some(self.bystander.clone()), "REVOTHER"),
        ];
        for (revision, word) in revisions {
            let revision = revision.as_deref().unwrap_or_default();
            // The first characters are shown to people.
            for length in [revision.len(), 12, 10, 8, 7] {
                names.call(revision.get(..length).unwrap_or_default(), word);
            }
        }
        let folder = self.repository.path();
        names.call(&folder.parent().unwrap_or(&folder).display().to_string(), "REPOSITORIES");
        Ok(names)
    }

    /// The namespace of an environment, which bears its name.
    pub(super) async fn environment_name(&self, branch: &str) -> Result<Option<String>, Error> {
        let environment = self.subject.environment(branch).await?;
        Ok(environment.and_then(|environment| environment["metadata"]["name"].as_str().map(str::to_owned)))
    }

    /// Everything of the bystander and of others.
    pub(super) async fn read_others(&self) -> Result<Vec<Value>, Error> {
        let bystander = self.environment_name(BYSTANDER).await?.unwrap_or_default();
        self.read(&[&bystander, &self.foreign]).await
    }

    /// Everything in these namespaces.
    pub(super) async fn read(&self, namespaces: &[&str]) -> Result<Vec<Value>, Error> {
        state::read(self.subject.client(), &self.bench.kinds, namespaces).await
    }

    /// Takes everything away that is left, without waiting for it.
    pub(super) async fn strike(self) -> Result<(), Error> {
        // A server that does not run any more is as good as one that was ended.
        let _ = self.subject.kill().await;
        let client = self.subject.client();
        let mut namespaces = vec![self.foreign.clone(), self.subject.namespace().to_owned()];
        for environment in self.subject.environments().await? {
            let name = environment["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            self.subject
                .patch("Environment", &name, json!({ "metadata": { "finalizers": [] } }))
                .await?;
            namespaces.push(name);
        }
        let api = objects::api(client, "v1", "Namespace", None).await?;
        for namespace in namespaces {
            let _ = api.delete(&namespace, &kube::api::DeleteParams::default()).await;
        }
        self.forget_cluster_objects(&self.bench.kinds).await
    }

    /// What the chart made outside of namespaces bears the release's name.
    async fn forget_cluster_objects(&self, kinds: &[Kind]) -> Result<(), Error> {
        let client = self.subject.client();
        let release = self.subject.namespace();
        let groups = ["rbac.authorization.k8s.io", "admissionregistration.k8s.io"];
        for kind in kinds
            .iter()
            .filter(|kind| !kind.namespaced && groups.contains(&kind.resource.group.as_str()))
        {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind.resource);
            let params = ListParams::default().labels(&format!("app.kubernetes.io/instance={release}"));
            let listed = api.list(&params).await.map_err(Error::request("list what is left"))?;
            for object in listed.items {
                let _ = api
                    .delete(
                        object.metadata.name.as_deref().unwrap_or_default(),
                        &kube::api::DeleteParams::default(),
                    )
                    .await;
            }
        }
        Ok(())
    }
}

/// Whether it breaks the quiet: every write but the renewal of a Lease.
fn counts(exchange: &Exchange) -> bool {
    exchange.request.is_write() && exchange.request.resource != "leases"
}

/// Makes a namespace of somebody else with objects that look like ours, and answers with its name.
async fn plant(subject: &Subject) -> Result<String, Error> {
    let name = format!("foreign-{}", subject.namespace());
    let labels = json!({ "app.kubernetes.io/managed-by": "graftling", "graftling.dev/project": "shop" });
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    objects::apply(subject.client(), &namespace).await?;
    let kinds = [("v1", "ConfigMap"), ("v1", "Secret"), ("v1", "ServiceAccount"), ("v1", "Service")];
    for (version, kind) in kinds {
        let mut object = objects::named(version, kind, Some(&name), "web");
        object["metadata"]["labels"] = labels.clone();
        if kind == "Service" {
            object["spec"] = json!({ "ports": [{ "port": 80 }] });
        }
        objects::apply(subject.client(), &object).await?;
    }
    subject
        .apply("v1", "ConfigMap", "web", json!({ "metadata": { "labels": labels } }))
        .await?;
    Ok(name)
}

/// The revision of the store as it is now.
async fn revision(subject: &Subject) -> Result<String, Error> {
    let api = objects::api(subject.client(), "v1", "Namespace", None).await?;
    let params = PatchParams::apply("test").force();
    // A write of somebody else's moves the revision on, so that it is not one of ours.
    let body = objects::named("v1", "Namespace", None, subject.namespace());
    api.patch(subject.namespace(), &params, &Patch::Apply(body))
        .await
        .map_err(Error::request("touch the namespace"))?;
    let listed = api
        .list(&ListParams::default().limit(1))
        .await
        .map_err(Error::request("list namespaces"))?;
    Ok(listed.metadata.resource_version.unwrap_or_default())
}
