//! Where a bundle comes from.

use std::fmt;

use crate::domain::git::TreePath;
use crate::domain::name::{ObjectName, name_type};

/// Where a Project's templates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleSource {
    /// A folder of the server's bundle directory, by its name.
    Shipped(ObjectName),
    /// A directory where the server runs.
    Directory(Directory),
    /// A ConfigMap in the Project's namespace.
    ConfigMap(ObjectName),
    /// A folder of the Project's own repository.
    Repository {
        /// The folder.
        path: TreePath,
        /// Whose commit counts.
        from: TemplatesFrom,
    },
    /// An archive on a web server.
    Archive {
        /// Where it is.
        url: ArchiveUrl,
        /// What its bytes have to be.
        digest: Sha256,
    },
}

/// Whose commit a repository's bundle is read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplatesFrom {
    /// That of the default branch: what a branch holds does not count for its own environment.
    DefaultBranch,
    /// That of the environment's own branch.
    Branch,
}

name_type!(
    /// An absolute path without `.` and `..`.
    Directory,
    "directory",
    check_directory
);

name_type!(
    /// An https URL with a host, without credentials, white space or a fragment. Where it leads is judged when it is opened.
    ArchiveUrl,
    "archive URL",
    check_archive_url
);

name_type!(
    /// A SHA-256 digest as 64 lower-case hexadecimal digits.
    Sha256,
    "sha256",
    check_sha256
);

impl BundleSource {
    /// Where it is, in one line.
    pub fn label(&self) -> String {
        match self {
            Self::Shipped(name) => name.to_string(),
            Self::Directory(path) => format!("directory {path}"),
            Self::ConfigMap(name) => format!("ConfigMap {name}"),
            Self::Repository { path, from } => {
                let whose = match from {
                    TemplatesFrom::DefaultBranch => "default branch",
                    TemplatesFrom::Branch => "own branch",
                };
                format!("repository at {path} ({whose})")
            }
            Self::Archive { url, .. } => url.to_string(),
        }
    }
}

/// Follows the word "bundle".
impl fmt::Display for BundleSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shipped(name) => write!(formatter, "\"{name}\""),
            _ => write!(formatter, "in {}", self.label()),
        }
    }
}

fn check_directory(text: &str) -> Result<(), String> {
    let parts = text.strip_prefix('/').ok_or("must be an absolute path")?;
    if text.len() > 1024 || text.chars().any(char::is_control) {
        return Err("must have at most 1024 bytes, without control characters".into());
    }
    if parts.trim_end_matches('/').split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("must not have parts that are empty, \".\" or \"..\"".into());
    }
    Ok(())
}

fn check_archive_url(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").ok_or("must begin with https://")?;
    if text.len() > 2048 || text.chars().any(|character| character.is_control() || character.is_whitespace()) {
        return Err("must have at most 2048 bytes, without white space or control characters".into());
    }
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') || text.contains(['#', '\\']) {
        return Err("must have a host, and neither credentials nor a fragment".into());
    }
    Ok(())
}

fn check_sha256(text: &str) -> Result<(), String> {
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err("must be 64 lower-case hexadecimal digits".into());
    }
    Ok(())
}
