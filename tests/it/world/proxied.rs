//! Worlds whose server reaches the API server through a proxy that lets things go wrong. The test itself goes straight to it.

use std::path::Path;

use testbed::fault_proxy::FaultProxy;

use super::{Options, World};

impl World {
    /// A world with a running server behind a proxy.
    pub async fn behind_proxy(name: &str, options: Options) -> Self {
        Self::with(name, Options { proxied: true, ..options }).await
    }

    /// The proxy between the server and the API server.
    pub fn proxy(&self) -> &FaultProxy {
        self.proxy.as_ref().expect("the world has `proxied` among its options")
    }

    /// As whom and how a server of this world connects.
    pub async fn server_configuration(&self) -> kube::Config {
        let path = self.folder.path().join("server-account.kubeconfig");
        self.write_kubeconfig(&path).await;
        testbed::configuration(&path).await
    }

    /// Writes what a server connects by.
    pub async fn write_kubeconfig(&self, path: &Path) {
        let (plane, namespace) = (self.plane, self.namespace.name());
        let written = match &self.proxy {
            Some(proxy) => {
                plane
                    .service_account_kubeconfig_through(proxy, namespace, &self.release, path)
                    .await
            }
            None => plane.service_account_kubeconfig(namespace, &self.release, path).await,
        };
        written.unwrap();
    }
}
