//! Pull requests from forks at a real Gitea: a stranger's commits, each approved or not shown.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::Environment;
use graftling::api::environment::Phase;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::gitea::OWNER;
use testbed::wait;

use super::gitea_scene::Forge;
use crate::world::{LONG, Options};

/// The stranger's own clone of the repository at the fork, as a branch of ours under a remote of theirs.
struct Stranger {
    token: String,
    login: &'static str,
}

impl Stranger {
    async fn with_fork(forge: &Forge, login: &'static str) -> Self {
        let token = forge.gitea.person(login).unwrap();
        forge
            .gitea
            .ask_as(&token, "POST", &format!("/repos/{OWNER}/shop/forks"), json!({}))
            .await;
        let address = forge.gitea.url().trim_start_matches("http://").to_owned();
        let url = format!("http://{login}:{token}@{address}/{login}/shop.git");
        forge.repository.git(["remote", "add", login, &url]).unwrap();
        wait::until("a fork that can be fetched", LONG, || async {
            forge.repository.git(["fetch", "--quiet", login]).map_err(|error| error.to_string())
        })
        .await;
        Self { token, login }
    }

    /// Commits to the fork's own `main`, which bears the name of our default branch.
    fn push(&self, forge: &Forge, content: &str) -> String {
        let git = |arguments: &[&str]| forge.repository.git(arguments.iter().copied()).unwrap();
        let start = format!("refs/remotes/{}/main", self.login);
        git(&["fetch", "--quiet", self.login]);
        git(&["checkout", "--quiet", "--force", "--detach", &start]);
        let clone = git(&["rev-parse", "--show-toplevel"]);
        std::fs::write(
            std::path::Path::new(clone.trim()).join(".graftling.yaml"),
            "greeting: from the fork\n",
        )
        .unwrap();
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--allow-empty", "--message", content]);
        let revision = git(&["rev-parse", "HEAD"]).trim().to_owned();
        git(&["push", "--quiet", self.login, &format!("{revision}:refs/heads/main")]);
        revision
    }

    async fn open(&self, forge: &Forge) -> u64 {
        let body = json!({ "head": format!("{}:main", self.login), "base": "main", "title": "Let me in" });
        let path = format!("/repos/{OWNER}/shop/pulls");
        forge.gitea.ask_as(&self.token, "POST", &path, body).await["number"]
            .as_u64()
            .unwrap()
    }

    async fn say(&self, forge: &Forge, number: u64, body: &str) {
        say(forge, &self.token, number, body).await;
    }
}

async fn say(forge: &Forge, token: &str, number: u64, body: &str) -> Value {
    let path = format!("/repos/{OWNER}/shop/issues/{number}/comments");
    forge.gitea.ask_as(token, "POST", &path, json!({ "body": body })).await
}

fn fork_head(environment: &Environment) -> Option<&str> {
    let pull = environment.spec.pull_request.as_ref()?;
    pull.fork.as_ref().map(|fork| fork.revision.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t12_threat_t11_a_pull_request_from_a_fork_is_ignored_by_default_whatever_is_said() {
    let Some(forge) = Forge::start("fork-ignored", Options::default(), json!({})).await else {
        return;
    };
    let eve = Stranger::with_fork(&forge, "eve").await;
    let head = eve.push(&forge, "mine");
    let number = eve.open(&forge).await;
    say(&forge, forge.gitea.token(), number, &format!("/preview approve {head}")).await;
    // A branch that is pushed after all of it has its environment, so everything before was looked at.
    let own = forge.push("feature/a", "a", "1");
    forge.world.wait_ready("feature/a", &own).await;
    assert_eq!(forge.uids().await.into_keys().collect::<Vec<_>>(), ["feature/a"]);
    let project = forge.world.projects().get("shop").await.unwrap();
    assert!(!project.annotations().contains_key("graftling.dev/approved-forks"));
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_t12_threat_t11_threat_t12_threat_t13_a_fork_shows_exactly_the_commit_that_was_approved_in_a_class_of_its_own() {
    let project = json!({
        "policy": { "forks": "Approve" },
        // What a branch may set by its own file, no fork may.
        "branchFile": { "allow": ["greeting"] },
        "guardrails": { "network": { "mode": "Open" }, "quota": { "pods": "500" } },
    });
    let Some(forge) = Forge::start("fork-approved", Options::default(), project).await else {
        return;
    };
    let (world, owner) = (&forge.world, forge.gitea.token().to_owned());
    let eve = Stranger::with_fork(&forge, "eve").await;
    let first = eve.push(&forge, "harmless");
    let number = eve.open(&forge).await;
    let branch = format!("refs/pull/{number}/head");
    let waits = format!("/preview approve {}", &first[..10]);
    forge
        .told("that tells what is needed", |status| {
            let skipped = status.skipped.iter().find(|skipped| skipped.branch == branch);
            skipped.is_some_and(|skipped| skipped.reason.contains("/preview approve <commit>"))
        })
        .await;
    // The author's own word counts for nothing, and neither does one without a commit or with another.
    eve.say(&forge, number, &waits).await;
    say(&forge, &owner, number, "/preview approve").await;
    say(&forge, &owner, number, &format!("/preview approve {}", "0".repeat(12))).await;
    say(&forge, &owner, number, &waits).await;
    let environment = world.wait_ready(&branch, &first).await;
    let project = world.projects().get("shop").await.unwrap();
    let approvals: Value = serde_json::from_str(&project.annotations()["graftling.dev/approved-forks"]).unwrap();
    assert_eq!(approvals.as_array().unwrap().len(), 1);
    assert_eq!((&approvals[0]["by"], &approvals[0]["revision"]), (&json!(OWNER), &json!(first)));

    let settings = world.settings_of(&environment).await;
    assert_eq!(settings["greeting"], "hello", "the fork's own file is not read");
    let namespace = environment.name_any();
    let quotas: Api<ResourceQuota> = Api::namespaced(world.client.clone(), &namespace);
    let hard = quotas.get("graftling-quota").await.unwrap().spec.unwrap().hard.unwrap();
    assert_eq!(hard["pods"].0, "20", "the Project's 500 is not for forks");
    let policies: Api<NetworkPolicy> = Api::namespaced(world.client.clone(), &namespace);
    let egress = policies.get("graftling-egress").await.unwrap().spec.unwrap().egress.unwrap();
    assert_eq!(egress.len(), 2, "no way to the Internet: {egress:?}");

    // Approve, then swap: what was approved goes on being shown.
    let second = eve.push(&forge, "evil");
    world
        .wait_until(&branch, "that knows the new head", |environment| {
            fork_head(environment) == Some(second.as_str())
        })
        .await;
    say(&forge, &owner, number, &waits).await;
    say(&forge, &owner, number, "/preview pin").await;
    let pinned = world
        .wait_until(&branch, "that is pinned", |environment| environment.spec.pinned)
        .await;
    assert_eq!((pinned.spec.revision.as_str(), pinned.uid()), (first.as_str(), environment.uid()));
    say(&forge, &owner, number, "/preview unpin").await;
    say(&forge, &owner, number, &format!("/preview approve {second}")).await;
    let moved = world.wait_for(&branch, Phase::Ready, &second).await;
    assert_eq!(moved.uid(), environment.uid());

    // Its end needs nobody's word.
    let closed = json!({ "state": "closed" });
    let path = format!("/repos/{OWNER}/shop/pulls/{number}");
    forge.gitea.ask_as(&eve.token, "PATCH", &path, closed).await;
    world.wait_gone(&branch).await;
    let receipt = world.receipt(&environment).await;
    assert!(
        receipt.contains(&format!("pull request {number} of branch {branch} is open no more")),
        "{receipt}"
    );
}
