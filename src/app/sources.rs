//! Where bundles may come from, from what the command line says to what the controller wants.

use kube::Client;

use crate::config::{self, HostPort};
use crate::controller::hosts::Hosts;
use crate::controller::settings::{ArchiveHost, OutboundSettings, SourceSettings};
use crate::controller::sources::{Error, Sources};

/// The settings as the controller has them.
pub(super) fn settings(config: &config::Sources) -> SourceSettings {
    SourceSettings {
        bundles: config.bundles.clone(),
        roots: config.roots.clone(),
        archive_hosts: config.archive_hosts.iter().map(host).collect(),
        ca: config.ca.clone(),
        cache: config.cache,
    }
}

/// How far stages may reach, as the controller has it.
pub(super) fn outbound(config: &config::Outbound, is_local: bool) -> OutboundSettings {
    OutboundSettings {
        hosts: config.hosts.iter().map(host).collect(),
        ca: config.ca.clone(),
        ingress: config.ingress.as_ref().map(host),
        is_local,
    }
}

fn host(HostPort { host, port }: &HostPort) -> ArchiveHost {
    ArchiveHost {
        host: host.clone(),
        port: *port,
    }
}

/// The sources under `config`, read with `client`.
pub(super) fn connect(config: &config::Sources, client: Client, hosts: Hosts) -> Result<Sources, Error> {
    Sources::new(settings(config), client, hosts)
}
