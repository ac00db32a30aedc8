//! What is asked of an environment itself: its pods, its hosts, its objects.
//!
//! Everything is read as the Project's deployer. Pods are reached directly, so the environment's NetworkPolicy has to let the server in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Request, Url};
use serde_json::Value;

use super::Around;
use super::outside::{self, Guard, NoAnswer, Trust, builder};
use crate::cluster::observe::Observer;
use crate::cluster::{self, exec, services};
use crate::controller::clients::{LateClient, authorities};
use crate::controller::settings::{ArchiveHost, OutboundSettings};
use crate::controller::sources::address::is_forbidden;
use crate::domain::errand::{Answer, UrlProbe, told};
use crate::domain::manifest::ObjectKey;
use crate::domain::stage::check::{Condition, Exec, Http, Target, Tcp, USUAL_ANSWER};

/// Asks environments. Cheap to clone.
#[derive(Clone)]
pub(super) struct Inside {
    observer: Observer,
    /// For pods: their certificates are nobody's business, as with probes of Kubernetes.
    pods: LateClient,
    /// For hosts, as the outside sees them.
    hosts: LateClient,
    authorities: Vec<Certificate>,
    ingress: Option<ArchiveHost>,
    is_local: bool,
}

impl Inside {
    pub(super) fn new(settings: &OutboundSettings, observer: Observer) -> Result<Self, String> {
        let is_local = settings.is_local;
        let authorities = authorities(settings.ca.as_deref())?;
        let trusted = authorities.clone();
        Ok(Self {
            observer,
            pods: LateClient::new(|| builder(&[]).tls_danger_accept_invalid_certs(true)),
            hosts: LateClient::new(move || builder(&trusted).dns_resolver(Guard(Trust::All { is_local }))),
            authorities,
            ingress: settings.ingress.clone(),
            is_local,
        })
    }

    /// An HTTP check.
    pub(super) async fn http(&self, around: &Around, http: &Http) -> Answer {
        let headers = match headers(&http.headers) {
            Ok(headers) => headers,
            Err(problem) => return Answer::never(problem),
        };
        let started = Instant::now();
        let exchanged = match &http.target {
            Target::Service { name, port } => self.ask_service(around, http, name, port.as_deref(), headers).await,
            Target::Host(host) => match url_of(around, host, http) {
                Ok(url) => self.ask_host(&url, headers, http.within).await,
                Err(problem) => return Answer::never(problem),
            },
        };
        match exchanged {
            Ok(page) => http.judge(page.status, &page.body, started.elapsed()),
            Err(reason) => reason.into(),
        }
    }

    /// The environment's own URL.
    pub(super) async fn url(&self, around: &Around, probe: &UrlProbe) -> Answer {
        let Ok(url) = probe.url.parse::<Url>() else {
            return Answer::never(format!("{:?} is no URL", probe.url));
        };
        let Some(host) = url.host_str().map(str::to_owned) else {
            return Answer::never(format!("{:?} has no host", probe.url));
        };
        let http = Http {
            target: Target::Host(host),
            path: path_of(&url),
            https: Some(url.scheme() == "https"),
            headers: std::collections::BTreeMap::new(),
            statuses: probe.statuses.clone(),
            contains: None,
            within: probe.within,
        };
        self.http(around, &http).await
    }

    /// A TCP check.
    pub(super) async fn tcp(&self, around: &Around, tcp: &Tcp) -> Answer {
        let address = match self.pod_of(around, &tcp.service, tcp.port.as_deref()).await {
            Ok(address) => address,
            Err(reason) => return reason.into(),
        };
        let started = Instant::now();
        match tokio::time::timeout(USUAL_ANSWER, tokio::net::TcpStream::connect(address)).await {
            Ok(Ok(_)) => Answer::good(format!("connected in {} ms", started.elapsed().as_millis())),
            Ok(Err(error)) => Answer::bad(format!("could not connect to {address}: {error}")),
            Err(_) => Answer::bad(format!("could not connect to {address} within {} s", USUAL_ANSWER.as_secs())),
        }
    }

    /// A command in a container.
    pub(super) async fn exec(&self, around: &Around, exec: &Exec) -> Answer {
        let client = match self.observer.deployer(&around.deployer) {
            Ok(client) => client,
            Err(error) => return lost(&error),
        };
        let workload = exec::Workload {
            namespace: around.namespace.as_str(),
            kind: &exec.kind,
            name: &exec.name,
        };
        let pod = match exec::ready_pod(&client, &workload).await {
            Ok(Ok(pod)) => pod,
            Ok(Err(problem)) => return Answer::bad(problem),
            Err(error) => return lost(&error),
        };
        let at = exec::Container {
            namespace: around.namespace.as_str(),
            pod: &pod,
            container: exec.container.as_deref(),
        };
        match exec::run(&client, at, &exec.command).await {
            Ok(exec::Ended { code: 0, .. }) => Answer::good(format!("{} exited with 0 in pod {pod}", exec.command[0])),
            Ok(exec::Ended { code, last_words }) => {
                let words = told(&last_words, 200);
                Answer::bad(format!("{} exited with {code} in pod {pod}: {words}", exec.command[0]))
            }
            Err(error) => lost(&error),
        }
    }

    /// A condition of an object.
    pub(super) async fn condition(&self, around: &Around, wanted: &Condition) -> Answer {
        let (group, version) = wanted.api_version.rsplit_once('/').unwrap_or(("", &wanted.api_version));
        let key = ObjectKey {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: wanted.kind.clone(),
            namespace: Some(around.namespace.to_string()),
            name: wanted.name.clone(),
        };
        let read = async {
            let client = self.observer.deployer(&around.deployer)?;
            self.observer.read_whole(client, &key).await
        };
        match read.await {
            Ok(Some(object)) => condition(&object, wanted),
            Ok(None) => Answer::bad(format!("there is no {} {:?}", wanted.kind, wanted.name)),
            Err(error) => lost(&error),
        }
    }

    async fn ask_service(
        &self,
        around: &Around,
        http: &Http,
        service: &str,
        port: Option<&str>,
        mut headers: HeaderMap,
    ) -> Result<outside::Page, NoAnswer> {
        let address = self.pod_of(around, service, port).await?;
        let scheme = if http.https == Some(true) { "https" } else { "http" };
        let url = format!("{scheme}://{address}{}", http.path);
        let url = url.parse().map_err(|_| NoAnswer::Refused(format!("{:?} is no path", http.path)))?;
        if !headers.contains_key(HOST) {
            headers.insert(HOST, header(&format!("{service}.{}.svc", around.namespace))?);
        }
        outside::exchange(&self.pods, request(url, headers), http.within).await
    }

    /// Asks a host by its name, at the configured place if there is one.
    async fn ask_host(&self, url: &Url, mut headers: HeaderMap, within: Duration) -> Result<outside::Page, NoAnswer> {
        let Some(ingress) = &self.ingress else {
            return outside::exchange(&self.hosts, request(url.clone(), headers), within).await;
        };
        let address = self.resolve(ingress).await?;
        let host = url.host_str().unwrap_or_default();
        if url.scheme() == "https" {
            // The name is part of the handshake, so only a client of its own can go elsewhere with it.
            let (authorities, host) = (self.authorities.clone(), host.to_owned());
            let client = LateClient::new(move || builder(&authorities).resolve(&host, address));
            let mut url = url.clone();
            let _ = url.set_port(Some(address.port()));
            return outside::exchange(&client, request(url, headers), within).await;
        }
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        headers.insert(HOST, header(&authority)?);
        let mut url = url.clone();
        let is_set = url.set_ip_host(address.ip()).is_ok() && url.set_port(Some(address.port())).is_ok();
        match is_set {
            true => outside::exchange(&self.hosts, request(url, headers), within).await,
            false => Err(NoAnswer::Refused(format!("{host} cannot be asked at {address}"))),
        }
    }

    /// The address of the configured ingress, which the platform engineer names.
    async fn resolve(&self, ingress: &ArchiveHost) -> Result<SocketAddr, NoAnswer> {
        let place = (ingress.host.as_str(), ingress.port);
        let found = tokio::net::lookup_host(place).await;
        let address = found
            .map_err(|error| NoAnswer::Lost(format!("{} (--ingress-address): {error}", ingress.host)))?
            .next();
        address.ok_or_else(|| NoAnswer::Lost(format!("{} (--ingress-address) has no address", ingress.host)))
    }

    async fn pod_of(&self, around: &Around, service: &str, port: Option<&str>) -> Result<SocketAddr, NoAnswer> {
        let client = self
            .observer
            .deployer(&around.deployer)
            .map_err(|error| NoAnswer::Lost(error.chain()))?;
        let found = services::find(&client, around.namespace.as_str(), service, port).await;
        let address = match found.map_err(|error| NoAnswer::Lost(error.chain()))? {
            Ok(address) => address,
            Err(problem) if problem.is_final => return Err(NoAnswer::Refused(problem.message)),
            Err(problem) => return Err(NoAnswer::Lost(problem.message)),
        };
        if is_forbidden(address.ip()) || address.ip().is_loopback() && !self.is_local {
            return Err(NoAnswer::Refused(format!(
                "a pod behind Service {service:?} has the address {}, which is none of a pod",
                address.ip()
            )));
        }
        Ok(address)
    }
}

/// The URL of a host, which must be one of the environment's own.
fn url_of(around: &Around, host: &str, http: &Http) -> Result<Url, String> {
    if !around.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
        return Err(format!(
            "{host:?} is no host of this environment: it has {}",
            around.hosts.join(", ")
        ));
    }
    let own: Url = around.url.parse().map_err(|_| format!("{:?} is no URL", around.url))?;
    let is_https = http.https.unwrap_or(own.scheme() == "https");
    let port = match own.port() {
        Some(port) if is_https == (own.scheme() == "https") => format!(":{port}"),
        _ => String::new(),
    };
    let scheme = if is_https { "https" } else { "http" };
    let url = format!("{scheme}://{host}{port}{}", http.path);
    url.parse().map_err(|_| format!("{url:?} is no URL"))
}

fn path_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// What a condition of an object says.
fn condition(object: &Value, wanted: &Condition) -> Answer {
    let what = format!("{} {:?}", wanted.kind, wanted.name);
    let list = object.pointer("/status/conditions").and_then(Value::as_array);
    let is_wanted = |condition: &&Value| condition["type"] == wanted.condition.as_str();
    let Some(found) = list.into_iter().flatten().find(is_wanted) else {
        return Answer::bad(format!("{what} has no condition {} yet", wanted.condition));
    };
    let text = |field: &str| found[field].as_str().unwrap_or_default();
    let told = format!("{what}: {} is {}", wanted.condition, text("status"));
    match (text("status") == wanted.status, text("message")) {
        (true, _) => Answer::good(told),
        (false, "") => Answer::bad(told),
        (false, message) => Answer::bad(format!("{told}: {message}")),
    }
}

fn lost(error: &cluster::Error) -> Answer {
    Answer::bad(error.chain())
}

fn request(url: Url, headers: HeaderMap) -> Request {
    let mut request = Request::new(Method::GET, url);
    *request.headers_mut() = headers;
    request
}

fn header(text: &str) -> Result<HeaderValue, NoAnswer> {
    HeaderValue::from_str(text).map_err(|_| NoAnswer::Refused(format!("{text:?} cannot be sent in a header")))
}

/// Headers as they are sent.
pub(super) fn headers(texts: &std::collections::BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in texts {
        let parsed = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
        // The value may be a secret of somebody's.
        let (name, value) = parsed.ok_or_else(|| format!("the header {name:?} has a value that cannot be sent"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}
