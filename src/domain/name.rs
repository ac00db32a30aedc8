//! The names of Kubernetes objects as narrow types, and the one name of an environment.
//!
//! An environment's name is computed once, when the Environment object is created, and read from that object ever after.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::git::{BranchName, RepositoryId};

/// A text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {text:?} {rule}")]
pub struct NameError {
    /// What was being named, for example "namespace".
    pub kind: &'static str,
    /// The refused text, shortened to what a person can read.
    pub text: String,
    /// The rule it breaks, worded as the end of a sentence.
    pub rule: String,
}

impl NameError {
    /// A refusal of `text` as a `kind`, because it breaks `rule`.
    pub fn new(kind: &'static str, text: &str, rule: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.chars().take(80).collect(),
            rule: rule.into(),
        }
    }
}

/// Declares a validated string type: private text, checked on the way in, shown as it is.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::domain::name::NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text).map_err(|rule| $crate::domain::name::NameError::new($kind, text, rule))?;
                Ok(Self(text.to_owned()))
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        /// Reading checks as parsing does: what comes from another process is not trusted either.
        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use name_type;

name_type!(
    /// The name of a Kubernetes namespace: an RFC 1123 label of at most 63 characters.
    Namespace,
    "namespace",
    check_label
);

name_type!(
    /// The name of a namespaced Kubernetes object: an RFC 1123 subdomain of at most 253 characters.
    ObjectName,
    "object name",
    check_subdomain
);

name_type!(
    /// The name of a Project: an RFC 1123 label of at most 63 characters that does not claim Kubernetes' own `kube-` prefix,
    /// because the namespaces of its environments begin with it.
    ProjectName,
    "project name",
    check_project
);

name_type!(
    /// A DNS domain under which environments get their hosts, for example `preview.example.com`.
    ///
    /// At most 190 characters, so that `<service>-<environment>.<domain>` stays within the 253 of a DNS name.
    DomainName,
    "domain",
    check_domain
);

name_type!(
    /// The name of an environment, its namespace and its host label: at most [`EnvironmentName::MAX_LENGTH`] characters.
    EnvironmentName,
    "environment name",
    check_environment
);

/// A Project, wherever it stands: its namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProjectKey {
    /// The namespace that holds the Project.
    pub namespace: Namespace,
    /// The Project's name.
    pub name: ProjectName,
}

impl fmt::Display for ProjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// A GitHost, wherever it stands: its namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GitHostKey {
    /// The namespace that holds the GitHost.
    pub namespace: Namespace,
    /// The GitHost's name.
    pub name: ObjectName,
}

impl fmt::Display for GitHostKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// What makes an environment itself: nothing of it may ever change, and nothing else may be mistaken for it.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The base URL of the Git host.
    pub host_url: &'a str,
    /// The repository's identifier at the host, which survives a rename.
    pub repository: &'a RepositoryId,
    /// The branch.
    pub branch: &'a BranchName,
    /// The Project that the environment belongs to.
    pub project: &'a ProjectKey,
}

// === impl EnvironmentName ===

impl EnvironmentName {
    /// Leaves 18 of a DNS label's 63 characters to `<service>-`.
    pub const MAX_LENGTH: usize = 45;
    const HASH_LENGTH: usize = 10;
    /// The project's part is cut first, so that the branch stays readable.
    const PROJECT_LENGTH: usize = 16;

    /// Computes `<project>-<branch slug>-<hash>`.
    ///
    /// The hash is the first 50 bits of a SHA-256 over the whole [`Identity`], always present, so that `feature/a`, `feature-a`
    /// and `Feature/A` are three environments, as is the same branch of two repositories.
    pub fn compute(identity: Identity<'_>) -> Self {
        let project = shorten(identity.project.name.as_str(), Self::PROJECT_LENGTH);
        let hash = identity_hash(identity);
        let room = Self::MAX_LENGTH - project.len() - 1 - hash.len() - 1;
        let slug = slug(identity.branch, room);
        if slug.is_empty() {
            Self(format!("{project}-{hash}"))
        } else {
            Self(format!("{project}-{slug}-{hash}"))
        }
    }

    /// The namespace of this environment, which bears its name.
    pub fn namespace(&self) -> Namespace {
        Namespace(self.0.clone())
    }
}

/// The readable part that a branch contributes to names: lower-case letters, digits and single dashes, at most `room` characters.
///
/// It is lossy and may be empty (a branch of emoji only); the hash beside it keeps names apart.
pub fn slug(branch: &BranchName, room: usize) -> String {
    let mut slug = String::with_capacity(room);
    for character in branch.as_str().chars() {
        let lower = character.to_ascii_lowercase();
        if lower.is_ascii_alphanumeric() {
            slug.push(lower);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= room {
            break;
        }
    }
    shorten(&slug, room)
}

fn shorten(text: &str, length: usize) -> String {
    text.chars().take(length).collect::<String>().trim_end_matches('-').to_owned()
}

/// Every part is preceded by its length, so that no two identities share the same bytes.
fn identity_hash(identity: Identity<'_>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let full_ref = identity.branch.full_ref();
    let project = identity.project.to_string();
    for part in [
        identity.host_url.trim_end_matches('/'),
        identity.repository.as_str(),
        &full_ref,
        &project,
    ] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    base32(context.finish().as_ref(), EnvironmentName::HASH_LENGTH)
}

/// RFC 4648 base32 in lower case, without padding, cut to `length` characters.
fn base32(bytes: &[u8], length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    (0..length)
        .map(|position| {
            let bit = position * 5;
            let high = u16::from(*bytes.get(bit / 8).unwrap_or(&0));
            let low = u16::from(*bytes.get(bit / 8 + 1).unwrap_or(&0));
            let window = (high << 8) | low;
            let index = (window >> (11 - bit % 8)) & 0x1f;
            char::from(ALPHABET[usize::from(index)])
        })
        .collect()
}

// === rules ===

/// Whether `text` is an RFC 1123 label; the error ends the sentence "`text` …".
pub(crate) fn check_label(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".into());
    }
    if text.len() > 63 {
        return Err("must be at most 63 characters long".into());
    }
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        return Err("must consist of lower-case letters, digits and '-'".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("must begin and end with a letter or digit".into());
    }
    Ok(())
}

/// Whether `text` is an RFC 1123 subdomain; the error ends the sentence "`text` …".
pub(crate) fn check_subdomain(text: &str) -> Result<(), String> {
    if text.len() > 253 {
        return Err("must be at most 253 characters long".into());
    }
    text.split('.').try_for_each(|label| {
        check_label(label).map_err(|_| {
            "must consist of lower-case letters, digits, '-' and '.', and each part must begin and end with a letter or digit".to_owned()
        })
    })
}

fn check_project(text: &str) -> Result<(), String> {
    check_label(text)?;
    if text == "kube" || text.starts_with("kube-") {
        return Err("must not begin with \"kube-\", which Kubernetes keeps for itself".into());
    }
    Ok(())
}

fn check_domain(text: &str) -> Result<(), String> {
    check_subdomain(text)?;
    if text.len() > 190 {
        return Err("must be at most 190 characters long".into());
    }
    Ok(())
}

fn check_environment(text: &str) -> Result<(), String> {
    check_label(text)?;
    if text == "default" || text == "kube" || text.starts_with("kube-") {
        return Err("is reserved: the namespace of that name belongs to Kubernetes".into());
    }
    if text.len() > EnvironmentName::MAX_LENGTH {
        return Err(format!("must be at most {} characters long", EnvironmentName::MAX_LENGTH));
    }
    Ok(())
}

impl FromStr for ProjectKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = text
            .split_once('/')
            .ok_or_else(|| NameError::new("project", text, "must have the form NAMESPACE/NAME"))?;
        Ok(Self {
            namespace: namespace.parse()?,
            name: name.parse()?,
        })
    }
}

#[cfg(test)]
mod tests;
