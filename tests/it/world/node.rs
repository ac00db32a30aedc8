//! Worlds in which pods really run.

use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};
use testbed::node::image;
use testbed::{ControlPlane, subject, wait};

use super::{LONG, Options, World};
use k8s_openapi::api::core::v1::Pod;

impl World {
    /// A world with a real node and a running server. Nothing where no node can run: then the test is skipped, and has said so.
    pub async fn on_node(name: &str, mut options: Options) -> Option<Self> {
        // The node has no image but its own.
        options.arguments.push(format!("--tools-image={}", image::BUSYBOX));
        let plane = ControlPlane::with_node().await?;
        let client = plane.client().await;
        subject::define(&client).await.unwrap();
        let mut world = Self::on(plane, name, options).await;
        world.start_server().await;
        Some(world)
    }

    /// The pods of a namespace.
    pub fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The pod of a namespace that has this label and is not on its way out, once it is ready.
    pub async fn ready_pod(&self, namespace: &str, label: &str) -> Pod {
        let params = ListParams::default().labels(label);
        wait::until(format!("ready pod {label}"), LONG, || async {
            let pods = self.pods(namespace).list(&params).await.unwrap().items;
            let mut alive = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
            alive.find(is_ready).ok_or("none is ready")
        })
        .await
    }

    /// What a web server in a pod answers at its root.
    pub async fn page(&self, pod: &Pod, port: u16) -> String {
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap();
        let page = testbed::node::get(&format!("http://{address}:{port}/")).await;
        page.unwrap_or_else(|error| panic!("{}: {error}", pod.name_any()))
    }

    /// The log of a pod from its first line to its end, each line with its time. Returns when the container has ended.
    pub async fn whole_log(pods: Api<Pod>, name: String) -> Vec<String> {
        use futures::{AsyncBufReadExt, TryStreamExt};
        let params = LogParams {
            follow: true,
            timestamps: true,
            ..Default::default()
        };
        let lines = pods.log_stream(&name, &params).await.unwrap().lines();
        lines.try_collect().await.unwrap()
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}
