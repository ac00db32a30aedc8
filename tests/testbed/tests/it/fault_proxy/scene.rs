//! A namespace, an account that may do everything in it, and a client of that account that goes through a proxy.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use testbed::fault_proxy::{Exchange, FaultProxy};
use testbed::{ControlPlane, TestNamespace, wait};

const LIMIT: Duration = Duration::from_secs(30);

pub struct Scene {
    pub proxy: FaultProxy,
    pub namespace: TestNamespace,
    first: usize,
    client: Client,
    http: reqwest::Client,
    token: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub text: String,
    pub body: Value,
}

/// A watch over ConfigMaps, line by line.
pub struct Watch {
    response: reqwest::Response,
    rest: Vec<u8>,
}

impl Scene {
    pub async fn start(name: &str) -> Self {
        let plane = ControlPlane::shared().await;
        let namespace = plane.namespace(name).await;
        let client = plane.client().await;
        let binding: RoleBinding = serde_json::from_value(json!({
            "metadata": { "name": "all" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin" },
            "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": namespace.name() }],
        }))
        .unwrap();
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace.name());
        bindings.create(&PostParams::default(), &binding).await.unwrap();
        let proxy = FaultProxy::before_api_server(plane).await.unwrap();
        let authority = reqwest::Certificate::from_pem(proxy.certificate_authority().as_bytes()).unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(LIMIT).tls_certs_only([authority]);
        let scene = Self {
            first: 0,
            token: plane.service_account_token(namespace.name(), "default").await.unwrap(),
            proxy,
            namespace,
            client,
            http: http.build().unwrap(),
        };
        let permitted = || async {
            scene
                .ask("GET", &scene.path(""), None)
                .await
                .is_ok_and(|answer| answer.status == 200)
        };
        wait::until("the rights to hold", LIMIT, permitted).await;
        let first = scene.proxy.count();
        Self { first, ..scene }
    }

    /// What passed since the scene is set.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.proxy.exchanges_since(self.first)
    }

    /// The path of the ConfigMaps, and what follows it.
    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/configmaps{rest}", self.namespace.name())
    }

    pub async fn create(&self, name: &str) -> reqwest::Result<Answer> {
        let body = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "key": "value" } });
        self.ask("POST", &self.path(""), Some(("application/json", body))).await
    }

    pub async fn ask(&self, method: &str, target: &str, body: Option<(&str, Value)>) -> reqwest::Result<Answer> {
        let mut request = self.request(method, target);
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        read(request.send().await?).await
    }

    /// The answer to a GET, not read yet.
    pub async fn open(&self, target: &str) -> reqwest::Response {
        self.request("GET", target).send().await.unwrap()
    }

    pub async fn upgrade(&self, target: &str) -> Answer {
        let request = self
            .request("GET", target)
            .header("connection", "upgrade")
            .header("upgrade", "websocket");
        read(request.send().await.unwrap()).await.unwrap()
    }

    /// A watch from now on.
    pub async fn watch(&self, rest: &str) -> Watch {
        let list = self.config_maps().list(&ListParams::default()).await.unwrap();
        let version = list.metadata.resource_version.unwrap();
        let target = self.path(&format!("?watch=true&resourceVersion={version}{rest}"));
        Watch {
            response: self.open(&target).await,
            rest: Vec::new(),
        }
    }

    /// What the server holds, asked without the proxy.
    pub async fn names(&self) -> Vec<String> {
        let list = self.config_maps().list(&ListParams::default()).await.unwrap();
        let names = list.items.iter().map(ResourceExt::name_any);
        names.filter(|name| name != "kube-root-ca.crt").collect()
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), self.namespace.name())
    }

    fn request(&self, method: &str, target: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{target}", self.proxy.url());
        self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token)
    }
}

impl Watch {
    /// Type and name of the next event that is not about the authority's certificate.
    pub async fn next(&mut self) -> (String, String) {
        loop {
            let line = self.line().await;
            let name = line["object"]["metadata"]["name"].as_str().unwrap_or_default();
            if name != "kube-root-ca.crt" {
                return (line["type"].as_str().unwrap().to_owned(), name.to_owned());
            }
        }
    }

    pub async fn line(&mut self) -> Value {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let chunk = self.response.chunk().await.unwrap();
            self.rest.extend_from_slice(&chunk.expect("the watch goes on"));
        }
    }

    /// Reads to the end; whether that was a clean one.
    pub async fn end(&mut self) -> Result<(), String> {
        while self.response.chunk().await.map_err(|error| error.to_string())?.is_some() {}
        Ok(())
    }
}

async fn read(response: reqwest::Response) -> reqwest::Result<Answer> {
    let retry_after = response
        .headers()
        .get("retry-after")
        .map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok(Answer {
        status,
        retry_after,
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
    })
}
