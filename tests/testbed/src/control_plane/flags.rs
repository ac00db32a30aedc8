//! The command lines of the components.

use std::path::Path;

use super::identity::Identities;
use crate::node;

/// What the tests need, and nothing that needs a cloud. `node-lifecycle-controller` takes the taint off a new Node.
const CONTROLLERS: &str = "namespace-controller,serviceaccount-controller,serviceaccount-token-controller,\
root-ca-certificate-publisher-controller,garbage-collector-controller,resourcequota-controller,deployment-controller,\
replicaset-controller,statefulset-controller,job-controller,cronjob-controller,endpointslice-controller,\
ttl-after-finished-controller,persistentvolumeclaim-protection-controller,persistentvolume-protection-controller,\
persistentvolume-binder-controller,clusterrole-aggregation-controller,\
disruption-controller,node-lifecycle-controller";

/// One event for each request, when it is over, and one when a watch begins.
pub(super) const AUDIT_POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1",
  "kind": "Policy",
  "omitStages": ["RequestReceived"],
  "rules": [{ "level": "Metadata" }]
}
"#;

/// etcd as a cluster of one.
pub(super) fn etcd(data: &Path, client_url: &str, peer_url: &str) -> Vec<String> {
    vec![
        "--name=default".to_owned(),
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={client_url}"),
        format!("--advertise-client-urls={client_url}"),
        format!("--listen-peer-urls={peer_url}"),
        format!("--initial-advertise-peer-urls={peer_url}"),
        format!("--initial-cluster=default={peer_url}"),
        "--log-level=warn".to_owned(),
        // A cluster of one elects itself, after waiting for others. Ten times less waiting than the default.
        "--heartbeat-interval=10".to_owned(),
        "--election-timeout=100".to_owned(),
    ]
}

/// The API server, with RBAC, without anonymous users, and with an audit log that is complete when a response arrives.
pub(super) fn kube_apiserver(etcd_url: &str, port: u16, identities: &Identities, audit_policy: &Path, audit_log: &Path) -> Vec<String> {
    let file = |name: &str| identities.file(name).display().to_string();
    vec![
        format!("--etcd-servers={etcd_url}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--anonymous-auth=false".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        // A /24 would end after 254 Services.
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        format!("--audit-policy-file={}", audit_policy.display()),
        format!("--audit-log-path={}", audit_log.display()),
        "--audit-log-format=json".to_owned(),
        "--audit-log-mode=blocking".to_owned(),
        // No rotation: positions in the log must stay valid.
        "--audit-log-maxsize=0".to_owned(),
        // For the logs of pods, where there is a real node.
        format!("--kubelet-client-certificate={}", file("kubelet-client.crt")),
        format!("--kubelet-client-key={}", file("kubelet-client.key")),
        format!("--kubelet-certificate-authority={}", file("ca.crt")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
    ]
}

/// The controllers. Their default client limits (20 requests per second each) would throttle load tests.
pub(super) fn kube_controller_manager(kubeconfig: &Path, identities: &Identities) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        format!("--service-account-private-key-file={}", identities.file("sa.key").display()),
        format!("--root-ca-file={}", identities.file("ca.crt").display()),
        "--use-service-account-credentials=false".to_owned(),
        format!("--controllers={CONTROLLERS}"),
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
    ]
}

/// The scheduler.
pub(super) fn kube_scheduler(kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ]
}

/// kwok as the kubelet of every node but the real one, if there is one.
pub(super) fn kwok(kubeconfig: &Path, stages: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", stages.display()),
        "--manage-all-nodes=false".to_owned(),
        format!("--manage-nodes-with-label-selector=kubernetes.io/hostname!={}", node::NAME),
        "--node-ip=127.0.0.1".to_owned(),
        "--node-lease-duration-seconds=40".to_owned(),
    ]
}
