//! `graftling githost check` and `install` with a real Gitea, a real server and a real push.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::process::{Command, Output};

use graftling::api::GitHost;
use serde_json::{Value, json};
use testbed::gitea::OWNER;
use testbed::{Gitea, Repository, wait};

use crate::world::{LONG, Options, WEBHOOK_SECRET, World, repository_name, without_main};

const SHOP: &str = "boss/shop";

/// A Gitea with a repository that has no webhook, and a GitHost that knows it.
struct Fresh {
    world: World,
    gitea: Gitea,
    repository: Repository,
}

/// How a check ended.
struct Checked {
    code: i32,
    findings: Vec<Value>,
    text: String,
}

impl Fresh {
    /// Nothing where no Gitea can run: then the test is skipped, and has said so.
    async fn start(name: &str) -> Option<Self> {
        let gitea = Gitea::start_or_skip().await?;
        gitea.repository("shop").await;
        let repository = Repository::create().unwrap();
        repository.git(["remote", "set-url", "origin", &gitea.git_url("shop")]).unwrap();
        repository.git(["push", "origin", "HEAD:refs/heads/main"]).unwrap();
        wait::until("a repository that is not empty", LONG, || async {
            gitea.ask("GET", &format!("/repos/{OWNER}/shop"), json!({})).await["empty"] == false
        })
        .await;
        let options = Options {
            sweep_interval: "1h",
            absence_confirmation: "1h",
            ..Options::default()
        };
        let world = World::with(name, options).await;
        world.secret("webhook", "secret", WEBHOOK_SECRET).await;
        world.secret("gitea", "token", gitea.token()).await;
        let spec = json!({
            "provider": "gitea",
            "url": gitea.url(),
            "credentials": { "name": "gitea" },
            "webhook": { "secret": { "name": "webhook" } },
        });
        let _: GitHost = world.apply("GitHost", "gitea", json!({ "spec": spec })).await;
        world.project_at("gitea", "shop", SHOP, without_main(json!({}))).await;
        world.first_look().await;
        Some(Self { world, gitea, repository })
    }

    fn server_url(&self) -> String {
        let endpoint = self.world.endpoint(self.world.server(), "gitea");
        endpoint.split("/hooks/").next().unwrap().to_owned()
    }

    async fn githost(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graftling"));
        command.arg("githost").args(arguments).args(["-n", self.world.namespace.name()]);
        command.env_clear().env("HOME", self.world.folder.path());
        command.env("KUBECONFIG", self.world.plane.kubeconfig());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn check(&self, arguments: &[&str]) -> Checked {
        let output = self.githost(&[&["check", "gitea", "-o", "json"], arguments].concat()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
        for secret in [WEBHOOK_SECRET, self.gitea.token()] {
            assert!(!text.contains(secret) && !errors.contains(secret), "a secret is shown");
        }
        Checked {
            code: output.status.code().unwrap(),
            findings: read["findings"].as_array().unwrap().clone(),
            text,
        }
    }

    async fn hooks(&self) -> Vec<Value> {
        let hooks = self.gitea.ask("GET", &format!("/repos/{SHOP}/hooks"), json!({})).await;
        hooks.as_array().unwrap().clone()
    }
}

impl Checked {
    fn state(&self, about: &str) -> &str {
        let found = self.findings.iter().find(|finding| finding["about"] == about);
        found.unwrap_or_else(|| panic!("nothing about {about}: {}", self.text))["state"]
            .as_str()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_repository_lacks_its_webhook_gets_it_and_then_a_push_is_delivered() {
    let Some(fresh) = Fresh::start("setup-fresh").await else { return };
    let server = fresh.server_url();
    let flags = ["--server-url", server.as_str()];
    let before = fresh.check(&flags).await;
    assert_eq!((before.code, before.state("webhook")), (9, "missing"), "{}", before.text);
    assert!(
        before
            .text
            .contains(&format!("githost install gitea --repository {SHOP} --server-url {server}"))
    );
    for about in [
        "read pull requests",
        "set commit statuses",
        "comment on pull requests",
        "manage webhooks",
        "endpoint",
    ] {
        assert_eq!(before.state(about), "good", "{about}: {}", before.text);
    }
    assert!(fresh.hooks().await.is_empty(), "a check installs nothing");

    // Installed twice, it is there once.
    for word in ["created", "updated"] {
        let output = fresh
            .githost(&["install", "gitea", "--repository", SHOP, "--server-url", &server])
            .await;
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(0), format!("{word} the webhook of {SHOP}\n").as_str()),
            "{errors}"
        );
    }
    assert_eq!(fresh.hooks().await.len(), 1);
    let after = fresh.check(&flags).await;
    assert_eq!((after.code, after.state("webhook")), (0, "good"), "{}", after.text);
    // By now the server's address is known from the webhook.
    let without = fresh.check(&[]).await;
    assert_eq!((without.code, without.state("endpoint")), (0, "good"), "{}", without.text);

    let revision = fresh.repository.commit("feature/a", &[("file", "1")]).unwrap();
    fresh.world.wait_ready("feature/a", &revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_rights_is_named_with_what_it_lacks() {
    let Some(fresh) = Fresh::start("setup-token").await else { return };
    let server = fresh.server_url();
    let token = fresh.gitea.scoped_token(OWNER, "read:repository").unwrap();
    fresh.world.secret("gitea", "token", &token).await;
    let checked = fresh.check(&["--server-url", &server]).await;
    assert_eq!(checked.code, 9);
    let states = ["read pull requests", "set commit statuses", "comment on pull requests"].map(|about| checked.state(about));
    assert_eq!(states, ["good", "missing", "missing"], "{}", checked.text);
    assert_eq!(checked.state("manage webhooks"), "optional");
    assert!(
        checked.text.contains("write:repository") && checked.text.contains("write:issue"),
        "{}",
        checked.text
    );
    let install = fresh
        .githost(&["install", "gitea", "--repository", SHOP, "--server-url", &server])
        .await;
    assert_eq!(install.status.code(), Some(1));
    assert!(fresh.hooks().await.is_empty());

    // Somebody who has every scope and may only read the repository.
    let stranger = fresh.gitea.person("stranger").unwrap();
    fresh.world.secret("gitea", "token", &stranger).await;
    let checked = fresh.check(&["--server-url", &server]).await;
    assert_eq!(checked.state("set commit statuses"), "missing", "{}", checked.text);
    assert_eq!(checked.state("manage webhooks"), "optional", "{}", checked.text);

    // A token that is none.
    fresh.world.secret("gitea", "token", "nonsense").await;
    let checked = fresh.check(&["--server-url", &server]).await;
    assert_eq!(checked.state("read the repository and its branches"), "missing", "{}", checked.text);
    let unknown = fresh.githost(&["check", "gitlab"]).await;
    assert_eq!(unknown.status.code(), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_the_servers_is_found_out_by_a_signed_ping() {
    let Some(fresh) = Fresh::start("setup-secret").await else { return };
    let server = fresh.server_url();
    // The server reads Secrets once a minute: it may do so just in between, but not twice.
    let mut states = Vec::new();
    for other in ["another secret", "yet another secret"] {
        fresh.world.secret("webhook", "secret", other).await;
        let checked = fresh.check(&["--server-url", &server]).await;
        assert!(!checked.text.contains(other));
        states.push(checked.state("endpoint").to_owned());
    }
    assert!(states.contains(&"missing".to_owned()), "{states:?}");
    let nowhere = fresh.check(&["--server-url", "http://127.0.0.1:9"]).await;
    assert_eq!(nowhere.state("endpoint"), "missing");
    let elsewhere = fresh.check(&["--server-url", fresh.gitea.url()]).await;
    assert_eq!(elsewhere.state("endpoint"), "missing", "{}", elsewhere.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_plain_git_host_the_command_of_the_hook_is_printed() {
    let (world, repository) = World::shop("setup-plain", Options::default(), json!({})).await;
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graftling"));
        command.arg("githost").args(arguments).args(["-n", world.namespace.name()]);
        command
            .env_clear()
            .env("HOME", world.folder.path())
            .env("KUBECONFIG", world.plane.kubeconfig());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let endpoint = world.endpoint(world.server(), "git");
    let server = endpoint.split("/hooks/").next().unwrap();
    let name = repository_name(&repository);
    let (code, said) = run(&["install", "git", "--repository", &name, "--server-url", server]).await;
    assert_eq!(code, 0);
    assert!(
        said.contains(&format!("graftling hook install FOLDER --repository {name} --url {endpoint}")),
        "{said}"
    );
    let (code, said) = run(&["check", "git", "--server-url", server]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!("ok       {name}: read the repository: the credentials may\n")),
        "{said}"
    );
}
