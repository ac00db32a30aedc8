//! The settings of helm that several commands share.

use std::path::PathBuf;

use clap::Args;

use crate::render::HelmSettings;

/// Which helm renders charts, and which cluster they see.
#[derive(Debug, Clone, Args)]
pub struct Helm {
    /// Program that renders Helm charts [default: helm in PATH]
    #[arg(long, value_name = "FILE", env = "GRAFTLING_HELM", hide_env_values = true)]
    helm: Option<PathBuf>,
    /// Version of Kubernetes that Helm charts see
    #[arg(long, value_name = "VERSION", default_value = "1.33.0", value_parser = kube_version, env = "GRAFTLING_HELM_KUBE_VERSION", hide_env_values = true)]
    helm_kube_version: String,
    /// API versions that Helm charts see beyond Kubernetes' own, separated by commas
    #[arg(
        long,
        value_name = "VERSIONS",
        value_delimiter = ',',
        env = "GRAFTLING_HELM_API_VERSIONS",
        hide_env_values = true
    )]
    helm_api_versions: Vec<String>,
}

impl From<Helm> for HelmSettings {
    fn from(arguments: Helm) -> Self {
        let mut api_versions = arguments.helm_api_versions;
        api_versions.retain(|version| !version.is_empty());
        Self {
            program: arguments.helm.filter(|file| !file.as_os_str().is_empty()),
            kube_version: arguments.helm_kube_version,
            api_versions,
        }
    }
}

fn kube_version(text: &str) -> Result<String, String> {
    let version = text.strip_prefix('v').unwrap_or(text);
    match semver::Version::parse(version) {
        Ok(_) => Ok(version.to_owned()),
        Err(_) => Err("must be a version in three parts, for example 1.33.0".to_owned()),
    }
}
