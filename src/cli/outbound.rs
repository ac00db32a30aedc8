//! How far the stages of environments may reach, from flags and environment variables.

use std::path::PathBuf;

use clap::Args;

use crate::config::{HostPort, Outbound, parse_absolute};

/// The settings of what stages may reach.
#[derive(Debug, Args)]
pub struct OutboundArguments {
    /// Servers that stages may call although their addresses are private, also by plain http, separated by commas [default: none]
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        env = "GRAFTLING_OUTBOUND_HOSTS",
        hide_env_values = true
    )]
    outbound_hosts: Vec<HostPort>,
    /// PEM file of authorities that servers called by stages are trusted by besides the usual ones [default: none]
    #[arg(long, value_name = "FILE", value_parser = parse_absolute, env = "GRAFTLING_OUTBOUND_CA", hide_env_values = true)]
    outbound_ca: Option<PathBuf>,
    /// Where checks reach the hosts of environments [default: where DNS says]
    #[arg(long, value_name = "HOST:PORT", env = "GRAFTLING_INGRESS_ADDRESS", hide_env_values = true)]
    ingress_address: Option<HostPort>,
}

impl From<OutboundArguments> for Outbound {
    fn from(arguments: OutboundArguments) -> Self {
        Self {
            hosts: arguments.outbound_hosts,
            ca: arguments.outbound_ca,
            ingress: arguments.ingress_address,
        }
    }
}
