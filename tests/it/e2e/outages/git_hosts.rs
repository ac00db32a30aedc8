//! A Git host that fails for a while in a way of its own.

use std::time::Instant;

use futures::future::join_all;
use graftling::api::GitHost;
use serde_json::{Value, json};
use testbed::fault_proxy::{Fault, FaultProxy, Rule, Selector};
use testbed::gitlab::FakeGitlab;
use testbed::{Repository, wait};

use super::{OUTAGE, kinds, last, recovered};
use crate::githost::http_backend::HttpBackend;
use crate::world::{LONG, Options, World, ready_reason, repository_name, without_main};

/// So many requests there are at most in a second of an outage, of one Project that is looked at every second: two to four for each look.
const REQUESTS_A_SECOND: f64 = 5.0;

/// One host with one Project, and what goes wrong with it.
struct Case {
    name: String,
    proxy: FaultProxy,
    fault: Fault,
    /// What the Project's status says of it.
    told: &'static str,
}

/// Every way of failing of a whole host, with a word that the Project's message must contain at GitLab and at plain Git. Those of GitHub are
/// in `absence`.
fn faults() -> Vec<(&'static str, Fault, [&'static str; 2])> {
    vec![
        ("away", Fault::DropBefore, ["did not answer"; 2]),
        ("error", Fault::answer(500), ["500"; 2]),
        ("html", Fault::page(200), ["JSON", "smart Git protocol"]),
        ("login", Fault::answer(401), ["401"; 2]),
        ("missing", Fault::answer(404), ["repository"; 2]),
        ("limit", Fault::too_many(None), ["rate limit"; 2]),
    ]
}

/// The servers that all cases of a provider share; each case has a proxy of its own in front.
struct Upstreams {
    gitlab: FakeGitlab,
    plain: HttpBackend,
}

impl Upstreams {
    async fn start(repository: &Repository) -> Self {
        let upstreams = Self {
            gitlab: FakeGitlab::start().await.unwrap(),
            plain: HttpBackend::start(repository.path().parent().unwrap()).await,
        };
        upstreams.gitlab.add_project("acme/shop", 7, &repository.path(), "main");
        upstreams
    }

    fn url(&self, provider: &str) -> String {
        match provider {
            "gitlab" => self.gitlab.url(),
            _ => self.plain.url(),
        }
    }
}

async fn case(
    world: &World,
    upstreams: &Upstreams,
    repository: &Repository,
    name: &str,
    provider: &str,
    (fault, told): (Fault, &'static str),
) -> Case {
    let proxy = FaultProxy::before_http(&upstreams.url(provider)).await.unwrap();
    let name = format!("{provider}-{name}");
    let spec: Value = json!({ "provider": provider, "url": proxy.url() });
    let _: GitHost = world.apply("GitHost", &name, json!({ "spec": spec })).await;
    let path = match provider {
        "git" => repository_name(repository),
        _ => "acme/shop".to_owned(),
    };
    world.project_at(&name, &name, &path, without_main(json!({}))).await;
    Case { name, proxy, fault, told }
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_whatever_a_git_host_answers_during_an_outage_nothing_goes_it_is_not_hammered_and_soon_caught_up_with() {
    let bundles = tempfile::tempdir().unwrap();
    crate::e2e::scene::write_bundle(bundles.path().join("mini"), crate::e2e::scene::CONFIG);
    let options = Options {
        bundles: bundles.path().to_owned(),
        ..Options::default()
    };
    let world = World::with("hosts", options).await;
    let repository = Repository::create().unwrap();
    repository.push_many(&[("moves", &[("a", "1")]), ("goes", &[("a", "1")])]).unwrap();
    let upstreams = Upstreams::start(&repository).await;
    let mut cases = Vec::new();
    for (name, fault, words) in faults() {
        for (provider, told) in ["gitlab", "git"].into_iter().zip(words) {
            cases.push(case(&world, &upstreams, &repository, name, provider, (fault.clone(), told)).await);
        }
    }
    let alive = wait::until("two environments in every Project", LONG, || async {
        let alive = world.alive().await;
        if alive.len() == 2 * cases.len() {
            Ok(alive)
        } else {
            Err(format!("{alive:?}"))
        }
    })
    .await;

    let counts: Vec<usize> = cases.iter().map(|case| case.proxy.count()).collect();
    for case in &cases {
        case.proxy.add(Rule::on(Selector::any()), case.fault.clone());
    }
    let moved = repository.commit("moves", &[("a", "2")]).unwrap();
    repository.delete_branches(&["goes"]).unwrap();
    last().await;
    join_all(cases.iter().map(|case| named(&world, case))).await;
    assert_eq!(world.alive().await, alive);
    for (case, before) in cases.iter().zip(counts) {
        let during = case.proxy.exchanges_since(before);
        let rate = during.len() as f64 / OUTAGE.as_secs_f64();
        println!("{}: {rate:.1} requests a second", case.name);
        assert!(
            rate <= REQUESTS_A_SECOND,
            "{}: {rate:.1} a second: {:#?}",
            case.name,
            kinds(&during)
        );
    }

    let back = Instant::now();
    cases.iter().for_each(|case| case.proxy.clear());
    for case in &cases {
        wait::until(format!("the push to {}", case.name), LONG, || async {
            world.environment_of(&case.name, "moves").await.unwrap().spec.revision == moved
        })
        .await;
        wait::until(format!("the deletion at {}", case.name), LONG, || async {
            let environment = world.environment_of(&case.name, "goes").await;
            environment.is_none_or(|environment| environment.metadata.deletion_timestamp.is_some())
        })
        .await;
    }
    recovered("Git hosts", back);
    join_all(cases.iter().map(|case| world.wait_synced(&case.name))).await;
}

/// The Project says why nothing is known.
async fn named(world: &World, case: &Case) {
    let status = world
        .wait_for_project(&case.name, "without its source", |status| {
            ready_reason(&status.conditions) == "SourceUnavailable"
        })
        .await;
    let message = status.message.unwrap();
    assert!(message.contains(case.told), "{}: {message}", case.name);
}
