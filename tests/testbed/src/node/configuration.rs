//! The files that a node reads.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Error, image};
use crate::control_plane::NodeFiles;

/// What the files depend on.
pub(super) struct Settings<'a> {
    /// The folder of the node's programs; the network plugin is one of them.
    pub(super) programs: &'a Path,
    /// Certificates.
    pub(super) files: &'a NodeFiles,
    /// The name of its branch of cgroups.
    pub(super) branch: &'a str,
    /// Where the kubelet listens.
    pub(super) kubelet_port: u16,
    /// Where the registry that has nothing listens.
    pub(super) registry: &'a str,
}

/// Writes all of them into `folder`.
pub(super) fn write(folder: &Path, settings: &Settings<'_>) -> Result<(), Error> {
    let network = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [{ "type": "pods" }] });
    // Every registry is this one, so that an image that is not there fails at once, without a question to any network.
    let hosts = format!(
        "server = \"http://{0}\"\n[host.\"http://{0}\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
        settings.registry
    );
    let files = [
        ("containerd.toml", containerd(folder, settings.programs)),
        ("kubelet.json", kubelet(settings).to_string()),
        ("network/pods.conflist", network.to_string()),
        ("registries/_default/hosts.toml", hosts),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, content));
        written.map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}

/// containerd with runc and overlayfs. It leaves alone what it may not do everywhere: scores for the OOM killer below its own,
/// AppArmor, and settings of the network.
fn containerd(folder: &Path, programs: &Path) -> String {
    // A string of JSON is a string of TOML too.
    let text = |path: &Path| json!(path.display().to_string()).to_string();
    format!(
        r#"version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
imports = []
[grpc]
address = "/run/containerd/containerd.sock"
[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{sandbox}"
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = {registries}
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
disable_apparmor = true
enable_unprivileged_ports = false
enable_unprivileged_icmp = false
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = {runc}
SystemdCgroup = false
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = [{plugins}]
conf_dir = {network}
use_internal_loopback = true
[plugins.'io.containerd.grpc.v1.cri']
stream_server_address = "127.0.0.1"
stream_server_port = "0"
"#,
        sandbox = image::PAUSE,
        registries = text(&folder.join("registries")),
        runc = text(&programs.join("runc")),
        plugins = text(programs),
        network = text(&folder.join("network")),
    )
}

/// The kubelet: quick to look and to tell, evicting nothing, on either version of cgroups.
fn kubelet(settings: &Settings<'_>) -> Value {
    let files = settings.files;
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": settings.kubelet_port,
        "healthzPort": 0,
        "readOnlyPort": 0,
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": false },
            "x509": { "clientCAFile": files.authority },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": files.certificate,
        "tlsPrivateKeyFile": files.key,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", settings.branch),
        "cgroupsPerQOS": true,
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "resolvConf": "",
        "makeIPTablesUtilChains": false,
        // Better to fail than to change the machine.
        "protectKernelDefaults": true,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": { "memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%" },
        "localStorageCapacityIsolation": false,
        "syncFrequency": "1s",
        "fileCheckFrequency": "0s",
        "nodeStatusUpdateFrequency": "1s",
        "nodeStatusReportFrequency": "10s",
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
        "registryPullQPS": 0,
        "serializeImagePulls": false,
        // A container that crashes is started anew after two seconds at most, not after five minutes.
        "crashLoopBackOff": { "maxContainerRestartPeriod": "2s" },
        "shutdownGracePeriod": "0s",
    })
}
