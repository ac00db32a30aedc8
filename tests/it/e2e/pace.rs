//! How often a Git host is asked.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use graftling::api::GitHost;
use serde_json::json;
use testbed::github::{FakeGithub, Route};
use testbed::{Repository, wait};

use crate::world::{LONG, Options, World, without_main};

fn looks(fake: &FakeGithub) -> usize {
    fake.requests().iter().filter(|route| **route == Route::Heads).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_h3_f62_a_host_where_it_is_free_to_hear_that_nothing_changed_is_looked_at_four_times_as_often() {
    let options = Options {
        sweep_interval: "4s",
        ..Options::default()
    };
    let world = World::with("pace", options).await;
    let repository = Repository::create().unwrap();
    repository.commit("main", &[("a", "1")]).unwrap();
    let (free, paid) = (FakeGithub::start().await.unwrap(), FakeGithub::start().await.unwrap());
    world.secret("github", "token", "ghp_any").await;
    for (name, fake, credentials) in [("free", &free, Some("github")), ("paid", &paid, None)] {
        fake.add_repository("acme", name, 7, &repository.path(), "main");
        let mut spec = json!({ "provider": "github", "url": fake.url() });
        if let Some(secret) = credentials {
            spec["credentials"] = json!({ "name": secret });
        }
        let _: GitHost = world.apply("GitHost", name, json!({ "spec": spec })).await;
        world.project_at(name, name, &format!("acme/{name}"), without_main(json!({}))).await;
    }
    wait::until("many looks where they are free", LONG, || async { looks(&free) >= 24 }).await;
    let (often, seldom) = (looks(&free), looks(&paid));
    assert!(
        seldom >= 1 && seldom * 2 <= often,
        "{often} looks where they are free, {seldom} elsewhere"
    );
    assert!(
        free.unchanged() > 2 * (often - 4),
        "nearly all of them cost nothing: {}",
        free.unchanged()
    );
}
