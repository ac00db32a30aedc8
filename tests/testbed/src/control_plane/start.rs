//! Starts the components in order and waits for each.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};

use super::component::Component;
use super::identity::{Client, Identities, write_private};
use super::{ControlPlane, Error, client, flags};
use crate::audit::AuditLog;
use crate::binaries::Binaries;
use crate::scratch::Scratch;
use crate::wait::{self, Stopped};

/// How long each component may take; far more than it needs, since the machine may be busy with builds.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long one look at a component may take before it is asked anew.
const PROBE: Duration = Duration::from_secs(2);

/// How often a component is started with another port when its port was taken between finding and binding it.
const PORT_ATTEMPTS: usize = 5;

/// The Node that is always there.
pub(crate) const NODE: &str = "fake-0";

/// Starts everything. What was started is stopped again when a later step fails.
pub(super) async fn control_plane(programs: &Binaries) -> Result<ControlPlane, Error> {
    let scratch = Scratch::create().map_err(Error::CreateFolder)?;
    let folder = scratch.folder();
    let identities = Identities::create(&folder.join("pki")).map_err(Error::CreateIdentities)?;
    let (etcd, etcd_url) = etcd(programs, &scratch).await?;
    let (api_server, url) = api_server(programs, &scratch, &identities, &etcd_url).await?;
    let control_plane = ControlPlane {
        clients: clients(programs, &identities, &url, folder)?,
        kubeconfig: folder.join("kubeconfig"),
        audit: AuditLog::new(folder.join("audit.log")),
        url,
        identities,
        etcd,
        api_server,
        scratch,
    };
    for component in &control_plane.clients {
        component.start(&control_plane.scratch)?;
    }
    await_fake_node(&control_plane).await?;
    Ok(control_plane)
}

/// Waits until the API server says that it is ready.
pub(super) async fn await_api_server(api_server: &Component, kubeconfig: &Path) -> Result<(), Error> {
    let client = client(kubeconfig).await?;
    await_ready(api_server, || probe_api_server(client.clone())).await
}

async fn etcd(programs: &Binaries, scratch: &Scratch) -> Result<(Component, String), Error> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let [url, peer_url] = free_ports()?.map(|port| format!("http://127.0.0.1:{port}"));
        let arguments = flags::etcd(&scratch.memory().join(format!("etcd-{attempts}")), &url, &peer_url);
        let etcd = Component::new("etcd", &programs.etcd, arguments, scratch.folder());
        etcd.start(scratch)?;
        match await_ready(&etcd, || probe_etcd(format!("{url}/readyz"))).await {
            Ok(()) => return Ok((etcd, url)),
            Err(_) if attempts < PORT_ATTEMPTS && etcd.lost_its_port() => etcd.forget_log(),
            Err(error) => return Err(error),
        }
    }
}

async fn api_server(programs: &Binaries, scratch: &Scratch, identities: &Identities, etcd_url: &str) -> Result<(Component, String), Error> {
    let folder = scratch.folder();
    let (policy, audit) = (folder.join("audit-policy.json"), folder.join("audit.log"));
    let kubeconfig = folder.join("kubeconfig");
    write_private(&policy, flags::AUDIT_POLICY).map_err(Error::CreateIdentities)?;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let [port] = free_ports()?;
        let url = format!("https://127.0.0.1:{port}");
        identities
            .write_kubeconfig(Client::Admin, &url, &kubeconfig)
            .map_err(Error::CreateIdentities)?;
        let arguments = flags::kube_apiserver(etcd_url, port, identities, &policy, &audit);
        let api_server = Component::new("kube-apiserver", &programs.kube_apiserver, arguments, folder);
        api_server.start(scratch)?;
        match await_api_server(&api_server, &kubeconfig).await {
            Ok(()) => return Ok((api_server, url)),
            Err(_) if attempts < PORT_ATTEMPTS && api_server.lost_its_port() => api_server.forget_log(),
            Err(error) => return Err(error),
        }
    }
}

/// The components that only connect to the API server, each with a kubeconfig of its own; none is started yet.
fn clients(programs: &Binaries, identities: &Identities, url: &str, folder: &Path) -> Result<Vec<Component>, Error> {
    let kubeconfig = |client, name: &str| {
        let path = folder.join(format!("{name}.kubeconfig"));
        identities.write_kubeconfig(client, url, &path).map_err(Error::CreateIdentities)?;
        Ok(path)
    };
    let manager = flags::kube_controller_manager(&kubeconfig(Client::ControllerManager, "controller-manager")?, identities);
    let scheduler = flags::kube_scheduler(&kubeconfig(Client::Scheduler, "scheduler")?);
    let kwok = flags::kwok(&kubeconfig(Client::Kwok, "kwok")?, &programs.kwok_stages);
    Ok(vec![
        Component::new("kube-controller-manager", &programs.kube_controller_manager, manager, folder),
        Component::new("kube-scheduler", &programs.kube_scheduler, scheduler, folder),
        Component::new("kwok", &programs.kwok, kwok, folder),
    ])
}

/// Creates the Node and waits until pods can be scheduled, which needs all three clients of the API server.
async fn await_fake_node(control_plane: &ControlPlane) -> Result<(), Error> {
    let client = client(&control_plane.kubeconfig).await?;
    let nodes: Api<Node> = Api::all(client.clone());
    let accounts: Api<ServiceAccount> = Api::default_namespaced(client);
    let failed = |source| Error::Request {
        action: format!("create Node {NODE}"),
        source: Box::new(source),
    };
    nodes.create(&PostParams::default(), &fake_node()).await.map_err(failed)?;
    for component in &control_plane.clients {
        await_ready(component, || async { schedulable(nodes.get(NODE).await) }).await?;
    }
    let look = || async { accounts.get("default").await.map(drop).map_err(|error| error.to_string()) };
    await_ready(&control_plane.clients[0], look).await
}

fn fake_node() -> Node {
    let labels = [("kubernetes.io/hostname", NODE), ("kubernetes.io/os", "linux")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let metadata = ObjectMeta {
        name: Some(NODE.to_owned()),
        labels: Some(labels),
        ..Default::default()
    };
    Node {
        metadata,
        ..Default::default()
    }
}

/// Whether pods can go to a Node, or what is in the way.
pub(crate) fn schedulable(node: kube::Result<Node>) -> Result<(), String> {
    let node = node.map_err(|error| error.to_string())?;
    let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
    let ready = conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let taints: Vec<String> = node
        .spec
        .and_then(|spec| spec.taints)
        .unwrap_or_default()
        .into_iter()
        .map(|taint| taint.key)
        .collect();
    if ready && taints.is_empty() {
        Ok(())
    } else {
        Err(format!("ready {ready}, taints {taints:?}"))
    }
}

async fn await_ready<F>(component: &Component, probe: impl FnMut() -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), String>>,
{
    let what = format!("sign of readiness from {}", component.name());
    match wait::try_until_or(what, PATIENCE, probe, || component.check()).await {
        Ok(()) => Ok(()),
        Err(Stopped::Hopeless(error)) => Err(error),
        Err(Stopped::TimedOut(source)) => Err(Error::NotReady {
            component: component.name(),
            log: component.log_tail(),
            source,
        }),
    }
}

async fn probe_etcd(url: String) -> Result<(), String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PROBE)
        .build()
        .map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| crate::error_chain(&error))?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(format!("readyz answers {}", answer.status()))
    }
}

async fn probe_api_server(client: kube::Client) -> Result<(), String> {
    let request = http::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
    // The client retries some answers by itself with growing pauses, so each look has its own end.
    match tokio::time::timeout(PROBE, client.request_text(request)).await {
        Ok(answer) => answer.map(drop).map_err(|error| crate::error_chain(&error)),
        Err(_) => Err(format!("no answer within {PROBE:?}")),
    }
}

/// Different ports that are free now. Somebody may take one before our component does, therefore the attempts.
pub(crate) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT], Error> {
    let mut ports = [0; COUNT];
    // All are held until the last is known, or the same port could be offered twice.
    let mut listeners = Vec::with_capacity(COUNT);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::FindPort)?;
        *port = listener.local_addr().map_err(Error::FindPort)?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
