//! The reference environment E14 as files of a repository: eight objects, to which graftling adds six guardrails.

/// Where in the repository the bundle is.
pub(super) const FOLDER: &str = "deploy";

/// A value that must be nowhere but in Secrets.
pub(super) const SECRET: &str = "not-in-any-log-of-the-sweep";

/// A file of a commit, by its path.
pub(super) type File = (String, String);

const BUNDLE: &str = "name: reference\nversion: 1.0.0\n";

/// One stage, whose failed update puts back what was good.
const PIPELINE: &str = "stages:\n  - name: all\n    apply: '*.yaml'\n    onFailure: rollback\n";

const ACCOUNT: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
";

const RIGHTS: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: web}
rules: [{apiGroups: [''], resources: [configmaps], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: web}]
";

/// About 2 KB.
const CONFIGURATION: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data:
  greeting: GREETING
  settings: {{quote (repeat 64 \"a setting of thirty-two letters.\")}}
";

const KEYS: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {password: SECRET}
";

const WORKLOAD: &str = "\
apiVersion: apps/v1
kind: KIND
metadata: {name: web}
spec:MORE
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: web
      containers:
        - name: web
          image: registry.example/web:1
          env: [{name: REVISION, value: {{quote revision}}}]
          envFrom: [{configMapRef: {name: web}}, {secretRef: {name: web}}]
          resources: {requests: {cpu: 'CPU'}, limits: {cpu: 'CPU'}}
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

/// The file that the update removes.
pub(super) const INGRESS_FILE: &str = "templates/ingress.yaml";

const INGRESS: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: {{quote environment.host}}
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
";

/// The workload as a Deployment.
fn deployment() -> String {
    let text = WORKLOAD.replace("KIND", "Deployment").replace("MORE", "");
    text.replace("CPU", "10m")
}

/// The workload as a Deployment that no node has room for, which counts as failed after two seconds.
fn hopeless_deployment() -> String {
    let text = WORKLOAD
        .replace("KIND", "Deployment")
        .replace("MORE", "\n  progressDeadlineSeconds: 2");
    text.replace("CPU", "2000")
}

/// The workload under another kind.
fn stateful_set() -> String {
    let text = WORKLOAD.replace("KIND", "StatefulSet").replace("MORE", "\n  serviceName: web");
    text.replace("CPU", "10m")
}

fn configuration(greeting: &str) -> String {
    CONFIGURATION.replace("GREETING", greeting)
}

/// The environment as it begins.
pub(super) fn first() -> Vec<File> {
    let files = [
        ("bundle.yaml", BUNDLE.to_owned()),
        ("pipeline.yaml", PIPELINE.to_owned()),
        ("templates/account.yaml", ACCOUNT.to_owned()),
        ("templates/rights.yaml", RIGHTS.to_owned()),
        ("templates/configuration.yaml", configuration("hello")),
        ("templates/keys.yaml", KEYS.replace("SECRET", SECRET)),
        ("templates/web.yaml", deployment()),
        ("templates/service.yaml", SERVICE.to_owned()),
        (INGRESS_FILE, INGRESS.to_owned()),
    ];
    placed(files)
}

/// An update: a file has changed, another is of another kind. A third one is removed besides: [`INGRESS_FILE`].
pub(super) fn changed() -> Vec<File> {
    placed([
        ("templates/configuration.yaml", configuration("good day")),
        ("templates/web.yaml", stateful_set()),
    ])
}

/// An update that fails: no node has so much processor.
pub(super) fn hopeless() -> Vec<File> {
    placed([
        ("templates/configuration.yaml", configuration("good day")),
        ("templates/web.yaml", hopeless_deployment()),
    ])
}

fn placed<const N: usize>(files: [(&str, String); N]) -> Vec<File> {
    files
        .into_iter()
        .map(|(path, content)| (format!("{FOLDER}/{path}"), content))
        .collect()
}
