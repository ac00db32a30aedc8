//! What an installed chart has outside of its namespace.

use std::path::PathBuf;

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};

use crate::control_plane::{self, ControlPlane};

/// The cluster-wide objects of one release of the chart. They go when it is dropped, in the background.
///
/// The namespace of a test may stay until its control plane goes. These may not: the API server judges each write by every admission
/// policy there is, and each request by every binding, so that what hundreds of tests leave makes the next ones slow.
#[derive(Debug)]
pub struct Release {
    name: String,
    kubeconfig: PathBuf,
}

impl ControlPlane {
    /// Takes over the cluster-wide objects of a release that is or will be installed.
    pub fn release(&self, name: &str) -> Release {
        Release {
            name: name.to_owned(),
            kubeconfig: self.kubeconfig().to_owned(),
        }
    }
}

impl Drop for Release {
    /// In a thread with a runtime of its own: that of the test ends. A control plane that is gone has taken everything along.
    fn drop(&mut self) {
        let (name, kubeconfig) = (std::mem::take(&mut self.name), std::mem::take(&mut self.kubeconfig));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                if let Ok(client) = control_plane::client(&kubeconfig).await {
                    withdraw(client, &name).await.unwrap_or_default();
                }
            });
            Ok::<(), std::io::Error>(())
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the name of a test's release is its own and never used again"
)]
async fn withdraw(client: Client, release: &str) -> Result<(), kube::Error> {
    let chosen = ListParams::default().labels(&format!("app.kubernetes.io/instance={release}"));
    let params = DeleteParams::default();
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    bindings.delete_collection(&params, &chosen).await?;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    policies.delete_collection(&params, &chosen).await?;
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    bindings.delete_collection(&params, &chosen).await?;
    let roles: Api<ClusterRole> = Api::all(client);
    roles.delete_collection(&params, &chosen).await?;
    Ok(())
}
