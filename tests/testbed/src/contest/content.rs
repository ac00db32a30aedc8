//! E14, the reference environment: fourteen objects, the same for everybody.
//!
//! `tests/contest` holds it three times: as a graftling bundle, as YAML for envsubst, and as a Helm chart.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Error;
use crate::subject::{objects as api, root};

/// How many objects there are.
pub const COUNT: usize = 14;

/// The account that writes what a bundle brings, in the namespace of its Project, and the RoleBinding that gives it its rights.
pub const DEPLOYER: &str = "graftling-deployer";

/// The domain that hosts of environments lie in.
pub const DOMAIN: &str = "preview.example.com";

/// What differs from one environment to the next, and from one installation to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// The name of the environment and of its namespace.
    pub namespace: String,
    /// The branch.
    pub branch: String,
    /// The commit.
    pub revision: String,
    /// The namespace of the Project.
    pub project_namespace: String,
    /// The ClusterRole of the deployer.
    pub deployer_role: String,
}

/// One of the fourteen objects, with where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
    /// The path of the collection, to which a new one is posted.
    pub collection: String,
    /// The whole object.
    pub body: Value,
}

/// Kinds of E14 with the API they are served by and their name in paths.
pub const KINDS: [(&str, &str, &str); 12] = [
    ("Namespace", "api/v1", "namespaces"),
    ("ResourceQuota", "api/v1", "resourcequotas"),
    ("LimitRange", "api/v1", "limitranges"),
    ("NetworkPolicy", "apis/networking.k8s.io/v1", "networkpolicies"),
    ("ServiceAccount", "api/v1", "serviceaccounts"),
    ("Role", "apis/rbac.authorization.k8s.io/v1", "roles"),
    ("RoleBinding", "apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    ("ConfigMap", "api/v1", "configmaps"),
    ("Secret", "api/v1", "secrets"),
    ("Deployment", "apis/apps/v1", "deployments"),
    ("Service", "api/v1", "services"),
    ("Ingress", "apis/networking.k8s.io/v1", "ingresses"),
];

impl Naming {
    /// Where the environment is found.
    pub fn host(&self) -> String {
        format!("{}.{DOMAIN}", self.namespace)
    }

    /// Name and value of each variable, by the name that it has in `e14.yaml` and that which it has among the values of the chart.
    pub fn variables(&self) -> [(&'static str, &'static str, String); 6] {
        [
            ("NAMESPACE", "namespace", self.namespace.clone()),
            ("BRANCH", "branch", self.branch.clone()),
            ("REVISION", "revision", self.revision.clone()),
            ("HOST", "host", self.host()),
            ("PROJECT_NAMESPACE", "projectNamespace", self.project_namespace.clone()),
            ("DEPLOYER_ROLE", "deployerRole", self.deployer_role.clone()),
        ]
    }
}

/// The folder with the three.
pub fn folder() -> PathBuf {
    root().join("tests/contest")
}

/// The folder of bundles, in which E14 is `e14`.
pub fn bundles() -> PathBuf {
    folder().join("bundles")
}

/// The chart.
pub fn chart() -> PathBuf {
    folder().join("chart")
}

/// The plain YAML, with variables.
pub fn template() -> PathBuf {
    folder().join("e14.yaml")
}

/// What a Project has to say so that graftling's own fences are those of E14.
pub fn project() -> Value {
    json!({
        "bundle": { "name": "e14" },
        "domain": DOMAIN,
        "guardrails": {
            "quota": { "limits.memory": "4Gi", "pods": "20", "requests.cpu": "2", "requests.memory": "2Gi" },
            "limits": { "default": { "memory": "256Mi" }, "defaultRequest": { "cpu": "50m", "memory": "64Mi" } },
            "network": { "mode": "Isolated", "ingressFrom": { "kubernetes.io/metadata.name": "ingress-nginx" } },
            "podSecurity": "baseline",
        },
    })
}

/// A ClusterRole with what a deployer needs for E14, which the chart of graftling brings otherwise.
pub fn deployer_role(name: &str) -> Value {
    let mut role = api::named("rbac.authorization.k8s.io/v1", "ClusterRole", None, name);
    role["rules"] = json!([{
        "apiGroups": ["", "apps", "networking.k8s.io", "rbac.authorization.k8s.io"],
        "resources": ["configmaps", "secrets", "services", "serviceaccounts", "deployments", "ingresses", "roles", "rolebindings"],
        "verbs": ["get", "list", "watch", "create", "patch", "update", "delete"],
    }]);
    role
}

/// The plain YAML as envsubst gives it.
pub fn text(naming: &Naming) -> Result<String, Error> {
    let path = template();
    let mut text = std::fs::read_to_string(&path).map_err(Error::io("read", path))?;
    for (variable, _, value) in naming.variables() {
        text = text.replace(&format!("${{{variable}}}"), &value);
    }
    Ok(text)
}

/// The objects of the plain YAML, the namespace first.
pub fn objects(naming: &Naming) -> Result<Vec<Object>, Error> {
    let text = text(naming)?;
    let bodies = parse(&text)?;
    bodies.into_iter().map(object).collect()
}

/// What of the objects changes with the revision alone.
pub fn changed(objects: &[Object]) -> Vec<Object> {
    objects.iter().filter(|object| object.kind == "ConfigMap").cloned().collect()
}

/// The YAML documents of a text that are objects.
pub fn parse(text: &str) -> Result<Vec<Value>, Error> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| Error::Understand(error.to_string()))?;
    Ok(all.into_iter().filter(Value::is_object).collect())
}

/// The arguments of helm that say what the variables say.
pub fn helm_arguments(naming: &Naming) -> Vec<String> {
    let set = |(_, value, text): (&str, &'static str, String)| ["--set-string".to_owned(), format!("{value}={text}")];
    naming.variables().into_iter().flat_map(set).collect()
}

/// Whether everything that is expected is there: what the API server adds is no difference, what it leaves out is.
pub fn holds(expected: &Value, live: &Value) -> bool {
    match (expected, live) {
        (Value::Object(expected), Value::Object(live)) => holds_map(expected, live),
        (Value::Array(expected), Value::Array(live)) => {
            expected.len() == live.len() && expected.iter().zip(live).all(|(expected, live)| holds(expected, live))
        }
        _ => expected == live,
    }
}

fn holds_map(expected: &Map<String, Value>, live: &Map<String, Value>) -> bool {
    expected
        .iter()
        .all(|(key, value)| live.get(key).is_some_and(|live| holds(value, live)))
}

fn object(body: Value) -> Result<Object, Error> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, name, namespace) = (text("/kind"), text("/metadata/name"), text("/metadata/namespace"));
    let known = KINDS.iter().find(|(known, _, _)| *known == kind);
    let (_, api, plural) = known.ok_or_else(|| Error::Understand(format!("the kind {kind}")))?;
    let collection = if namespace.is_empty() {
        format!("/{api}/{plural}")
    } else {
        format!("/{api}/namespaces/{namespace}/{plural}")
    };
    Ok(Object {
        kind,
        name,
        collection,
        body,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]
mod tests {
    use super::*;

    fn naming() -> Naming {
        Naming {
            namespace: "shop-a-aaaaaaaaaa".to_owned(),
            branch: "a".to_owned(),
            revision: "0123".to_owned(),
            project_namespace: "team".to_owned(),
            deployer_role: "deployer".to_owned(),
        }
    }

    #[test]
    fn the_plain_yaml_gives_fourteen_objects_without_variables_the_namespace_first() {
        let objects = objects(&naming()).unwrap();
        assert_eq!(objects.len(), COUNT);
        assert_eq!(objects[0].collection, "/api/v1/namespaces");
        assert!(objects.iter().all(|object| !object.body.to_string().contains('$')));
        let inside = &objects[1..];
        assert!(
            inside
                .iter()
                .all(|object| object.collection.contains("/namespaces/shop-a-aaaaaaaaaa/"))
        );
        let settings = objects.iter().find(|object| object.kind == "ConfigMap").unwrap();
        let size = settings.body["data"].to_string().len();
        assert!((1_900..2_300).contains(&size), "the ConfigMap has {size} bytes");
    }

    #[test]
    fn a_revision_changes_one_object() {
        let other = Naming {
            revision: "4567".to_owned(),
            ..naming()
        };
        let (before, after) = (objects(&naming()).unwrap(), objects(&other).unwrap());
        let differ: Vec<&Object> = after.iter().filter(|object| !before.contains(object)).collect();
        assert_eq!(differ, changed(&after).iter().collect::<Vec<_>>());
        assert_eq!(differ.len(), 1);
    }

    #[test]
    fn what_the_api_server_adds_is_no_difference_and_what_it_lacks_is() {
        let expected = json!({ "spec": { "ports": [{ "port": 80 }] } });
        assert!(holds(
            &expected,
            &json!({ "spec": { "ports": [{ "port": 80, "nodePort": 1 }], "type": "ClusterIP" } })
        ));
        assert!(!holds(&expected, &json!({ "spec": { "ports": [{ "port": 81 }] } })));
        assert!(!holds(&expected, &json!({ "spec": { "ports": [] } })));
        assert!(!holds(&expected, &json!({ "spec": { "ports": [{ "port": 80 }, { "port": 81 }] } })));
        assert!(!holds(&expected, &json!({})));
    }
}
