//! The programs, the Go packages they are built from, and which ready-made ones will do.

use std::fmt;
use std::path::Path;
use std::process::Command;

use super::KWOK_STAGES;

/// The oldest minor version of Kubernetes 1 that the tests are written for.
const OLDEST_KUBERNETES_MINOR: u32 = 33;

/// A program the testbed starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The store of the API server.
    Etcd,
    /// The API server.
    KubeApiserver,
    /// The controllers.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// Fake nodes and kubelets.
    Kwok,
    /// The command line client.
    Kubectl,
    /// The package manager, for the tests of our chart.
    Helm,
    /// What runs pods on a real node.
    Kubelet,
    /// What runs containers for it.
    Containerd,
    /// What containerd leaves beside each pod.
    ContainerdShim,
    /// The client that puts images into containerd.
    Ctr,
    /// What makes a container of namespaces and cgroups.
    Runc,
    /// Our network plugin.
    Pods,
    /// Our registry that has nothing.
    Registry,
    /// Our program that holds a pod together.
    Pause,
    /// A shell and its tools in one static program, for images.
    Busybox,
}

impl Program {
    /// What a control plane consists of.
    pub(super) const CONTROL_PLANE: [Program; 5] = [
        Program::Etcd,
        Program::KubeApiserver,
        Program::KubeControllerManager,
        Program::KubeScheduler,
        Program::Kwok,
    ];

    /// What a real node needs beside its kubelet, which is of the control plane's version and module.
    pub(super) const NODE: [Program; 8] = [
        Program::Busybox,
        Program::Runc,
        Program::Pods,
        Program::Pause,
        Program::Registry,
        Program::Containerd,
        Program::ContainerdShim,
        Program::Ctr,
    ];

    /// The file name.
    pub fn name(self) -> &'static str {
        match self {
            Program::Etcd => "etcd",
            Program::KubeApiserver => "kube-apiserver",
            Program::KubeControllerManager => "kube-controller-manager",
            Program::KubeScheduler => "kube-scheduler",
            Program::Kwok => "kwok",
            Program::Kubectl => "kubectl",
            Program::Helm => "helm",
            Program::Kubelet => "kubelet",
            Program::Containerd => "containerd",
            Program::ContainerdShim => "containerd-shim-runc-v2",
            Program::Ctr => "ctr",
            Program::Runc => "runc",
            Program::Pods => "pods",
            Program::Registry => "registry",
            Program::Pause => "pause",
            Program::Busybox => "busybox",
        }
    }

    /// The Go package of the command; empty for what is not built but taken from a package of Debian.
    pub(super) fn package(self) -> &'static str {
        match self {
            Program::Etcd => "go.etcd.io/etcd/server/v3",
            Program::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Program::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Program::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Program::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Program::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Program::Helm => "helm.sh/helm/v4/cmd/helm",
            Program::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Program::Containerd => "github.com/containerd/containerd/v2/cmd/containerd",
            Program::ContainerdShim => "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            Program::Ctr => "github.com/containerd/containerd/v2/cmd/ctr",
            Program::Runc => "github.com/opencontainers/runc",
            Program::Pods => "graftling.dev/tests/node/pods",
            Program::Registry => "graftling.dev/tests/node/registry",
            Program::Pause => "graftling.dev/tests/node/pause",
            Program::Busybox => "",
        }
    }

    /// The build tags: what needs libraries of the machine is left out of containerd; runc is static, and knows seccomp.
    pub(super) fn tags(self) -> &'static str {
        match self {
            Program::Containerd | Program::Ctr => "no_btrfs,no_devmapper,no_zfs",
            Program::Runc => "seccomp,netgo,osusergo",
            _ => "",
        }
    }

    /// Whether it is one of the servers that must be of one Kubernetes version.
    pub(super) fn is_kubernetes_server(self) -> bool {
        matches!(
            self,
            Program::KubeApiserver | Program::KubeControllerManager | Program::KubeScheduler
        )
    }

    /// Whether the ready-made program at `path` will do: its version, or the reason against it.
    pub(super) fn check(self, path: &Path) -> Result<Version, String> {
        if self == Program::Kwok && !path.with_file_name(KWOK_STAGES).is_file() {
            return Err(format!("there is no {KWOK_STAGES} beside it"));
        }
        let output = Command::new(path)
            .args(self.version_arguments())
            .output()
            .map_err(|error| format!("it does not run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let version = Version::find(&text).ok_or("it does not tell its version")?;
        if self.accepts(version) {
            Ok(version)
        } else {
            Err(format!("version {version} is not supported"))
        }
    }

    fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Program::Kubectl => &["version", "--client"],
            Program::Helm => &["version", "--short"],
            _ => &["--version"],
        }
    }

    fn accepts(self, version: Version) -> bool {
        match self {
            Program::Etcd => version >= Version { major: 3, minor: 5 },
            Program::KubeApiserver | Program::KubeControllerManager | Program::KubeScheduler => {
                version
                    >= Version {
                        major: 1,
                        minor: OLDEST_KUBERNETES_MINOR,
                    }
            }
            Program::Kwok => version >= Version { major: 0, minor: 6 },
            Program::Kubectl => version.major == 1,
            Program::Helm => version.major == 4,
            // The configuration of a node is written for exactly the versions that are pinned.
            _ => false,
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The part of a version that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// The first `1.2` or `v1.2.3` in what a program printed.
    fn find(text: &str) -> Option<Version> {
        text.split(|separator: char| separator.is_whitespace() || matches!(separator, ',' | '"'))
            .find_map(|word| {
                let mut parts = word.trim_start_matches('v').split('.');
                let major = parts.next()?.parse().ok()?;
                let minor = parts.next()?.parse().ok()?;
                Some(Version { major, minor })
            })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_each_program_prints() {
        let cases = [
            ("Kubernetes v1.36.3", "1.36"),
            ("etcd Version: 3.6.8\nGit SHA: Not provided\nGo Version: go1.26.8", "3.6"),
            ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", "1.32"),
            ("kwok version v0.8.0 go1.26.8 (linux/amd64)", "0.8"),
            ("v4.3.1+gabcdef", "4.3"),
        ];
        for (printed, expected) in cases {
            assert_eq!(
                Version::find(printed).map(|version| version.to_string()).as_deref(),
                Some(expected),
                "{printed}"
            );
        }
        assert_eq!(Version::find("no such command"), None);
    }

    #[test]
    fn an_old_api_server_is_refused() {
        assert!(!Program::KubeApiserver.accepts(Version { major: 1, minor: 32 }));
        assert!(Program::KubeApiserver.accepts(Version { major: 1, minor: 33 }));
    }
}
