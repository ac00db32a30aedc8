//! Starts a node and waits until pods can go to it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::cgroups::{Branch, Hierarchies};
use super::configuration::{self, Settings};
use super::{Error, NAME, Node, image};
use crate::binaries::{self, NodeBinaries};
use crate::control_plane::{self, ControlPlane, FAKE_NODE};
use crate::process::{Launch, Supervised};
use crate::scratch::Scratch;
use crate::wait::{self, Stopped};

/// Ends a node and cleans up after it.
const KEEPER: &str = include_str!("keeper.sh");

/// What is started in its namespaces.
const INSIDE: &str = include_str!("inside.sh");

/// How long it may take to become ready; far more than it needs, since the machine may be busy with builds.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long the keeper may take to clean up before it is killed, which would leave cgroups behind.
const GRACE: Duration = Duration::from_secs(20);

/// How often it is started with other ports when one was taken between finding and binding it.
const PORT_ATTEMPTS: usize = 5;

/// How much of each log belongs into an error.
const TAIL_LINES: usize = 12;

pub(super) async fn node(control_plane: &ControlPlane) -> Result<Node, Error> {
    let programs = control_plane::blocking(|| {
        Node::available().map_err(Error::Unavailable)?;
        binaries::node().map_err(Error::Binaries)
    });
    let programs = programs.await?;
    let client = control_plane.client().await;
    let nodes: Api<NodeObject> = Api::all(client);
    let mut attempts = 0;
    let node = loop {
        attempts += 1;
        announce(&nodes).await?;
        let mut node = launch(control_plane, &programs)?;
        match await_ready(&nodes, &mut node).await {
            Ok(()) => break node,
            Err(_) if attempts < PORT_ATTEMPTS && lost_a_port(node.folder()) => {}
            Err(error) => return Err(error),
        }
    };
    let cordon = json!({ "spec": { "unschedulable": true } });
    let cordoned = nodes.patch(FAKE_NODE, &PatchParams::default(), &Patch::Merge(cordon)).await;
    cordoned.map_err(request("keep pods from the fake node"))?;
    Ok(node)
}

/// Makes the Node with its address, which a kubelet keeps but would not set by itself. A Node that is there already would say
/// that it is ready although nothing runs, so it goes first.
async fn announce(nodes: &Api<NodeObject>) -> Result<(), Error> {
    match nodes.delete(NAME, &Default::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        other => other.map(drop).map_err(request("remove the Node of before"))?,
    }
    let labels = json!({ "kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux" });
    let object = serde_json::from_value(json!({ "metadata": { "name": NAME, "labels": labels } }));
    let object = object.expect("a Node is a Node");
    let created = nodes.create(&PostParams::default(), &object).await;
    created.map_err(request("create the Node"))?;
    let addresses = json!([{ "type": "InternalIP", "address": "127.0.0.1" }, { "type": "Hostname", "address": NAME }]);
    let status = Patch::Merge(json!({ "status": { "addresses": addresses } }));
    let patched = nodes.patch_status(NAME, &PatchParams::default(), &status).await;
    patched.map(drop).map_err(request("give the Node its address"))
}

fn launch(control_plane: &ControlPlane, programs: &NodeBinaries) -> Result<Node, Error> {
    let scratch = Scratch::create().map_err(Error::CreateFolder)?;
    let folder = scratch.folder();
    let [kubelet_port, registry_port] = control_plane::free_ports().map_err(Error::FindPort)?;
    let registry = format!("127.0.0.1:{registry_port}");
    let files = control_plane.node_files(NAME, folder).map_err(Error::CreateIdentity)?;
    image::write(&folder.join("images.tar"), &programs.folder)?;
    let branch = Hierarchies::find().grow("graftling-testbed")?;
    let settings = Settings {
        programs: &programs.folder,
        files: &files,
        branch: &branch.name,
        kubelet_port,
        registry: &registry,
    };
    configuration::write(folder, &settings)?;
    let keeper = keep(&scratch, programs, &branch, &registry)?;
    Ok(Node { keeper, scratch })
}

fn keep(scratch: &Scratch, programs: &NodeBinaries, branch: &Branch, registry: &str) -> Result<Supervised, Error> {
    let variables: [(&str, OsString); 5] = [
        ("NODE", scratch.folder().into()),
        ("PROGRAMS", programs.folder.clone().into()),
        ("KUBELET", programs.kubelet.clone().into()),
        ("NAME", NAME.into()),
        ("REGISTRY", registry.into()),
    ];
    let path = scratch.folder().join("node.log");
    let log = fs::File::create(&path).map_err(|source| Error::Write { path, source })?;
    let keeper = Launch::new(Path::new("sh"), GRACE)
        .arguments(["-c", KEEPER, "keeper", INSIDE])
        .arguments(&branch.folders)
        .environment(variables.map(|(name, value)| (name.into(), value)))
        .folder(Path::new("/"))
        .spawn(log)
        .map_err(Error::Spawn)?;
    scratch.used_by(keeper.pid()).map_err(Error::Spawn)?;
    Ok(keeper)
}

async fn await_ready(nodes: &Api<NodeObject>, node: &mut Node) -> Result<(), Error> {
    let Node { keeper, scratch } = node;
    let folder = scratch.folder();
    let look = || async { control_plane::schedulable(nodes.get(NAME).await) };
    let hope = || match keeper.exited() {
        None => Ok(()),
        Some(status) => Err(Error::Exited { status, log: logs(folder) }),
    };
    match wait::try_until_or("ready Node", PATIENCE, look, hope).await {
        Ok(()) => Ok(()),
        Err(Stopped::Hopeless(error)) => Err(error),
        Err(Stopped::TimedOut(source)) => Err(Error::NotReady { log: logs(folder), source }),
    }
}

fn lost_a_port(folder: &Path) -> bool {
    ["kubelet.log", "registry.log"]
        .iter()
        .any(|name| fs::read_to_string(folder.join(name)).is_ok_and(|log| log.contains("address already in use")))
}

/// The ends of all logs.
fn logs(folder: &Path) -> String {
    let mut text = String::new();
    for name in ["node.log", "registry.log", "import.log", "containerd.log", "kubelet.log"] {
        let log = fs::read(folder.join(name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        if !tail.is_empty() {
            text.push_str(&format!("--- {name}\n{}\n", tail.join("\n")));
        }
    }
    text
}

fn request(action: &'static str) -> impl FnOnce(kube::Error) -> Error {
    move |source| Error::Request {
        action,
        source: Box::new(source),
    }
}
