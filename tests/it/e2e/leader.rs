//! The lead as it passes on, or must not: leaders that were stopped, clocks that are wrong, a Lease that cannot be renewed.
//!
//! Each replica reaches the API server through a proxy of its own, so that it can be told what each of them writes.
#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is the test's failure")]

mod clocks;
mod outrun;
mod renewal;

use std::time::Duration;

use testbed::clock::WallClock;
use testbed::fault_proxy::{Exchange, FaultProxy};
use testbed::{Repository, wait};

use super::replicas::leads;
use super::scene::write_bundle;
use crate::world::{LONG, Options, Server, World, without_main};

/// A ServiceAccount, and something that depends on the revision.
const REVISION: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {revision: {{quote revision}}}
"#;

/// A Lease is good for 15 seconds, and is looked at every three; the rest is for machines with other work to do.
const SUCCESSION: Duration = Duration::from_secs(70);

/// A world in which several servers share a Project.
struct Stage {
    world: World,
    repository: Repository,
    _bundles: tempfile::TempDir,
}

/// A server with its own way to the API server.
struct Replica {
    server: Server,
    proxy: FaultProxy,
}

impl Stage {
    async fn set(name: &str) -> Self {
        let bundles = tempfile::tempdir().unwrap();
        write_bundle(bundles.path().join("app"), REVISION);
        let options = Options {
            bundles: bundles.path().to_owned(),
            chart_values: vec!["leaderElection.enabled=true".to_owned()],
            ..Options::default()
        };
        Self {
            world: World::without_server(name, options).await,
            repository: Repository::create().unwrap(),
            _bundles: bundles,
        }
    }

    /// Makes the Project; `rest` is merged over its spec.
    async fn project(&self, rest: serde_json::Value) {
        let mut spec = without_main(serde_json::json!({ "bundle": { "name": "app" } }));
        crate::world::merge(&mut spec, rest);
        self.world.project("shop", &self.repository, spec).await;
    }

    /// Starts a replica that lives by `clock`, or by the right time.
    async fn replica(&self, name: &str, clock: Option<&WallClock>) -> Replica {
        let world = &self.world;
        let proxy = FaultProxy::before_api_server(world.plane).await.unwrap();
        let kubeconfig = world.folder.path().join(format!("{name}.kubeconfig"));
        let namespace = world.namespace.name();
        let written = world
            .plane
            .service_account_kubeconfig_through(&proxy, namespace, &world.release, &kubeconfig)
            .await;
        written.unwrap();
        let election = [
            "--leader-elect".to_owned(),
            format!("--lease-namespace={namespace}"),
            format!("--lease-name={}", world.release),
        ];
        let arguments: Vec<&str> = election.iter().map(String::as_str).collect();
        let environment = clock.map(WallClock::environment).into_iter().flatten();
        let server = world.server_by(&kubeconfig, &arguments, environment).await;
        Replica { server, proxy }
    }

    /// Starts a replica and waits until it leads.
    async fn leader(&self, name: &str, clock: Option<&WallClock>) -> Replica {
        let replica = self.replica(name, clock).await;
        leads(&replica.server).await;
        replica
    }

    fn push(&self, branch: &str, content: &str) -> String {
        self.repository.commit(branch, &[("file", content)]).unwrap()
    }
}

impl Replica {
    /// What it wrote or tried to write since its exchange `number`, besides Leases.
    fn writes_since(&self, number: usize) -> Vec<Exchange> {
        let mut exchanges = self.proxy.exchanges_since(number);
        exchanges.retain(|exchange| exchange.request.is_write() && exchange.request.resource != "leases");
        exchanges
    }

    fn has_led(&self) -> bool {
        self.server.running.lines().iter().any(|line| line.contains("leading"))
    }

    /// Waits until it has ended, which must not look like success.
    async fn ends(&self) {
        let status = self.server.running.wait(LONG).await.unwrap();
        assert!(!status.success(), "{status}");
    }
}

/// Waits until the world's server has swept so often again that an absence would have been proven and acted on.
async fn several_sweeps(world: &World) {
    let sweeps = r#"graftling_sweeps_total{result="complete"}"#;
    let before = world.metric(sweeps).await;
    wait::until("four more sweeps", LONG, || async { world.metric(sweeps).await >= before + 4.0 }).await;
}
