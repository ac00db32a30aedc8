//! A server that answers each request as a test decides: a cluster whose answers a real one gives only at unhandy times.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use warp::Filter;
use warp::http::{Method, Response};

use super::folder;

/// A request: its method, path with query, and body.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub method: Method,
    pub target: String,
    pub body: String,
}

/// An answer: status and body.
pub type Answer = (u16, String);

/// The running server; it ends with this value.
pub struct Cluster {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    // Field order is drop order: the task goes before its runtime.
    _server: JoinHandle<()>,
    _runtime: Runtime,
}

impl Cluster {
    pub fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let answer = Arc::new(answer);
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let route = warp::method().and(warp::path::full()).and(query).and(warp::body::bytes()).map(
            move |method, path: warp::path::FullPath, query: String, body: warp::hyper::body::Bytes| {
                let request = Request {
                    method,
                    target: format!("{}?{query}", path.as_str()),
                    body: String::from_utf8_lossy(&body).into_owned(),
                };
                let (status, body) = answer(&request);
                seen.lock().unwrap().push(request);
                Response::builder().status(status).body(body).unwrap()
            },
        );
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let server = runtime.spawn(warp::serve(route).incoming(listener).run());
        Self {
            address,
            requests,
            _server: server,
            _runtime: runtime,
        }
    }

    /// `http://` and the server's address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig for this server, in namespace `team`.
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig(self.address)
    }

    /// What was asked, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// A kubeconfig for a server at `address`, in namespace `team`.
pub fn kubeconfig(address: SocketAddr) -> PathBuf {
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": "team" } }],
        "clusters": [{ "name": "test", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "test", "user": { "token": "token-of-a-person" } }],
    });
    let path = folder("kubeconfigs").join(format!("{}.yaml", address.port()));
    fs::write(&path, content.to_string()).unwrap();
    path
}

/// An address at which nobody listens.
pub fn closed_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The answer of a cluster that refuses.
pub fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
        "details": { "name": "x", "group": "graftling.dev", "kind": "environments" },
    });
    (code, status.to_string())
}

/// One environment as the cluster holds it.
pub fn environment(project: &str, branch: &str, name: &str) -> Value {
    json!({
        "apiVersion": "graftling.dev/v1alpha1",
        "kind": "Environment",
        "metadata": { "name": name, "namespace": "team", "uid": format!("uid-of-{name}"), "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "projectRef": { "name": project }, "branch": branch, "repositoryId": "1", "revision": "ab".repeat(20) },
        "status": { "phase": "Ready", "url": format!("https://{name}.example.com"), "revision": { "applied": "ab".repeat(20) } },
    })
}

/// Answers a listing with those of `environments` that its field selector selects.
pub fn listing(request: &Request, environments: &[Value]) -> Answer {
    let parsed = url_decoded(&request.target);
    let selected = |environment: &&Value| {
        let Some((_, rest)) = parsed.split_once("fieldSelector=") else {
            return true;
        };
        let (field, value) = rest.split('&').next().unwrap().split_once('=').unwrap();
        let pointer = format!("/{}", field.replace('.', "/"));
        environment.pointer(&pointer).and_then(Value::as_str) == Some(value)
    };
    let items: Vec<&Value> = environments.iter().filter(selected).collect();
    let list = json!({
        "apiVersion": "graftling.dev/v1alpha1", "kind": "EnvironmentList",
        "metadata": { "resourceVersion": "1" }, "items": items,
    });
    (200, list.to_string())
}

fn url_decoded(text: &str) -> String {
    text.replace("%3D", "=").replace("%2F", "/")
}
