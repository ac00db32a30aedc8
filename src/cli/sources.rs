//! Settings of where bundles may come from, for the server and for whoever does what it would do.

use std::path::PathBuf;

use clap::Args;

use crate::config::{HostPort, Sources, parse_absolute, parse_cache};

/// Where bundles may come from.
#[derive(Debug, Args)]
pub struct SourceArguments {
    /// Folder of the bundles that Projects name
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "/bundles",
        env = "GRAFTLING_BUNDLES",
        hide_env_values = true
    )]
    bundles: PathBuf,
    /// Folders below which Projects may name any folder as bundle, separated by commas [default: none]
    #[arg(long, value_name = "FOLDERS", value_delimiter = ',', value_parser = parse_absolute, env = "GRAFTLING_BUNDLE_ROOTS", hide_env_values = true)]
    bundle_roots: Vec<PathBuf>,
    /// Servers of archives that may have private addresses, separated by commas [default: none]
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        env = "GRAFTLING_BUNDLE_ARCHIVE_HOSTS",
        hide_env_values = true
    )]
    bundle_archive_hosts: Vec<HostPort>,
    /// PEM file of authorities that servers of archives are trusted by besides the usual ones [default: none]
    #[arg(long, value_name = "FILE", env = "GRAFTLING_BUNDLE_CA", hide_env_values = true)]
    bundle_ca: Option<PathBuf>,
    /// Memory for fetched bundles, in bytes, KiB or MiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_cache, env = "GRAFTLING_BUNDLE_CACHE", hide_env_values = true)]
    bundle_cache: usize,
}

impl From<SourceArguments> for Sources {
    fn from(arguments: SourceArguments) -> Self {
        Self {
            bundles: arguments.bundles,
            roots: arguments.bundle_roots,
            archive_hosts: arguments.bundle_archive_hosts,
            ca: arguments.bundle_ca,
            cache: arguments.bundle_cache,
        }
    }
}
