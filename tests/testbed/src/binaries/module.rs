//! The pinned Go modules, embedded, and the name under which their programs are cached.

use std::env::consts::{ARCH, OS};

use aws_lc_rs::digest;

/// A Go module and how it is linked.
#[derive(Debug)]
pub(super) struct Module {
    name: &'static str,
    /// File name and content.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Flags of the linker. Without the version an API server calls itself `v0.0.0-master+$Format:%H$`.
    pub(super) linker_flags: &'static str,
}

impl Module {
    /// etcd, Kubernetes and kwok.
    pub(super) const CONTROL_PLANE: Module = Module {
        name: "controlplane",
        files: &[
            ("go.mod", include_str!("../../../controlplane/go.mod")),
            ("go.sum", include_str!("../../../controlplane/go.sum")),
            ("tools.go", include_str!("../../../controlplane/tools.go")),
        ],
        linker_flags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3",
    };

    /// helm, whose dependencies differ.
    pub(super) const HELM: Module = Module {
        name: "helm",
        files: &[
            ("go.mod", include_str!("../../../controlplane/helm/go.mod")),
            ("go.sum", include_str!("../../../controlplane/helm/go.sum")),
            ("tools.go", include_str!("../../../controlplane/helm/tools.go")),
        ],
        linker_flags: "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.1",
    };

    /// containerd, runc, and the programs of our own that a real node needs.
    pub(super) const NODE: Module = Module {
        name: "node",
        files: &[
            ("go.mod", include_str!("../../../node/go.mod")),
            ("go.sum", include_str!("../../../node/go.sum")),
            ("tools.go", include_str!("../../../node/tools.go")),
            ("pause/main.go", include_str!("../../../node/pause/main.go")),
            ("pods/listening.go", include_str!("../../../node/pods/listening.go")),
            ("pods/main.go", include_str!("../../../node/pods/main.go")),
            ("pods/mirror.go", include_str!("../../../node/pods/mirror.go")),
            ("pods/plugin.go", include_str!("../../../node/pods/plugin.go")),
            ("registry/main.go", include_str!("../../../node/registry/main.go")),
        ],
        linker_flags: "-s -w",
    };

    /// Names everything that decides what the programs are, except the Go version: name, digest of the pins, platform.
    pub(super) fn key(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for (name, content) in self.files {
            context.update(format!("{name} {}\n", content.len()).as_bytes());
            context.update(content.as_bytes());
        }
        context.update(self.linker_flags.as_bytes());
        let digest: String = context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{digest}-{OS}-{ARCH}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_stable_and_differs_between_modules() {
        assert_eq!(Module::HELM.key(), Module::HELM.key());
        assert_ne!(Module::HELM.key(), Module::CONTROL_PLANE.key());
        assert!(Module::CONTROL_PLANE.key().starts_with("controlplane-"));
    }

    #[test]
    fn the_linker_flags_name_the_pinned_versions() {
        for module in [Module::CONTROL_PLANE, Module::HELM] {
            let version = module.linker_flags.rsplit('=').next().expect("a version");
            let pins = module.files[0].1;
            assert!(pins.lines().any(|line| line.ends_with(version)), "go.mod does not pin {version}");
        }
    }
}
