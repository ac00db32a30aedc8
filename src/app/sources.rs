//! Where bundles may come from, from what the command line says to what the controller wants.

use kube::Client;

use crate::config::{self, HostPort};
use crate::controller::hosts::Hosts;
use crate::controller::settings::{ArchiveHost, SourceSettings};
use crate::controller::sources::{Error, Sources};

/// The settings as the controller has them.
pub(super) fn settings(config: &config::Sources) -> SourceSettings {
    let host = |HostPort { host, port }: &HostPort| ArchiveHost {
        host: host.clone(),
        port: *port,
    };
    SourceSettings {
        bundles: config.bundles.clone(),
        roots: config.roots.clone(),
        archive_hosts: config.archive_hosts.iter().map(host).collect(),
        ca: config.ca.clone(),
        cache: config.cache,
    }
}

/// The sources under `config`, read with `client`.
pub(super) fn connect(config: &config::Sources, client: Client, hosts: Hosts) -> Result<Sources, Error> {
    Sources::new(settings(config), client, hosts)
}
