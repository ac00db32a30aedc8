//! What the server and its deployers may not do, tried with their own identities against a real API server.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

mod escalations;

use graftling::api::environment::Phase;
use http::Request;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use testbed::wait;

use self::escalations::escalations;
use super::scene::{CONFIG, Scene, WEB};
use crate::world::LONG;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A request: what it is for, method, path, body.
type Attempt = (String, &'static str, String, Value);

fn attempt(what: &str, method: &'static str, path: String, body: Value) -> Attempt {
    (what.to_owned(), method, path, body)
}

/// Somebody with the server's token, or somebody whom the server acts as.
async fn identity(scene: &Scene, user: Option<&str>, group: Option<&str>) -> Client {
    let mut config = scene.world.server_configuration().await;
    config.auth_info.impersonate = user.map(str::to_owned);
    config.auth_info.impersonate_groups = group.map(|group| vec![group.to_owned()]);
    Client::try_from(config).unwrap()
}

/// The status of the answer, and what it says.
async fn answer(client: &Client, (_, method, path, body): &Attempt) -> (u16, String) {
    let (path, kind) = match *method {
        "APPLY" => (
            with_query(path, "fieldManager=graftling&force=true"),
            "application/apply-patch+yaml",
        ),
        "PATCH" => (path.clone(), "application/merge-patch+json"),
        _ => (path.clone(), "application/json"),
    };
    let method = if *method == "APPLY" { "PATCH" } else { method };
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        serde_json::to_vec(body).unwrap()
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", kind)
        .body(bytes)
        .unwrap();
    match client.request_text(request).await {
        Ok(_) => (200, String::new()),
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}

fn with_query(path: &str, query: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{query}")
}

/// Waits until each of these is refused, and does none: a policy is in force a moment after it is stored.
async fn until_refused(client: &Client, attempts: &[Attempt]) {
    for (what, method, path, body) in attempts {
        let tried = (what.clone(), *method, with_query(path, "dryRun=All"), body.clone());
        wait::until(format!("the policy against: {what}"), LONG, || async {
            match answer(client, &tried).await {
                (403, _) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

async fn all_refused(client: &Client, attempts: &[Attempt]) {
    let mut wrong = Vec::new();
    for attempt in attempts {
        let (code, message) = answer(client, attempt).await;
        if code != 403 {
            wrong.push(format!("{}: {code} {message}", attempt.0));
        }
    }
    assert_eq!(wrong, [""; 0]);
    println!("{} attempts refused", attempts.len());
}

async fn all_allowed(client: &Client, attempts: &[Attempt]) {
    for attempt in attempts {
        let (code, message) = answer(client, attempt).await;
        assert_eq!((code, message.as_str()), (200, ""), "{}", attempt.0);
    }
}

fn object(version: &str, kind: &str, namespace: Option<&str>, name: &str, rest: Value) -> Value {
    let mut body = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name } });
    if let Some(namespace) = namespace {
        body["metadata"]["namespace"] = json!(namespace);
    }
    crate::world::merge(&mut body, rest);
    body
}

fn binding(namespace: &str, role: (&str, &str), subject: Value) -> Value {
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1 });
    object(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        Some(namespace),
        "attempt",
        json!({ "roleRef": role, "subjects": [subject] }),
    )
}

fn account(namespace: &str, name: &str) -> Value {
    json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace })
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t34_the_servers_own_token_leads_nowhere() {
    let scene = Scene::start("takeover", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let home = scene.world.namespace.name().to_owned();
    let server = identity(&scene, None, None).await;
    let deployer_role = format!("{}-deployer", scene.world.release);
    scene.world.create("v1", "ConfigMap", Some(&home), "foreign", json!({})).await;
    scene.world.secret("credential", "token", "a").await;
    let bind_path = |namespace: &str| format!("{RBAC}/namespaces/{namespace}/rolebindings/attempt");
    let ours = || account(&home, "graftling-deployer");
    let receipt = json!({ "metadata": { "labels": { "graftling.dev/receipt": "true" } } });
    // If these fail, the refusals below prove nothing.
    all_allowed(
        &server,
        &[
            attempt(
                "bind the deployer",
                "APPLY",
                bind_path(&name),
                binding(&name, ("ClusterRole", &deployer_role), ours()),
            ),
            attempt("unbind it", "DELETE", bind_path(&name), Value::Null),
            attempt(
                "get a credential",
                "GET",
                format!("/api/v1/namespaces/{home}/secrets/credential"),
                Value::Null,
            ),
            attempt(
                "write a receipt",
                "APPLY",
                format!("/api/v1/namespaces/{home}/configmaps/receipt"),
                object("v1", "ConfigMap", Some(&home), "receipt", receipt.clone()),
            ),
        ],
    )
    .await;

    let mut attempts = escalations(&scene, &name, &deployer_role);
    for namespace in ["kube-system", "default", &home] {
        let body = binding(namespace, ("ClusterRole", &deployer_role), ours());
        attempts.push(attempt(
            &format!("bind the deployer in {namespace}"),
            "APPLY",
            bind_path(namespace),
            body,
        ));
    }
    for role in ["cluster-admin", "admin", "edit", "view", scene.world.release.as_str()] {
        let body = binding(&name, ("ClusterRole", role), ours());
        attempts.push(attempt(&format!("bind {role}"), "APPLY", bind_path(&name), body));
    }
    let everybody = json!({ "kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io" });
    for (who, subject) in [
        ("myself", account(&home, &scene.world.release)),
        ("everybody", everybody),
        ("an account elsewhere", account("default", "graftling-deployer")),
    ] {
        let body = binding(&name, ("ClusterRole", &deployer_role), subject);
        attempts.push(attempt(
            &format!("bind the deployer role to {who}"),
            "APPLY",
            bind_path(&name),
            body,
        ));
    }
    for (namespace, object_name) in [(home.as_str(), "foreign"), (&home, "other"), ("default", "receipt")] {
        let labels = if object_name == "other" { json!({}) } else { receipt.clone() };
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/{object_name}");
        let body = object("v1", "ConfigMap", Some(namespace), object_name, labels);
        attempts.push(attempt(&format!("write ConfigMap {namespace}/{object_name}"), "APPLY", path, body));
    }
    until_refused(&server, &attempts).await;
    all_refused(&server, &attempts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t34_the_server_acts_as_its_deployers_and_as_nobody_else() {
    let scene = Scene::start("masks", CONFIG).await;
    let environment = scene.up("feature/a").await;
    let home = scene.world.namespace.name().to_owned();
    let deployer = format!("system:serviceaccount:{home}:graftling-deployer");
    let look = || {
        attempt(
            "look",
            "GET",
            format!("/api/v1/namespaces/{}/configmaps", environment.name_any()),
            Value::Null,
        )
    };
    all_allowed(&identity(&scene, Some(&deployer), None).await, &[look()]).await;
    for (user, group) in [
        ("admin".to_owned(), None),
        ("anybody".to_owned(), Some("system:masters")),
        (deployer.clone(), Some("system:masters")),
        (format!("system:serviceaccount:{home}:default"), None),
        ("system:serviceaccount:kube-system:namespace-controller".to_owned(), None),
        ("system:serviceaccount:default:graftling-deployer".to_owned(), None),
        ("system:kube-controller-manager".to_owned(), None),
    ] {
        let (code, message) = answer(&identity(&scene, Some(&user), group).await, &look()).await;
        assert!(
            code == 403 && message.contains("cannot impersonate"),
            "{user} {group:?}: {code} {message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t35_the_deployer_of_one_project_reaches_nothing_of_another() {
    let values = ["deployer.extraServiceAccountNames={other-deployer}"];
    let own = json!({ "branches": { "include": ["one/*"] } });
    let scene = Scene::with("neighbours", WEB, own, &values).await;
    let other = json!({
        "bundle": { "name": "app" },
        "branches": { "include": ["two/*"] },
        "deployer": { "serviceAccountName": "other-deployer" },
    });
    let repository = crate::world::repository_name(&scene.repository);
    scene.world.project_at("git", "store", &repository, other).await;
    let one = scene.up("one/a").await.name_any();
    let two = scene.up("two/a").await.name_any();
    let home = scene.world.namespace.name();
    for (account, theirs, others) in [("graftling-deployer", &one, &two), ("other-deployer", &two, &one)] {
        let client = identity(&scene, Some(&format!("system:serviceaccount:{home}:{account}")), None).await;
        let secret = attempt(
            "own Secret",
            "GET",
            format!("/api/v1/namespaces/{theirs}/secrets/keys"),
            Value::Null,
        );
        all_allowed(&client, &[secret]).await;
        let mut attempts = Vec::new();
        for namespace in [others.as_str(), home, "default", "kube-system"] {
            for (path, existing) in [
                (format!("/api/v1/namespaces/{namespace}/secrets"), "keys"),
                (format!("/api/v1/namespaces/{namespace}/configmaps"), "settings"),
                (format!("/api/v1/namespaces/{namespace}/serviceaccounts"), "web"),
                (format!("/api/v1/namespaces/{namespace}/pods"), "any"),
                (format!("/apis/apps/v1/namespaces/{namespace}/deployments"), "web"),
                (format!("{RBAC}/namespaces/{namespace}/rolebindings"), "graftling-deployer"),
            ] {
                let one = format!("{path}/{existing}");
                attempts.push(attempt(&format!("list {path}"), "GET", path.clone(), Value::Null));
                attempts.push(attempt(&format!("get {one}"), "GET", one.clone(), Value::Null));
                attempts.push(attempt(
                    &format!("create {path}"),
                    "POST",
                    path.clone(),
                    json!({ "metadata": { "name": "attempt" } }),
                ));
                attempts.push(attempt(
                    &format!("patch {one}"),
                    "PATCH",
                    one.clone(),
                    json!({ "metadata": { "labels": { "a": "b" } } }),
                ));
                attempts.push(attempt(&format!("delete {one}"), "DELETE", one, Value::Null));
                attempts.push(attempt(&format!("delete all {path}"), "DELETE", path, Value::Null));
            }
        }
        all_refused(&client, &attempts).await;
    }
    assert_eq!(
        scene.world.environment("two/a").await.unwrap().status.unwrap().phase,
        Some(Phase::Ready)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn threat_t15_a_deployer_writes_outside_of_namespaces_only_what_environments_made() {
    let values = [
        "rbac.clusterScoped[0].apiGroups={scheduling.k8s.io}",
        "rbac.clusterScoped[0].resources={priorityclasses}",
        "rbac.clusterScoped[1].apiGroups={rbac.authorization.k8s.io}",
        "rbac.clusterScoped[1].resources={clusterroles,clusterrolebindings}",
    ];
    let scene = Scene::with("outside", CONFIG, json!({}), &values).await;
    let name = scene.up("feature/a").await.name_any();
    let home = scene.world.namespace.name().to_owned();
    let client = identity(&scene, Some(&format!("system:serviceaccount:{home}:graftling-deployer")), None).await;
    let scheduling = "scheduling.k8s.io/v1";
    let theirs = format!("{home}-theirs");
    scene
        .world
        .create(scheduling, "PriorityClass", None, &theirs, json!({ "value": 1 }))
        .await;
    let path = |name: &str| format!("/apis/{scheduling}/priorityclasses/{name}");
    let class = |name: &str, labels: Value| {
        object(
            scheduling,
            "PriorityClass",
            None,
            name,
            json!({ "value": 1, "metadata": { "labels": labels } }),
        )
    };
    let own = json!({ "graftling.dev/environment": name });
    let ours = format!("{home}-ours");
    let role = |name: &str, rules: Value| {
        let rest = json!({ "rules": rules, "metadata": { "labels": own } });
        (
            format!("{RBAC}/clusterroles/{name}"),
            object("rbac.authorization.k8s.io/v1", "ClusterRole", None, name, rest),
        )
    };
    let bind = |subject: Value| {
        let role_ref = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ours });
        let rest = json!({ "roleRef": role_ref, "subjects": [subject], "metadata": { "labels": own } });
        let body = object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, &ours, rest);
        (format!("{RBAC}/clusterrolebindings/{ours}"), body)
    };
    let held = json!([{ "apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": ["get"] }]);
    let (role_path, role_body) = role(&ours, held);
    let (bind_path, bind_body) = bind(account(&name, "web"));
    all_allowed(
        &client,
        &[
            attempt("make a class", "APPLY", path(&ours), class(&ours, own.clone())),
            attempt("make a role", "APPLY", role_path, role_body),
            attempt("bind it here", "APPLY", bind_path, bind_body),
        ],
    )
    .await;
    let secrets = json!([{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }]);
    let (greedy_path, greedy_body) = role(&format!("{home}-greedy"), secrets);
    let (foreign_path, foreign_body) = bind(account("kube-system", "default"));
    let attempts = [
        attempt("take a foreign class", "APPLY", path(&theirs), class(&theirs, own.clone())),
        attempt("change a foreign class", "PATCH", path(&theirs), json!({ "description": "mine" })),
        attempt("delete a foreign class", "DELETE", path(&theirs), Value::Null),
        attempt("delete a class of Kubernetes", "DELETE", path("system-node-critical"), Value::Null),
        attempt(
            "make a class of nobody",
            "APPLY",
            path(&format!("{home}-free")),
            class(&format!("{home}-free"), json!({})),
        ),
        attempt(
            "give a class to another",
            "PATCH",
            path(&ours),
            json!({ "metadata": { "labels": { "graftling.dev/environment": "another" } } }),
        ),
        attempt("grant what it lacks", "APPLY", greedy_path, greedy_body),
        attempt("bind an account elsewhere", "APPLY", foreign_path, foreign_body),
    ];
    all_refused(&client, &attempts).await;
    scene.remove(scheduling, "PriorityClass", "", &theirs).await;
}
