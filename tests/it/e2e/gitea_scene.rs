//! A world with a Project `shop` over a repository at a real Gitea, where people and strangers open pull requests.
#![allow(clippy::unwrap_used, reason = "a scene that cannot be set is the test's failure")]

use std::collections::BTreeMap;

use graftling::api::{GitHost, ProjectStatus};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use testbed::gitea::OWNER;
use testbed::{Gitea, Repository, wait};

use crate::world::{LONG, Options, WEBHOOK_SECRET, World, ready_reason, without_main};

/// A world with a Project over a repository at a real Gitea.
pub struct Forge {
    pub world: World,
    pub gitea: Gitea,
    pub repository: Repository,
}

impl Forge {
    /// Nothing where no Gitea can run: then the test is skipped, and has said so. `project` is merged over the Project's spec.
    pub async fn start(name: &str, options: Options, project: Value) -> Option<Self> {
        let gitea = Gitea::start_or_skip().await?;
        gitea.repository("shop").await;
        let repository = Repository::create().unwrap();
        repository.git(["remote", "set-url", "origin", &gitea.git_url("shop")]).unwrap();
        repository.git(["push", "origin", "HEAD:refs/heads/main"]).unwrap();
        // Until it has worked off the first push, Gitea takes the repository for an empty one.
        wait::until("a repository that is not empty", LONG, || async {
            let told = gitea.ask("GET", &format!("/repos/{OWNER}/shop"), json!({})).await;
            told["empty"] == false
        })
        .await;
        let world = World::with(name, options).await;
        gitea.hook("shop", &world.endpoint(world.server(), "gitea"), WEBHOOK_SECRET).await;
        world.secret("webhook", "secret", WEBHOOK_SECRET).await;
        world.secret("gitea", "token", gitea.token()).await;
        let spec = json!({
            "provider": "gitea",
            "url": gitea.url(),
            "credentials": { "name": "gitea" },
            "webhook": { "secret": { "name": "webhook" } },
        });
        let _: GitHost = world.apply("GitHost", "gitea", json!({ "spec": spec })).await;
        world
            .project_at("gitea", "shop", &format!("{OWNER}/shop"), without_main(project))
            .await;
        let forge = Self { world, gitea, repository };
        forge
            .told("that is synced", |status| ready_reason(&status.conditions) == "Synced")
            .await;
        Some(forge)
    }

    /// Pushes a file to a branch and returns the revision.
    pub fn push(&self, branch: &str, file: &str, content: &str) -> String {
        self.repository.commit(branch, &[(file, content)]).unwrap()
    }

    /// Asks Gitea as the owner, below the repository.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        self.gitea.ask(method, &format!("/repos/{OWNER}/shop{path}"), body).await
    }

    /// Opens a pull request from a branch and returns its number.
    pub async fn open(&self, head: &str, title: &str) -> u64 {
        let body = json!({ "head": head, "base": "main", "title": title });
        self.ask("POST", "/pulls", body).await["number"].as_u64().unwrap()
    }

    /// Closes or reopens a pull request.
    pub async fn set_state(&self, number: u64, state: &str) {
        self.ask("PATCH", &format!("/pulls/{number}"), json!({ "state": state })).await;
    }

    /// Makes a label and returns its number.
    pub async fn label(&self, name: &str) -> u64 {
        let body = json!({ "name": name, "color": "#00aabb" });
        self.ask("POST", "/labels", body).await["id"].as_u64().unwrap()
    }

    /// Puts a label on a pull request.
    pub async fn put_label(&self, number: u64, label: u64) {
        self.ask("POST", &format!("/issues/{number}/labels"), json!({ "labels": [label] }))
            .await;
    }

    /// Takes a label off.
    pub async fn take_label(&self, number: u64, label: u64) {
        self.ask("DELETE", &format!("/issues/{number}/labels/{label}"), json!({})).await;
    }

    /// Merges a pull request and deletes its branch.
    pub async fn merge(&self, number: u64) {
        // It is not known at once whether a pull request can be merged.
        wait::until("a pull request that can be merged", LONG, || async {
            self.ask("GET", &format!("/pulls/{number}"), json!({})).await["mergeable"] == true
        })
        .await;
        let merge = json!({ "Do": "merge", "delete_branch_after_merge": true });
        self.ask("POST", &format!("/pulls/{number}/merge"), merge).await;
    }

    /// Waits for the status of the Project.
    pub async fn told(&self, what: &str, holds: impl Fn(&ProjectStatus) -> bool) -> ProjectStatus {
        self.world.wait_for_project("shop", what, holds).await
    }

    /// The UID of every Environment that is not going, by its branch.
    pub async fn uids(&self) -> BTreeMap<String, String> {
        let all = self.world.environments().list(&ListParams::default()).await.unwrap();
        let alive = all.items.into_iter().filter(|one| one.metadata.deletion_timestamp.is_none());
        alive.map(|one| (one.spec.branch.clone(), one.uid().unwrap())).collect()
    }
}
