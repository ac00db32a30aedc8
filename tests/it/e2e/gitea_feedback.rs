//! What people see at a real Gitea: one comment on each pull request, one status on each head.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::collections::BTreeSet;

use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::{Value, json};
use testbed::wait;

use super::gitea::Forge;
use crate::world::{LONG, Options};

const CONTEXT: &str = "preview/shop";

impl Forge {
    /// Opens a pull request from a branch and answers with its number.
    async fn pull(&self, branch: &str) -> u64 {
        let opened = json!({ "head": branch, "base": "main", "title": "A feature" });
        self.ask("POST", "/pulls", opened).await["number"].as_u64().unwrap()
    }

    /// The comments on a pull request.
    async fn comments(&self, number: u64) -> Vec<(u64, String)> {
        let all = self.ask("GET", &format!("/issues/{number}/comments"), json!({})).await;
        let all = all.as_array().cloned().unwrap_or_default();
        let short = |comment: &Value| {
            (
                comment["id"].as_u64().unwrap(),
                comment["body"].as_str().unwrap_or_default().to_owned(),
            )
        };
        all.iter().map(short).collect()
    }

    /// Waits until there is one comment, with these words in it, and answers with its number.
    async fn commented(&self, number: u64, words: &[&str]) -> u64 {
        wait::until(format!("one comment that says {words:?}"), LONG, || async {
            let comments = self.comments(number).await;
            match &comments[..] {
                [(id, body)] if words.iter().all(|word| body.contains(word)) => Ok(*id),
                _ => Err(format!("{comments:#?}")),
            }
        })
        .await
    }

    /// Our statuses of a commit, the newest first.
    async fn statuses(&self, revision: &str) -> Vec<(String, String)> {
        let all = self.ask("GET", &format!("/statuses/{revision}?limit=50"), json!({})).await;
        let all = all.as_array().cloned().unwrap_or_default();
        let mut ours: Vec<&Value> = all.iter().filter(|status| status["context"] == CONTEXT).collect();
        ours.sort_by_key(|status| std::cmp::Reverse(status["id"].as_u64()));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ours.iter()
            .map(|status| (text(&status["status"]), text(&status["description"])))
            .collect()
    }

    async fn stands(&self, revision: &str, state: &str) {
        wait::until(format!("status {state} of {revision}"), LONG, || async {
            let statuses = self.statuses(revision).await;
            match statuses.first() {
                Some((newest, _)) if newest == state => Ok(()),
                _ => Err(format!("{statuses:?}")),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_f1_feature_f2_a_pull_request_has_one_comment_and_each_head_its_own_status_from_push_to_removal() {
    let Some(forge) = Forge::start("gitea-told", Options::default()).await else {
        return;
    };
    let world = &forge.world;
    let first = forge.push("feature/a", "1");
    let environment = world.wait_ready("feature/a", &first).await;
    forge.stands(&first, "success").await;
    let number = forge.pull("feature/a").await;
    let url = environment.status.clone().unwrap().url.unwrap();
    let id = forge.commented(number, &["ready", &url, &first[..12]]).await;

    let second = forge.push("feature/a", "2");
    world.wait_ready("feature/a", &second).await;
    forge.stands(&second, "success").await;
    assert_eq!(forge.commented(number, &["ready", &second[..12]]).await, id, "edited in place");
    assert_eq!(
        forge.statuses(&first).await.first().map(|(state, _)| state.as_str()),
        Some("success"),
        "it was shown"
    );

    world.patch_project("shop", json!({ "bundle": { "name": "missing" } })).await;
    let failed = world.wait_until("feature/a", "that failed", |environment| {
        environment.status.as_ref().and_then(|status| status.phase) == Some(Phase::Failed)
    });
    failed.await;
    forge.stands(&second, "failure").await;
    assert_eq!(forge.commented(number, &["could not be", "**Why:**"]).await, id);

    world.patch_project("shop", json!({ "bundle": { "name": "mini" } })).await;
    forge.repository.force_push("feature/a", &first).unwrap();
    world.wait_ready("feature/a", &first).await;
    assert_eq!(
        forge.commented(number, &["ready", &first[..12]]).await,
        id,
        "a force push changes no comment but its text"
    );
    forge.stands(&first, "success").await;

    forge.repository.delete_branches(&["feature/a"]).unwrap();
    world.wait_gone("feature/a").await;
    assert_eq!(forge.commented(number, &["removed", "Receipt", "nothing is left behind"]).await, id);
    assert_eq!(
        forge.statuses(&first).await.first().map(|(state, _)| state.as_str()),
        Some("success")
    );
    let heads = forge.ask("GET", "/branches/main", json!({})).await;
    wait::until("a summary on the default branch", LONG, || async {
        let head = heads["commit"]["id"].as_str().unwrap_or_default().to_owned();
        forge.statuses(&head).await.first().is_some_and(|(state, _)| state == "success")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_f1_f64_a_host_that_is_away_holds_nothing_up_and_a_restart_comments_once_and_misses_no_end() {
    let Some(mut forge) = Forge::start("gitea-away", Options::default()).await else {
        return;
    };
    let first = forge.push("feature/a", "1");
    let environment = forge.world.wait_ready("feature/a", &first).await;
    let number = forge.pull("feature/a").await;
    let id = forge.commented(number, &["ready"]).await;

    forge.gitea.stop();
    // What the environment is to show changes while nobody can be told.
    forge
        .world
        .patch_project("shop", json!({ "values": { "greeting": "told to nobody" } }))
        .await;
    let name = environment.name_any();
    forge
        .world
        .wait_until("feature/a", "that was updated without its host", |environment| {
            let status = environment.status.clone().unwrap_or_default();
            status.observed_generation == environment.metadata.generation && status.phase.is_some()
        })
        .await;
    forge.world.server.take().unwrap().running.kill_hard().await.unwrap();
    forge.gitea.restart().await.unwrap();
    forge.world.start_server().await;
    let second = forge.push("feature/a", "2");
    forge.world.wait_ready("feature/a", &second).await;
    assert_eq!(
        forge.commented(number, &["ready", &second[..12]]).await,
        id,
        "the comment is known after a restart"
    );

    // The branch goes, its environment too, and only then the host is there to be told.
    forge.repository.delete_branches(&["feature/a"]).unwrap();
    wait::until("the end to begin", LONG, || async {
        match forge.world.environment("feature/a").await {
            Some(environment) => environment.metadata.deletion_timestamp.is_some(),
            None => true,
        }
    })
    .await;
    forge.gitea.stop();
    forge.world.wait_gone("feature/a").await;
    forge.world.server.take().unwrap().running.kill_hard().await.unwrap();
    forge.gitea.restart().await.unwrap();
    forge.world.start_server().await;
    assert_eq!(forge.commented(number, &["removed", "Receipt"]).await, id);
    assert!(!forge.world.namespace_exists(&name).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_f1_a_comment_that_somebody_deleted_does_not_come_back_at_the_end_and_what_is_switched_off_is_not_written() {
    let Some(forge) = Forge::start("gitea-quiet", Options::default()).await else {
        return;
    };
    let first = forge.push("feature/a", "1");
    forge.world.wait_ready("feature/a", &first).await;
    let number = forge.pull("feature/a").await;
    let id = forge.commented(number, &["ready"]).await;
    forge.ask("DELETE", &format!("/issues/comments/{id}"), json!({})).await;
    forge.repository.delete_branches(&["feature/a"]).unwrap();
    forge.world.wait_gone("feature/a").await;

    let feedback = json!({ "comment": false, "deployments": false });
    forge.world.patch_project("shop", json!({ "feedback": feedback })).await;
    let other = forge.push("feature/b", "1");
    let quiet = forge.pull("feature/b").await;
    forge.world.wait_ready("feature/b", &other).await;
    forge.stands(&other, "success").await;
    // Whatever was to be told of the first one was told before the second one was ready.
    assert_eq!(forge.comments(number).await, []);
    assert_eq!(forge.comments(quiet).await, []);
    let states: BTreeSet<String> = forge.statuses(&other).await.into_iter().map(|(state, _)| state).collect();
    assert!(!states.contains("failure"), "{states:?}");
}
