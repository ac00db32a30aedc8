//! The acts of the story: a branch is pushed, changed, announced twice, and deleted.

use std::time::Duration;

use anyhow::{Context, ensure};
use graftling::api::environment::{EnvironmentStatus, Phase};
use graftling::api::{Environment, keys};
use graftling::domain::name::{DomainName, EnvironmentName};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::Value;
use tempfile::TempDir;
use testbed::{Repository, wait};

use crate::chart::NAMESPACE;
use crate::cluster::Cluster;
use crate::follow::Follower;
use crate::page;
use crate::repository::{self, PROJECT};
use crate::screen::{Mark, Screen};
use crate::server::Server;
use crate::story::{BRANCH, LIMIT};
use crate::writes::Since;

/// What the acts play on.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The server.
    pub server: &'a Server,
    /// The repository.
    pub repository: &'a Repository,
    /// A place for files.
    pub folder: &'a TempDir,
}

/// A revision, and how long it took from its push until it was ready.
pub struct Pushed {
    /// The revision.
    pub revision: String,
    /// Its environment's status then.
    pub status: EnvironmentStatus,
    /// The time.
    pub took: Duration,
}

impl Stage<'_> {
    /// Once for a repository: the hook, a GitHost and a Project. The branch that is there already comes up by itself.
    pub async fn connect(&self, domain: &DomainName, screen: &mut Screen) -> anyhow::Result<[Value; 3]> {
        screen.act("A repository with a sample application, and a Project for it");
        repository::install_hook(self.repository, self.server, self.folder.path())?;
        screen.line(
            Mark::Done,
            "bare repository with branch main; its post-receive hook by `graftling hook install`",
        );
        let settings = repository::settings(self.repository, domain, self.cluster.has_real_node());
        screen
            .during("waiting for the Project", repository::connect(&self.cluster.client, &settings))
            .await?;
        screen.line(Mark::Done, format!("GitHost local and Project {PROJECT}: bundle web, every branch"));
        let main = screen
            .during("waiting for main, which is there already", self.ready("main"))
            .await?;
        screen.line(Mark::Done, format!("main was found and is up: {}", main.url.unwrap_or_default()));
        Ok(settings)
    }

    async fn ready(&self, branch: &str) -> anyhow::Result<EnvironmentStatus> {
        let environments: Api<Environment> = Api::namespaced(self.cluster.client.clone(), NAMESPACE);
        let look = || async {
            let all = environments.list(&Default::default()).await.map_err(|error| error.to_string())?;
            let found = all.items.into_iter().find(|environment| environment.spec.branch == branch);
            let status = found.and_then(|environment| environment.status).ok_or("no environment")?;
            match status.phase {
                Some(Phase::Ready) => Ok(status),
                _ => Err(status.message.unwrap_or_default()),
            }
        };
        Ok(wait::try_until(format!("environment of {branch} that is ready"), LIMIT, look).await?)
    }

    /// A new branch.
    pub async fn push(&self, follower: &mut Follower, screen: &mut Screen) -> anyhow::Result<Pushed> {
        screen.act(&format!("git push origin {BRANCH}"));
        let page = "<h1>Shop</h1>\n<a href=\"/login\">Log in</a>\n";
        let revision = self.repository.commit(BRANCH, &[("public/index.html", page)])?;
        screen.line(Mark::Step, format!("pushed {}; the hook has told the server", short(&revision)));
        let status = follower.until_ready(&revision, screen).await?;
        let took = screen.elapsed();
        let namespace = status
            .namespace
            .as_ref()
            .map(|namespace| namespace.name.as_str())
            .unwrap_or_default();
        let flags = &self.cluster.flags;
        screen.remark(format!("URL      {}", status.url.as_deref().unwrap_or_default()));
        self.show_page(&status, &revision, screen).await?;
        screen.remark(format!("look     kubectl {flags} -n {NAMESPACE} get env"));
        screen.remark(format!("         kubectl {flags} -n {namespace} get all"));
        Ok(Pushed { revision, status, took })
    }

    /// What the branch's own pod answers, where pods really run.
    async fn show_page(&self, status: &EnvironmentStatus, revision: &str, screen: &mut Screen) -> anyhow::Result<()> {
        if !self.cluster.has_real_node() {
            return Ok(());
        }
        let namespace = status.namespace.as_ref().context("the environment has no namespace")?;
        let page = page::of(&self.cluster.client, &namespace.name, revision).await?;
        screen.remark(format!("GET      {} answers", page.url));
        screen.remark(format!("         {}", page.title));
        Ok(())
    }

    /// A change of the branch: only what differs is written.
    pub async fn change(&self, before: &Pushed, follower: &mut Follower, screen: &mut Screen) -> anyhow::Result<Pushed> {
        screen.act(&format!("git push origin {BRANCH}, with a change"));
        let since = self.cluster.audit().map(Since::now);
        let page = "<h1>Shop</h1>\n<form action=\"/login\"></form>\n";
        let revision = self.repository.commit(BRANCH, &[("public/index.html", page)])?;
        screen.line(Mark::Step, format!("pushed {}", short(&revision)));
        let status = follower.until_ready(&revision, screen).await?;
        let took = screen.elapsed();
        self.show_page(&status, &revision, screen).await?;
        let changed = changed(&before.status, &status);
        let total = status.inventory.entries().len();
        screen.remark(format!("{} of {total} objects differ: {}", changed.len(), changed.join(", ")));
        if let Some(since) = since {
            let writes = since.writes();
            screen.remark(format!(
                "requests that wrote objects, by the audit log: {}",
                list(&writes.of_deployer)
            ));
            ensure!(writes.of_deployer.len() == changed.len(), "more was written than had changed");
        }
        Ok(Pushed { revision, status, took })
    }

    /// The same delivery again: it is looked into and changes nothing.
    pub async fn replay(&self, before: &Pushed, after: &Pushed, name: &EnvironmentName, screen: &mut Screen) -> anyhow::Result<()> {
        screen.act("The delivery of that push, twice more");
        let since = self.cluster.audit().map(Since::now);
        let version = self.version(name).await?;
        // The second is looked into only when all that came of the first is over.
        for _ in 0..2 {
            let look_ups = self.server.look_ups().await?;
            repository::replay(self.repository, BRANCH, &before.revision, &after.revision)?;
            let seen = || async { self.server.look_ups().await.is_ok_and(|now| now > look_ups) };
            wait::try_until("look at the branch", LIMIT, seen).await?;
        }
        screen.line(Mark::Done, "the server has looked at the branch twice");
        ensure!(version == self.version(name).await?, "a replayed delivery changed the Environment");
        screen.remark("the Environment is what it was, to its resourceVersion");
        if let Some(since) = since {
            let writes = since.writes();
            let all: Vec<String> = writes.of_deployer.into_iter().chain(writes.of_server).collect();
            screen.remark(format!("requests that wrote anything, by the audit log: {}", list(&all)));
            ensure!(all.is_empty(), "a replayed delivery wrote something");
        }
        Ok(())
    }

    async fn version(&self, name: &EnvironmentName) -> anyhow::Result<Option<String>> {
        let environments: Api<Environment> = Api::namespaced(self.cluster.client.clone(), NAMESPACE);
        Ok(environments.get(name.as_str()).await?.resource_version())
    }

    /// The end of the branch is the end of its environment.
    pub async fn delete(&self, follower: &mut Follower, screen: &mut Screen) -> anyhow::Result<Duration> {
        screen.act(&format!("git push origin --delete {BRANCH}"));
        self.repository.delete_branches(&[BRANCH])?;
        screen.line(Mark::Step, "deleted; the server asks the repository before it believes that");
        follower.until_gone(screen).await?;
        Ok(screen.elapsed())
    }

    /// What proves that nothing is left.
    pub async fn receipt(&self, name: &EnvironmentName, screen: &mut Screen) -> anyhow::Result<()> {
        let config_maps: Api<ConfigMap> = Api::namespaced(self.cluster.client.clone(), NAMESPACE);
        let receipts = ListParams::default().labels(keys::RECEIPT_LABEL);
        let mut found = config_maps.list(&receipts).await?.items.into_iter();
        let config_map = found.find(|receipt| receipt.name_any().starts_with(name.as_str()));
        let config_map = config_map.context("there is no receipt")?;
        let name = config_map.name_any();
        let text = config_map.data.unwrap_or_default().remove("receipt.yaml").unwrap_or_default();
        let receipt: Value = serde_saphyr::from_str(&text).context("could not read the receipt")?;
        screen.act(&format!("The receipt, kept for 30 days in ConfigMap {name}"));
        let (head, _) = text.split_once("objects:").unwrap_or((&text, ""));
        screen.remark(head.trim_end());
        let listed = receipt["objects"].as_array().map_or(0, Vec::len);
        screen.remark(format!("objects: ({listed}, each with its UID)"));
        ensure!(receipt["created"] == receipt["removed"], "not everything was removed");
        ensure!(receipt["left"].as_array().is_some_and(Vec::is_empty), "something is left");
        Ok(())
    }
}

/// The objects whose content was applied anew between two statuses.
fn changed(before: &EnvironmentStatus, after: &EnvironmentStatus) -> Vec<String> {
    let before = before.inventory.entries();
    let same = |entry: &&graftling::api::environment::InventoryEntry| !before.contains(entry);
    let title = |entry: &graftling::api::environment::InventoryEntry| format!("{} {}", entry.kind, entry.name);
    after.inventory.entries().iter().filter(same).map(title).collect()
}

fn list(texts: &[String]) -> String {
    match texts {
        [] => "none".to_owned(),
        texts => texts.join(", "),
    }
}

fn short(revision: &str) -> &str {
    revision.get(..12).unwrap_or(revision)
}
