//! How long the end of the reference environment takes, beside `kubectl delete namespace --wait` of the same fourteen objects.
//!
//! Everything runs against one real control plane. Figures are printed as ratios of one run, because machines differ.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has no figure")]

#[path = "../tests/it"]
mod it {
    #[allow(unused_imports, reason = "a bench uses its part of the world")]
    pub mod world;
}

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::join_all;
use graftling::api::Environment;
use graftling::api::project::ProjectStatus;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use testbed::{Position, Repository, wait};

use it::world::{LONG, Options, World, objects, repository_name, root};

/// Pairs of one teardown each, in turn.
const ROUNDS: usize = 5;
/// As many go at once as the brake lets go of one Project.
const PER_PROJECT: usize = 3;
/// A branch that does not exist.
const ABSENT: &str = "0000000000000000000000000000000000000000";

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether it starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let kubectl = tokio::task::spawn_blocking(testbed::binaries::kubectl).await.unwrap().unwrap();
    let bench = Bench::start(kubectl).await;
    bench.one_at_a_time().await;
    for count in [20, 100] {
        bench.at_once(count).await;
    }
    bench.residue(0).await;
    bench.define(250).await;
    bench.residue(250).await;
}

struct Bench {
    world: World,
    repository: Repository,
    kubectl: PathBuf,
}

/// What one series came to.
struct Series {
    what: String,
    seconds: Vec<f64>,
}

impl Bench {
    async fn start(kubectl: PathBuf) -> Self {
        let options = Options {
            bundles: root().join("tests/bundles"),
            sweep_interval: "1h",
            absence_confirmation: "1h",
            ..Options::default()
        };
        let mut world = World::apart("teardown", options).await;
        world.start_server().await;
        let repository = Repository::create().unwrap();
        repository.commit("main", &[]).unwrap();
        world.git_host("git", &repository).await;
        Self {
            world,
            repository,
            kubectl,
        }
    }

    /// A Project for each three branches: more at once would stop at the brake.
    async fn projects(&self, series: &str, count: usize) -> Vec<String> {
        for number in 0..count.div_ceil(PER_PROJECT) {
            let spec = json!({
                "bundle": { "name": "reference" },
                "branches": { "include": [format!("{series}/{number}/*")] },
            });
            let name = format!("{series}-{number}");
            self.world.project_at("git", &name, &repository_name(&self.repository), spec).await;
        }
        for number in 0..count.div_ceil(PER_PROJECT) {
            // A delivery is of no use before its endpoint is there.
            let is_known = |status: &ProjectStatus| status.repository_id.is_some();
            self.world
                .wait_for_project(&format!("{series}-{number}"), "that was looked at", is_known)
                .await;
        }
        (0..count)
            .map(|number| format!("{series}/{}/{}", number / PER_PROJECT, number % PER_PROJECT))
            .collect()
    }

    async fn up(&self, branches: &[String]) -> Vec<Environment> {
        let pushes: Vec<_> = branches.iter().map(|branch| (branch.as_str(), &[][..])).collect();
        let revisions = self.repository.push_many(&pushes).unwrap();
        let updates = branches
            .iter()
            .zip(&revisions)
            .map(|(branch, revision)| (branch, ABSENT, revision.as_str()));
        self.deliver(updates).await;
        let ready = branches.iter().zip(&revisions);
        join_all(ready.map(|(branch, revision)| self.world.wait_for(branch, graftling::api::environment::Phase::Ready, revision))).await
    }

    async fn deliver<'a>(&self, updates: impl Iterator<Item = (&'a String, &'a str, &'a str)>) {
        let updates: Vec<Value> = updates
            .map(|(branch, before, after)| json!({ "ref": format!("refs/heads/{branch}"), "before": before, "after": after }))
            .collect();
        let body = json!({ "version": 1, "repository": repository_name(&self.repository), "updates": updates });
        let answer = self.world.signed_hint("git", serde_json::to_vec(&body).unwrap()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    /// From the delivery that says that the branches are gone to the end of the last Environment, which comes after its receipt.
    async fn tear_down(&self, branches: &[String]) -> (f64, Position) {
        let heads: Vec<_> = branches
            .iter()
            .map(|branch| self.repository.head(branch).unwrap().unwrap())
            .collect();
        let names: Vec<_> = branches.iter().map(String::as_str).collect();
        self.repository.delete_branches(&names).unwrap();
        let position = self.world.plane.audit().position();
        let start = Instant::now();
        let updates = branches.iter().zip(&heads).map(|(branch, head)| (branch, head.as_str(), ABSENT));
        self.deliver(updates).await;
        let left = |prefix: String| async move {
            let all = self.world.environments().list(&ListParams::default()).await.unwrap();
            let left = all
                .iter()
                .filter(|environment| environment.spec.branch.starts_with(&prefix))
                .count();
            if left == 0 { Ok(()) } else { Err(format!("{left} left")) }
        };
        let prefix = branches[0].split('/').next().unwrap().to_owned() + "/";
        wait::until("end of the environments", Duration::from_secs(600), || left(prefix.clone())).await;
        (start.elapsed().as_secs_f64(), position)
    }

    /// The same objects as one environment has, in a namespace of nobody.
    async fn bare(&self, template: &[Value], name: &str) {
        for object in template {
            let mut object = object.clone();
            if object["kind"] == "Namespace" {
                object["metadata"]["name"] = json!(name);
            } else {
                object["metadata"]["namespace"] = json!(name);
            }
            // A binding that names the account of the environment it was copied from would keep that one, as it should.
            if object["subjects"][0]["name"] == "web" {
                object["subjects"][0]["namespace"] = json!(name);
            }
            objects::apply_body(&self.world.client, &object).await;
        }
        let api: Api<Deployment> = Api::namespaced(self.world.client.clone(), name);
        let ready = |deployment: &Deployment| deployment.status.as_ref().is_some_and(|status| status.ready_replicas == Some(1));
        wait::for_object(&api, "web", "ready Deployment", LONG, ready).await;
    }

    /// The fourteen objects of a live environment, as somebody would have written them.
    async fn template(&self, environment: &Environment) -> Vec<Value> {
        let inventory = environment.status.clone().unwrap().inventory.entries();
        let mut objects = Vec::new();
        for entry in inventory {
            let api = objects::api(&self.world.client, &entry.api_version, &entry.kind, entry.namespace.as_deref()).await;
            let mut object = serde_json::to_value(api.get(&entry.name).await.unwrap()).unwrap();
            object.as_object_mut().unwrap().remove("status");
            object["metadata"] = json!({ "name": entry.name });
            if entry.kind == "Service" {
                object["spec"] = json!({ "selector": { "app": "web" }, "ports": [{ "port": 80 }] });
            }
            if entry.kind == "Namespace" {
                object.as_object_mut().unwrap().remove("spec");
            }
            objects.push(object);
        }
        objects.sort_by_key(|object| object["kind"] != "Namespace");
        assert_eq!(objects.len(), 14, "{objects:#?}");
        objects
    }

    async fn kubectl_delete(&self, names: &[String]) -> f64 {
        let start = Instant::now();
        let mut command = tokio::process::Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(self.world.plane.kubeconfig());
        command
            .args(["delete", "namespace", "--wait"])
            .args(names)
            .arg("--cache-dir")
            .arg(cache(&self.world));
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        start.elapsed().as_secs_f64()
    }

    async fn one_at_a_time(&self) {
        let branches = self.projects("single", ROUNDS).await;
        let (mut ours, mut theirs, mut requests) = (series("graftling, one"), series("kubectl delete namespace --wait, one"), Vec::new());
        for (round, branch) in branches.iter().enumerate() {
            let environment = self.up(std::slice::from_ref(branch)).await.remove(0);
            let name = format!("bare-{round}");
            self.bare(&self.template(&environment).await, &name).await;
            for turn in 0..2 {
                // Who is first changes with each round.
                if (turn + round) % 2 == 0 {
                    let (seconds, position) = self.tear_down(std::slice::from_ref(branch)).await;
                    ours.seconds.push(seconds);
                    requests.push(self.requests(position));
                } else {
                    theirs.seconds.push(self.kubectl_delete(std::slice::from_ref(&name)).await);
                }
            }
        }
        compare(&ours, &theirs);
        requests.sort_unstable();
        println!(
            "requests of one teardown: median {}, most {}",
            requests[requests.len() / 2],
            requests[requests.len() - 1]
        );
    }

    async fn at_once(&self, count: usize) {
        let branches = self.projects(&format!("burst{count}"), count).await;
        let environments = self.up(&branches).await;
        let template = self.template(&environments[0]).await;
        let (seconds, position) = self.tear_down(&branches).await;
        let requests = self.requests(position);
        let names: Vec<_> = (0..count).map(|number| format!("bare-{count}-{number}")).collect();
        for name in &names {
            self.bare(&template, name).await;
        }
        let mut ours = series(&format!("graftling, {count} at once"));
        let mut theirs = series(&format!("kubectl delete namespace --wait, {count} at once"));
        ours.seconds.push(seconds);
        theirs.seconds.push(self.kubectl_delete(&names).await);
        compare(&ours, &theirs);
        println!("requests for each of {count} teardowns: {:.0}", requests as f64 / count as f64);
    }

    /// One teardown, and what its receipt says of the last look.
    async fn residue(&self, definitions: usize) {
        let branches = self.projects(&format!("residue{definitions}"), 1).await;
        let environment = self.up(&branches).await.remove(0);
        let (seconds, position) = self.tear_down(&branches).await;
        let receipt = self.world.receipt(&environment).await;
        let from = receipt.lines().skip_while(|line| !line.starts_with("scan:"));
        let scan: Vec<_> = from
            .take_while(|line| line.starts_with("scan:") || line.starts_with(' '))
            .map(str::trim)
            .collect();
        println!(
            "with {definitions} more definitions: teardown {seconds:.2} s, {} requests; {}",
            self.requests(position),
            scan.join(" ")
        );
    }

    /// Everything that the server asked for, besides leases.
    fn requests(&self, position: Position) -> usize {
        let user = self.world.server_user();
        let events = self.world.plane.audit().since(position);
        events
            .iter()
            .filter(|event| event.user == user && event.resource != "leases")
            .count()
    }

    async fn define(&self, count: usize) {
        let api: Api<CustomResourceDefinition> = Api::all(self.world.client.clone());
        for number in 0..count {
            let (group, plural) = (format!("g{}.bench.example", number % 25), format!("things{number}"));
            let definition = json!({
                "metadata": { "name": format!("{plural}.{group}") },
                "spec": {
                    "group": group,
                    "scope": if number % 5 == 0 { "Cluster" } else { "Namespaced" },
                    "names": { "kind": format!("Thing{number}"), "plural": plural },
                    "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }],
                },
            });
            api.create(&PostParams::default(), &serde_json::from_value(definition).unwrap())
                .await
                .unwrap();
        }
        let last = format!("g{}.bench.example/v1", (count - 1) % 25);
        wait::until("the last definition to be served", LONG, || async {
            let served = self.world.client.list_api_group_resources(&last).await;
            served.is_ok_and(|list| list.resources.len() >= count / 25)
        })
        .await;
        let namespaces: Api<Namespace> = Api::all(self.world.client.clone());
        let count = namespaces
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .iter()
            .map(ResourceExt::name_any)
            .count();
        println!("{count} namespaces are there");
    }
}

fn cache(world: &World) -> PathBuf {
    Path::new(world.folder.path()).join("kubectl")
}

fn series(what: &str) -> Series {
    Series {
        what: what.to_owned(),
        seconds: Vec::new(),
    }
}

fn compare(ours: &Series, theirs: &Series) {
    for series in [ours, theirs] {
        let mut sorted = series.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part).round() as usize];
        println!("{}: p50 {:.2} s, p95 {:.2} s, n {}", series.what, at(0.5), at(0.95), sorted.len());
    }
    let median = |series: &Series| {
        let mut sorted = series.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    println!("ratio of the medians: {:.2}", median(ours) / median(theirs));
}
