//! One Project over the same repository on two hosts: whichever tells first, and whose word counts.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::path::PathBuf;

use graftling::api::Environment;
use kube::ResourceExt;
use serde_json::json;
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, repository_name};

const ZEROS: &str = "0000000000000000000000000000000000000000";
const TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {revision: {{quote revision}}}\n";

/// A primary and a mirror that each have `main`, and a Project whose bundle is in the branches.
struct Pair {
    world: World,
    primary: Repository,
    mirror: Repository,
}

impl Pair {
    async fn start(name: &str) -> Self {
        let world = World::with(name, Options::default()).await;
        let (primary, mirror) = (Repository::create().unwrap(), Repository::create().unwrap());
        world.git_host("elsewhere", &mirror).await;
        let spec = json!({
            "bundle": { "repository": { "path": "preview", "from": "Branch" } },
            "branches": { "exclude": ["main"] },
            "mirrors": [{ "gitHostRef": { "name": "elsewhere" }, "repository": repository_name(&mirror) }],
        });
        world.project("shop", &primary, spec).await;
        world
            .wait_for_project("shop", "that is synced", |status| status.repository_id.is_some())
            .await;
        Self { world, primary, mirror }
    }

    /// Commits to a branch of the mirror, which tells of it.
    async fn push_to_mirror(&self, branch: &str, content: &str) -> String {
        let files = [
            ("preview/bundle.yaml", "name: app\nversion: 0.1.0\n"),
            ("preview/templates/all.yaml", TEMPLATE),
            ("file", content),
        ];
        let revision = self.mirror.commit(branch, &files).unwrap();
        self.hint("elsewhere", &self.mirror, branch, ZEROS, &revision).await;
        revision
    }

    /// Brings what the mirror has to the primary.
    fn arrive(&self, branch: &str) {
        let to = self.primary.path().display().to_string();
        self.mirror
            .git(["push", "--force", &to, &format!("refs/remotes/origin/{branch}:refs/heads/{branch}")])
            .unwrap();
    }

    async fn hint(&self, host: &str, repository: &Repository, branch: &str, before: &str, after: &str) {
        let name = repository_name(repository);
        let answer = self.world.hint(host, &name, &format!("refs/heads/{branch}"), before, after).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// Lets the repository of the primary be listed so many times in full.
    async fn sweeps(&self, count: f64) {
        let series = r#"graftling_sweeps_total{result="complete"}"#;
        let before = self.world.metric(series).await;
        wait::until("some sweeps", LONG, || async {
            (self.world.metric(series).await >= before + count).then_some(())
        })
        .await;
    }

    fn away(&self) -> (PathBuf, PathBuf) {
        let path = self.primary.path().to_path_buf();
        let aside = path.with_extension("aside");
        std::fs::rename(&path, &aside).unwrap();
        (path, aside)
    }

    async fn uid(&self, branch: &str) -> Option<String> {
        self.world
            .environment(branch)
            .await
            .and_then(|environment: Environment| environment.uid())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_a_mirror_gets_the_one_environment_of_the_primary_which_decides_once_it_has_it() {
    let pair = Pair::start("mirror-first").await;
    let world = &pair.world;
    let first = pair.push_to_mirror("feature/a", "1").await;
    let environment = world.wait_ready("feature/a", &first).await;
    let id = world.projects().get("shop").await.unwrap().status.unwrap().repository_id.unwrap();
    assert_eq!(environment.spec.repository_id, id, "it is the primary's, whoever told of it");
    pair.sweeps(4.0).await;
    assert_eq!(
        pair.uid("feature/a").await,
        environment.uid(),
        "the primary does not have it yet, and that is no deletion"
    );

    pair.mirror.git(["fetch", "origin"]).unwrap();
    pair.arrive("feature/a");
    let second = pair.primary.commit("feature/a", &[("file", "2")]).unwrap();
    let after = world.wait_ready("feature/a", &second).await;
    assert_eq!(after.uid(), environment.uid(), "one branch keeps one environment");
    pair.push_to_mirror("feature/a", "3").await;
    let other = pair.push_to_mirror("feature/b", "1").await;
    world.wait_ready("feature/b", &other).await;
    let still = world.environment("feature/a").await.unwrap();
    assert_eq!(still.spec.revision, second, "the primary has the branch, so it decides");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_primary_is_away_pushes_to_a_mirror_count_and_deletions_do_not() {
    let pair = Pair::start("mirror-away").await;
    let world = &pair.world;
    let first = pair.push_to_mirror("feature/a", "1").await;
    pair.mirror.git(["fetch", "origin"]).unwrap();
    pair.arrive("feature/a");
    let environment = world.wait_ready("feature/a", &first).await;

    let (path, aside) = pair.away();
    let second = pair.push_to_mirror("feature/a", "2").await;
    let updated = world.wait_ready("feature/a", &second).await;
    assert_eq!(updated.uid(), environment.uid());
    pair.mirror.delete_branches(&["feature/a"]).unwrap();
    pair.hint("elsewhere", &pair.mirror, "feature/a", &second, ZEROS).await;
    // What comes after it in the inbox was looked at after it.
    let other = pair.push_to_mirror("feature/b", "1").await;
    world.wait_ready("feature/b", &other).await;
    assert_eq!(pair.uid("feature/a").await, environment.uid(), "deletion needs the primary's word");

    std::fs::rename(&aside, &path).unwrap();
    world.wait_ready("feature/a", &first).await;
    assert_eq!(pair.uid("feature/a").await, environment.uid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_deleted_at_the_primary_goes_and_no_listing_of_a_mirror_brings_it_back() {
    let pair = Pair::start("mirror-gone").await;
    let world = &pair.world;
    let revision = pair.push_to_mirror("feature/a", "1").await;
    pair.mirror.git(["fetch", "origin"]).unwrap();
    pair.arrive("feature/a");
    world.wait_ready("feature/a", &revision).await;
    pair.primary.delete_branches(&["feature/a"]).unwrap();
    pair.hint("git", &pair.primary, "feature/a", &revision, ZEROS).await;
    world.wait_gone("feature/a").await;
    assert_eq!(
        pair.mirror.head("feature/a").unwrap().as_deref(),
        Some(revision.as_str()),
        "the mirror has it still"
    );
    pair.sweeps(3.0).await;
    assert_eq!(pair.uid("feature/a").await, None);
}
