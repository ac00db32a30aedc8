//! Namespaces for tests, which tell what is in them when a test fails.

mod dump;

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};

use crate::control_plane::{self, ControlPlane};
use crate::{random, wait};

/// How long the controllers may take to give a new namespace its ServiceAccount. They take 12 ms when nothing else runs.
const PATIENCE: Duration = Duration::from_secs(90);

/// A namespace of one test. It is not deleted: the control plane goes away as a whole.
///
/// When it is dropped while the thread is panicking, everything in it is written to standard error.
#[derive(Debug)]
pub struct TestNamespace {
    name: String,
    kubeconfig: PathBuf,
}

impl ControlPlane {
    /// Creates a namespace `<prefix>-<random>` and waits until it has its default ServiceAccount, so that pods can start.
    ///
    /// # Panics
    ///
    /// When the API server refuses, or the account does not come.
    pub async fn namespace(&self, prefix: &str) -> TestNamespace {
        let client = self.client().await;
        let name = format!("{prefix}-{}", random::suffix());
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            ..Default::default()
        };
        let namespace = Namespace {
            metadata,
            ..Default::default()
        };
        let created = Api::all(client.clone()).create(&PostParams::default(), &namespace).await;
        if let Err(error) = created {
            panic!("cannot create namespace {name}: {}", crate::error_chain(&error));
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(client, &name);
        let look = || async { accounts.get("default").await };
        wait::until(format!("default ServiceAccount in namespace {name}"), PATIENCE, look).await;
        self.existing_namespace(&name)
    }

    /// Takes over a namespace that something else created or will create, for its dump.
    pub fn existing_namespace(&self, name: &str) -> TestNamespace {
        TestNamespace {
            name: name.to_owned(),
            kubeconfig: self.kubeconfig().to_owned(),
        }
    }
}

impl TestNamespace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every object in it, for people: metadata that matters, phase and conditions, events; custom resources of
    /// graftling.dev and the Namespace itself in full. The values of Secrets are masked.
    pub async fn dump(&self) -> String {
        match control_plane::client(&self.kubeconfig).await {
            Ok(client) => dump::namespace(client, &self.name).await,
            Err(error) => unreachable_server(&self.name, crate::error_chain(&error)),
        }
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", dump_blocking(self));
        }
    }
}

/// The tokio runtime of the test cannot be used while it unwinds, so the dump gets a thread and a runtime of its own.
fn dump_blocking(namespace: &TestNamespace) -> String {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let limited = async { tokio::time::timeout(Duration::from_secs(20), namespace.dump()).await };
            runtime.block_on(limited).map_err(std::io::Error::other)
        });
        match thread.join() {
            Ok(Ok(dump)) => dump,
            Ok(Err(error)) => unreachable_server(&namespace.name, error),
            Err(_) => unreachable_server(&namespace.name, "the dump itself panicked"),
        }
    })
}

fn unreachable_server(name: &str, reason: impl Display) -> String {
    format!("=== namespace {name}: nothing to show: {reason}")
}
