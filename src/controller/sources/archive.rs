//! Archives from web servers, pinned by the digest of their bytes.
//!
//! A URL comes from whoever may write a Project, and the server may reach what they cannot. So every connection goes to a public address,
//! decided when it is made: on the addresses that the very connection uses, on every redirect, and never through a proxy that would
//! resolve names itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode, Url};

use super::Error;
use super::address::is_public;
use crate::cluster::error::chain;
use crate::controller::clients::{LateClient, authorities};
use crate::controller::settings::ArchiveHost;
use crate::domain::bundle::archive::{self, Limits, Selection};
use crate::domain::policy::{ArchiveUrl, Sha256};
use crate::githost::Class;

/// The most bytes of an archive as it is sent.
const MAX_ARCHIVE: usize = 32 * 1024 * 1024;
/// How long an archive may take to come.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REDIRECTS: usize = 3;

/// The client for archives. Clones share its connections.
#[derive(Clone)]
pub(super) struct Archives {
    client: LateClient,
    allowed: Arc<[ArchiveHost]>,
}

impl Archives {
    /// A client that reaches public addresses and `allowed` hosts, and trusts the authorities in the file `ca` besides the usual ones.
    pub(super) fn new(allowed: &[ArchiveHost], ca: Option<&Path>) -> Result<Self, Error> {
        let allowed: Arc<[ArchiveHost]> = allowed.into();
        let authorities = authorities(ca).map_err(Error::PrepareClient)?;
        let reached = allowed.clone();
        let settings = move || {
            Client::builder()
                .https_only(true)
                .no_proxy()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
                .user_agent(concat!("graftling/", env!("CARGO_PKG_VERSION")))
                .redirect(redirects(reached.clone()))
                .dns_resolver(Guard(reached.clone()))
                .tls_certs_merge(authorities.iter().cloned())
        };
        Ok(Self {
            client: LateClient::new(settings),
            allowed,
        })
    }

    /// The files of the archive at `url`, whose bytes have the digest `pinned`.
    pub(super) async fn files(&self, url: &ArchiveUrl, pinned: &Sha256) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let bytes = self.fetch(url).await?;
        let found = hex(digest::digest(&digest::SHA256, &bytes).as_ref());
        if found != pinned.as_str() {
            return Err(Error::CompareDigest { found });
        }
        match tokio::task::spawn_blocking(move || unpacked(&bytes)).await {
            Ok(files) => files,
            Err(_) => Err(Error::Await),
        }
    }

    async fn fetch(&self, url: &ArchiveUrl) -> Result<Vec<u8>, Error> {
        let url = Url::parse(url.as_str()).map_err(|error| attention(format!("{url} is no URL: {error}")))?;
        check(&url, &self.allowed).map_err(attention)?;
        let client = self.client.get().map_err(Error::PrepareClient)?;
        let response = client.get(url).send().await.map_err(failed)?;
        match response.status() {
            status if status.is_success() => body(response).await,
            StatusCode::TOO_MANY_REQUESTS => Err(Error::FetchArchive {
                problem: "the server's limit of requests is used up".to_owned(),
                class: Class::RateLimited(None),
            }),
            status if status.is_server_error() => Err(transient(format!("the server answered HTTP {}", status.as_u16()))),
            status => Err(attention(format!("the server answered HTTP {}", status.as_u16()))),
        }
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, Error> {
    let too_large = || attention(format!("it has more than {} MiB", MAX_ARCHIVE / 1024 / 1024));
    if response.content_length().is_some_and(|length| length > MAX_ARCHIVE as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > MAX_ARCHIVE {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn unpacked(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let root = ".".parse().map_err(|error| Error::PrepareClient(format!("{error}")))?;
    let selection = Selection {
        in_folder: false,
        below: &root,
    };
    let contents = archive::read(bytes, selection, &Limits::BUNDLE).map_err(Error::ReadArchive)?;
    Ok(archive::without_common_folder(contents.files))
}

fn redirects(allowed: Arc<[ArchiveHost]>) -> Policy {
    Policy::custom(move |attempt: Attempt<'_>| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error(Refused(format!("more than {MAX_REDIRECTS} redirects")));
        }
        match check(attempt.url(), &allowed) {
            Ok(()) => attempt.follow(),
            Err(problem) => attempt.error(Refused(problem)),
        }
    })
}

/// Judges a URL before anything is connected. Names are judged by what they resolve to, in [`Guard`].
fn check(url: &Url, allowed: &[ArchiveHost]) -> Result<(), String> {
    if url.scheme() != "https" {
        return Err(format!("it leads to {}, and only https is followed", url.scheme()));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let mut named = allowed.iter().filter(|entry| entry.host.eq_ignore_ascii_case(host)).peekable();
    if named.peek().is_some() {
        return match named.any(|entry| entry.port == port) {
            true => Ok(()),
            false => Err(format!("--bundle-archive-hosts allows {host} at another port than {port}")),
        };
    }
    match host.parse::<IpAddr>() {
        Ok(address) if !is_public(address) => Err(format!("{address} is no public address")),
        _ => Ok(()),
    }
}

/// Resolves names for the client: the addresses that it lets through are those that are connected to.
struct Guard(Arc<[ArchiveHost]>);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.iter().any(|entry| entry.host.eq_ignore_ascii_case(name.as_str()));
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One address inside is enough to refuse: a name that has both is made to deceive.
            match found.iter().find(|address| !allowed && !is_public(address.ip())) {
                Some(address) => Err(Refused(format!("{} has the address {}, which is not public", name.as_str(), address.ip())).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// Somewhere that is not gone to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

fn failed(error: reqwest::Error) -> Error {
    let refused = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .find_map(|cause| cause.downcast_ref::<Refused>());
    match refused {
        Some(refused) => attention(refused.to_string()),
        None => transient(chain(&error.without_url())),
    }
}

fn attention(problem: String) -> Error {
    Error::FetchArchive {
        problem,
        class: Class::NeedsAttention,
    }
}

fn transient(problem: String) -> Error {
    Error::FetchArchive {
        problem,
        class: Class::Transient,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
