//! Twenty-odd ways to become the cluster's master with the server's token, none of which may lead anywhere.

use serde_json::{Value, json};

use super::{Attempt, RBAC, account, attempt, object};
use crate::e2e::scene::Scene;

/// Ways from the server's rights to more, whoever the environments belong to.
pub fn escalations(scene: &Scene, environment: &str, deployer_role: &str) -> Vec<Attempt> {
    let home = scene.world.namespace.name();
    let release = &scene.world.release;
    let core = |namespace: &str, rest: &str| format!("/api/v1/namespaces/{namespace}/{rest}");
    let cluster_binding = |role: &str| {
        let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role });
        let rest = json!({ "roleRef": role, "subjects": [account(home, release)] });
        object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, "attempt", rest)
    };
    let everything = json!({ "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }] });
    let namespace = |name: &str, labels: Value| object("v1", "Namespace", None, name, json!({ "metadata": { "labels": labels } }));
    let labels =
        |environment: &str, level: &str| json!({ "graftling.dev/environment": environment, "pod-security.kubernetes.io/enforce": level });
    let pod = json!({ "spec": { "containers": [{ "name": "a", "image": "registry.example/a:1" }] } });
    let quota = object(
        "v1",
        "ResourceQuota",
        Some("kube-system"),
        "attempt",
        json!({ "spec": { "hard": { "pods": "0" } } }),
    );
    let admission = "/apis/admissionregistration.k8s.io/v1";
    let webhook = object(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        None,
        "attempt",
        json!({}),
    );
    let csr = json!({ "spec": { "request": "eA==", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"] } });
    let csr = object("certificates.k8s.io/v1", "CertificateSigningRequest", None, "attempt", csr);
    vec![
        attempt(
            "bind cluster-admin",
            "POST",
            format!("{RBAC}/clusterrolebindings"),
            cluster_binding("cluster-admin"),
        ),
        attempt(
            "bind the deployer everywhere",
            "POST",
            format!("{RBAC}/clusterrolebindings"),
            cluster_binding(deployer_role),
        ),
        attempt(
            "widen my own role",
            "PATCH",
            format!("{RBAC}/clusterroles/{release}"),
            everything.clone(),
        ),
        attempt(
            "widen the deployer's role",
            "PATCH",
            format!("{RBAC}/clusterroles/{deployer_role}"),
            everything.clone(),
        ),
        attempt(
            "widen the project role",
            "PATCH",
            format!("{RBAC}/namespaces/{home}/roles/{release}"),
            everything,
        ),
        attempt("list Secrets of kube-system", "GET", core("kube-system", "secrets"), Value::Null),
        attempt("list Secrets of the project", "GET", core(home, "secrets"), Value::Null),
        attempt("get a Secret of an environment", "GET", core(environment, "secrets/a"), Value::Null),
        attempt("get a Secret elsewhere by name", "GET", core("default", "secrets/a"), Value::Null),
        attempt(
            "mint a token",
            "POST",
            core(home, "serviceaccounts/default/token"),
            json!({ "spec": {} }),
        ),
        attempt(
            "make a pod beside me",
            "POST",
            core(home, "pods"),
            object("v1", "Pod", None, "attempt", pod.clone()),
        ),
        attempt(
            "make a pod in an environment",
            "POST",
            core(environment, "pods"),
            object("v1", "Pod", None, "attempt", pod),
        ),
        attempt(
            "run a command in a pod",
            "POST",
            core(environment, "pods/a/exec?command=id"),
            Value::Null,
        ),
        attempt("reach a kubelet", "GET", "/api/v1/nodes/fake-0/proxy/pods".to_owned(), Value::Null),
        attempt(
            "make a webhook",
            "POST",
            format!("{admission}/mutatingwebhookconfigurations"),
            webhook,
        ),
        attempt(
            "ask for a certificate",
            "POST",
            "/apis/certificates.k8s.io/v1/certificatesigningrequests".to_owned(),
            csr,
        ),
        attempt(
            "loosen an admission policy",
            "PATCH",
            format!("{admission}/validatingadmissionpolicies/{release}-namespaces"),
            json!({ "spec": { "failurePolicy": "Ignore" } }),
        ),
        attempt(
            "unbind an admission policy",
            "DELETE",
            format!("{admission}/validatingadmissionpolicybindings/{release}-namespaces"),
            Value::Null,
        ),
        attempt(
            "make a plain namespace",
            "POST",
            "/api/v1/namespaces".to_owned(),
            namespace("attempt", json!({})),
        ),
        attempt(
            "make a privileged namespace",
            "POST",
            "/api/v1/namespaces".to_owned(),
            namespace("attempt", labels("attempt", "privileged")),
        ),
        attempt(
            "make an environment privileged",
            "PATCH",
            format!("/api/v1/namespaces/{environment}"),
            json!({ "metadata": { "labels": labels(environment, "privileged") } }),
        ),
        attempt(
            "give an environment to another",
            "PATCH",
            format!("/api/v1/namespaces/{environment}"),
            json!({ "metadata": { "labels": labels("another", "baseline") } }),
        ),
        attempt(
            "take kube-system for an environment",
            "PATCH",
            "/api/v1/namespaces/kube-system".to_owned(),
            json!({ "metadata": { "labels": labels(environment, "baseline") } }),
        ),
        attempt("delete default", "DELETE", "/api/v1/namespaces/default".to_owned(), Value::Null),
        attempt(
            "finalize an environment",
            "PUT",
            format!("/api/v1/namespaces/{environment}/finalize"),
            namespace(environment, labels(environment, "baseline")),
        ),
        attempt("limit kube-system", "APPLY", core("kube-system", "resourcequotas/attempt"), quota),
    ]
}
