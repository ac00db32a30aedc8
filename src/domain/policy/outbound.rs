//! Which hosts of others the stages of an environment may call.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::GlobError;

/// Which hosts of others stages may call. A bundle is written by application developers, and the server may reach what they cannot.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Hosts of webhooks.
    pub webhooks: HostGlobs,
    /// Image registries.
    pub registries: HostGlobs,
}

/// Globs over host names. `*` stays within one label, `**` crosses them.
#[derive(Debug, Clone)]
pub struct HostGlobs {
    set: GlobSet,
    texts: Vec<String>,
}

/// The registries that anybody may read from: asking them for a manifest tells nothing and changes nothing.
pub const PUBLIC_REGISTRIES: [&str; 10] = [
    "docker.io",
    "index.docker.io",
    "ghcr.io",
    "quay.io",
    "gcr.io",
    "*.gcr.io",
    "*.pkg.dev",
    "public.ecr.aws",
    "registry.gitlab.com",
    "registry.k8s.io",
];

impl Outbound {
    /// Webhooks to nobody, and the well-known public registries.
    pub fn usual() -> Self {
        Self::new(&[], None).unwrap_or_else(|_| Self::nobody())
    }

    /// Hosts as a Project lists them; `registries` that are not listed are the well-known public ones.
    ///
    /// # Errors
    /// A text is not a glob.
    pub fn new(webhooks: &[String], registries: Option<&[String]>) -> Result<Self, GlobError> {
        let public = PUBLIC_REGISTRIES.map(str::to_owned);
        Ok(Self {
            webhooks: HostGlobs::new("spec.policy.webhooks", webhooks)?,
            registries: HostGlobs::new("spec.policy.registries", registries.unwrap_or(&public))?,
        })
    }

    /// Nobody at all.
    pub fn nobody() -> Self {
        let none = || HostGlobs {
            set: GlobSet::empty(),
            texts: Vec::new(),
        };
        Self {
            webhooks: none(),
            registries: none(),
        }
    }
}

impl HostGlobs {
    fn new(field: &str, texts: &[String]) -> Result<Self, GlobError> {
        let mut set = GlobSetBuilder::new();
        let wrong = |glob: &str, source| GlobError {
            field: field.to_owned(),
            glob: glob.to_owned(),
            source,
        };
        for text in texts {
            // A separator of globs is a slash: labels are told apart by one.
            let pattern = as_path(text);
            let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
            set.add(glob.map_err(|error| wrong(text, error))?);
        }
        Ok(Self {
            set: set.build().map_err(|error| wrong(&texts.join(", "), error))?,
            texts: texts.to_vec(),
        })
    }

    /// Whether a host is allowed; case does not matter, and neither does a point at its end.
    pub fn allow(&self, host: &str) -> bool {
        !host.contains('/') && self.set.is_match(as_path(host))
    }

    /// The globs as they are written.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }
}

fn as_path(host: &str) -> String {
    host.to_ascii_lowercase().trim_end_matches('.').replace('.', "/")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn hosts(texts: &[&str]) -> HostGlobs {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        Outbound::new(&texts, None).unwrap().webhooks
    }

    #[test]
    fn threat_t31_a_star_is_one_label_of_a_host_and_nothing_is_allowed_unasked() {
        let globs = hosts(&["ci.example.com", "*.hooks.example.com", "**.wide.example"]);
        for host in [
            "ci.example.com",
            "CI.example.com.",
            "a.hooks.example.com",
            "a.wide.example",
            "a.b.wide.example",
        ] {
            assert!(globs.allow(host), "{host}");
        }
        for host in [
            "hooks.example.com",
            "a.b.hooks.example.com",
            "ci.example.com.evil.example",
            "evilci.example.com",
            "xwide.example",
            "ci/example/com",
            "",
            "127.0.0.1",
        ] {
            assert!(!globs.allow(host), "{host}");
        }
        assert!(!Outbound::usual().webhooks.allow("ci.example.com"));
    }

    #[test]
    fn feature_t14_the_usual_registries_are_the_public_ones() {
        let usual = Outbound::usual();
        assert!(usual.registries.allow("ghcr.io") && usual.registries.allow("europe-docker.pkg.dev"));
        assert!(!usual.registries.allow("registry.internal") && !usual.registries.allow("evil.ghcr.io"));
        let own = Outbound::new(&[], Some(&["registry.internal".to_owned()])).unwrap();
        assert!(own.registries.allow("registry.internal") && !own.registries.allow("ghcr.io"));
    }
}
