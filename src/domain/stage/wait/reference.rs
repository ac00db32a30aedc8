//! References of images, as pods have them.

use std::fmt;
use std::str::FromStr;

/// An image by its registry, its repository and its tag or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry by the name that people use, with its port if one is written: `docker.io`, `localhost:5000`.
    pub registry: String,
    /// The repository inside the registry: `library/nginx`.
    pub repository: String,
    /// The tag, or the digest where one is written.
    pub version: String,
}

/// A text that is no reference of an image, worded to follow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is no reference of an image: {0}")]
pub struct ReferenceError(&'static str);

/// Where references without a registry lead to.
const DOCKER: &str = "docker.io";
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

impl Reference {
    /// The host, with its port if one is written, that speaks the registry's interface.
    pub fn host(&self) -> &str {
        match self.registry.as_str() {
            DOCKER | "index.docker.io" => "registry-1.docker.io",
            host => host,
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(check_digest(digest)?)),
            None => (text, None),
        };
        let (registry, rest) = match name.split_once('/') {
            Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
            _ => (DOCKER, name),
        };
        // A tag is behind the last colon of the path; a colon before is that of a port.
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(check_tag(tag)?)),
            None => (rest, None),
        };
        check_registry(registry)?;
        check_repository(path)?;
        let is_short = registry == DOCKER && !path.contains('/');
        Ok(Self {
            registry: registry.to_owned(),
            repository: if is_short { format!("library/{path}") } else { path.to_owned() },
            version: digest.or(tag).unwrap_or("latest").to_owned(),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let between = if self.version.contains(':') { '@' } else { ':' };
        write!(formatter, "{}/{}{between}{}", self.registry, self.repository, self.version)
    }
}

fn check_registry(registry: &str) -> Result<(), ReferenceError> {
    let (host, port) = registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_host = host.split('.').all(is_label);
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    match is_host && is_port {
        true => Ok(()),
        false => Err(ReferenceError("its registry should be a host name, with a port if it needs one")),
    }
}

fn check_repository(path: &str) -> Result<(), ReferenceError> {
    let is_part = |part: &str| {
        let is_known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let edges = part.bytes().next().is_some_and(is_known) && part.bytes().last().is_some_and(is_known);
        edges && part.bytes().all(|byte| is_known(byte) || matches!(byte, b'.' | b'_' | b'-'))
    };
    match !path.is_empty() && path.len() <= MAX_REPOSITORY && path.split('/').all(is_part) {
        true => Ok(()),
        false => Err(ReferenceError(
            "its name should have parts of small letters, digits, points, dashes and underscores",
        )),
    }
}

fn check_tag(tag: &str) -> Result<&str, ReferenceError> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let begins = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match begins && tag.len() <= MAX_TAG && tag.bytes().all(is_known) {
        true => Ok(tag),
        false => Err(ReferenceError(
            "its tag should have letters, digits, points, dashes and underscores",
        )),
    }
}

fn check_digest(digest: &str) -> Result<&str, ReferenceError> {
    let is_hex = |hex: &str| !hex.bytes().any(|byte| !byte.is_ascii_digit() && !(b'a'..=b'f').contains(&byte));
    let fits = match digest.split_once(':') {
        Some(("sha256", hex)) => hex.len() == 64 && is_hex(hex),
        Some(("sha512", hex)) => hex.len() == 128 && is_hex(hex),
        _ => false,
    };
    match fits {
        true => Ok(digest),
        false => Err(ReferenceError("its digest should be sha256: with 64 hexadecimal digits behind it")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn feature_t14_references_are_read_as_pods_read_them() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, registry, repository, version) in [
            ("nginx", "docker.io", "library/nginx", "latest"),
            ("nginx:1.27", "docker.io", "library/nginx", "1.27"),
            ("acme/shop:v1", "docker.io", "acme/shop", "v1"),
            ("ghcr.io/acme/shop/web:a_b-c.d", "ghcr.io", "acme/shop/web", "a_b-c.d"),
            ("localhost/web", "localhost", "web", "latest"),
            ("127.0.0.1:5000/web:x", "127.0.0.1:5000", "web", "x"),
            (&format!("quay.io/a/b:tag@{digest}"), "quay.io", "a/b", &digest),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(
                (&*reference.registry, &*reference.repository, &*reference.version),
                (registry, repository, version)
            );
            assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
        }
        assert_eq!("nginx".parse::<Reference>().unwrap().host(), "registry-1.docker.io");
    }

    #[test]
    fn threat_t31_a_reference_cannot_lead_to_another_path_or_host() {
        for text in [
            "",
            ":",
            "/",
            "a//b",
            "../x",
            "ghcr.io/../x",
            "ghcr.io/a/..:b",
            "Nginx",
            "a b",
            "a?x",
            "a#x",
            "user@host/a",
            "ghcr.io:0/a",
            "ghcr.io:x/a",
            "gh%2fcr.io/a",
            "nginx:../../x",
            "nginx:",
            "nginx@sha256:12",
            "nginx@md5:00",
            "https://ghcr.io/a",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }
}
