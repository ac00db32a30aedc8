//! Where a Project's templates come from, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the templates come from: exactly one of the sources.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.name), has(self.directory), has(self.configMap), has(self.repository), has(self.archive)].filter(given, given).size() == 1",
    "message": "exactly one of name, directory, configMap, repository and archive must be set",
}]))]
pub struct BundleReference {
    /// A bundle that is shipped with the server: a folder of its bundle directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// A directory where the server runs. The server allows none unless its flag `--bundle-roots` names a directory above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectoryBundle>,
    /// A ConfigMap in the Project's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapBundle>,
    /// A folder of the Project's own repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositoryBundle>,
    /// An archive on a web server, pinned by its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveBundle>,
}

/// A directory where the server runs.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct DirectoryBundle {
    /// The absolute path. Links are not followed out of the directories that the server allows.
    #[schemars(length(min = 1, max = 1024), regex(pattern = r"^/"))]
    pub path: String,
}

/// A ConfigMap that holds a bundle.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct ConfigMapBundle {
    /// Its name, in the Project's namespace. Its keys are the bundle's files, with `__` for the first `/` of a path:
    /// `bundle.yaml`, `templates__web.yaml`, `templates___labels.hbs`. Or it has one key `bundle.tgz` in `binaryData`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A folder of the Project's own repository.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct RepositoryBundle {
    /// The folder, relative to the root of the repository; `.` for the root itself.
    #[schemars(length(min = 1, max = 512))]
    pub path: String,
    /// Whose commit it is read at. With `DefaultBranch`, a branch cannot change what its own environment consists of.
    #[serde(default)]
    pub from: BundleRevision,
}

/// The commit that a repository's bundle is read at.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema)]
pub enum BundleRevision {
    /// The head of the repository's default branch, as the last look at the repository saw it.
    #[default]
    DefaultBranch,
    /// The very commit that the environment shows. Whoever can push a branch then writes its templates.
    Branch,
}

/// An archive on a web server.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct ArchiveBundle {
    /// Where a `.tar.gz` with the bundle is. Only https, without credentials, and only public addresses, unless the server's flag
    /// `--bundle-archive-hosts` names the host.
    #[schemars(length(min = 9, max = 2048), regex(pattern = r"^https://[^/?#@\\\s]+([/?][^#\\\s]*)?$"))]
    pub url: String,
    /// The SHA-256 of the archive's bytes, in lower-case hexadecimal digits. Any other bytes are refused.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: String,
}
