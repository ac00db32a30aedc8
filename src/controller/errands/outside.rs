//! HTTP to hosts of others: webhooks and registries.
//!
//! Whom to call is written by application developers, and the server may reach what they cannot. The Project says which hosts may be
//! called; and whatever DNS says of them, a connection goes to a public address, unless the platform engineer named the host. The address
//! is judged where it is connected to. Nothing is redirected.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Request, Response, Url};

use crate::controller::clients::{LateClient, authorities};
use crate::controller::settings::ArchiveHost;
use crate::controller::sources::address::{is_forbidden, is_public};

/// The most bytes of an answer that are read.
pub(super) const MAX_ANSWER: usize = 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client for hosts of others. Clones share its connections.
#[derive(Clone)]
pub(super) struct Outside {
    client: LateClient,
    trusted: Arc<[ArchiveHost]>,
}

/// An answer, as far as it was read.
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The request is not made, now or later.
    Refused(String),
    /// The exchange did not come about.
    Lost(String),
}

impl Outside {
    /// A client that reaches public addresses and `trusted` hosts, and trusts the authorities in the file `ca` besides the usual ones.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn new(trusted: &[ArchiveHost], ca: Option<&Path>) -> Result<Self, String> {
        let trusted: Arc<[ArchiveHost]> = trusted.into();
        let (authorities, reached) = (authorities(ca)?, trusted.clone());
        let settings = move || builder(&authorities).dns_resolver(Guard(Trust::Named(reached.clone())));
        Ok(Self {
            client: LateClient::new(settings),
            trusted,
        })
    }

    /// Whether a host, with its port where it is not that of https, may be asked by plain http.
    pub(super) fn is_trusted(&self, host: &str) -> bool {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
        let is_named = |entry: &ArchiveHost| entry.host.eq_ignore_ascii_case(name) && entry.port.to_string() == port;
        self.trusted.iter().any(is_named)
    }

    /// Makes a request once, and reads at most [`MAX_ANSWER`] bytes of the answer.
    pub(super) async fn exchange(&self, request: Request, within: Duration) -> Result<Page, NoAnswer> {
        check(request.url(), &self.trusted).map_err(NoAnswer::Refused)?;
        exchange(&self.client, request, within).await
    }
}

/// What all clients have in common: no redirects, no proxies, no waiting for a connection that does not come about.
pub(super) fn builder(authorities: &[Certificate]) -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("graftling/", env!("CARGO_PKG_VERSION")))
        .tls_certs_merge(authorities.iter().cloned())
}

/// Makes a request with a client and reads the answer, all within a time.
pub(super) async fn exchange(client: &LateClient, request: Request, within: Duration) -> Result<Page, NoAnswer> {
    let client = client.get().map_err(NoAnswer::Refused)?;
    let exchanged = async {
        let response = client.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = read(response).await?;
        Ok(Page { status, headers, body })
    };
    match tokio::time::timeout(within, exchanged).await {
        Ok(result) => result,
        Err(_) => Err(NoAnswer::Lost(format!("no whole answer within {} ms", within.as_millis()))),
    }
}

/// The body, or its first [`MAX_ANSWER`] bytes.
async fn read(mut response: Response) -> Result<Vec<u8>, NoAnswer> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        let room = MAX_ANSWER - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok(bytes)
}

/// Judges a URL before anything is connected. Names are judged by what they resolve to, in [`Guard`].
fn check(url: &Url, trusted: &[ArchiveHost]) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let is_trusted = trusted
        .iter()
        .any(|entry| entry.host.eq_ignore_ascii_case(host) && entry.port == port);
    if !matches!((url.scheme(), is_trusted), ("https", _) | ("http", true)) {
        return Err(format!(
            "{host} would be called by {}: only https is used, unless the platform engineer names the host by --outbound-hosts",
            url.scheme()
        ));
    }
    match host.parse::<IpAddr>() {
        Ok(address) => judge(address, is_trusted).map_err(|rule| format!("{address} {rule}")),
        // A name that is trusted at another port must not get the trust of its addresses.
        Err(_) if !is_trusted && trusted.iter().any(|entry| entry.host.eq_ignore_ascii_case(host)) => {
            Err(format!("--outbound-hosts allows {host} at another port than {port}"))
        }
        Err(_) => Ok(()),
    }
}

fn judge(address: IpAddr, is_trusted: bool) -> Result<(), String> {
    match (is_forbidden(address), is_trusted || is_public(address)) {
        (true, _) => Err("is an address that nobody goes to".to_owned()),
        (false, false) => Err("is no public address: the platform engineer can name the host by --outbound-hosts".to_owned()),
        (false, true) => Ok(()),
    }
}

/// Whose addresses need not be public.
pub(super) enum Trust {
    /// Those of these hosts.
    Named(Arc<[ArchiveHost]>),
    /// Those of all, as hosts of environments are; this machine's own only if the control plane is on it.
    All {
        /// Whether it is.
        is_local: bool,
    },
}

/// Resolves names for a client: the addresses that it lets through are those that are connected to.
pub(super) struct Guard(pub(super) Trust);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (is_trusted, is_local) = match &self.0 {
            Trust::Named(hosts) => (hosts.iter().any(|entry| entry.host.eq_ignore_ascii_case(name.as_str())), true),
            Trust::All { is_local } => (true, *is_local),
        };
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One address that is refused is enough: a name that has both is made to deceive.
            for address in found.iter().map(SocketAddr::ip) {
                let refuse = |rule: &str| Refused(format!("{} has the address {address}, which {rule}", name.as_str()));
                judge(address, is_trusted).map_err(|rule| refuse(&rule))?;
                if address.is_loopback() && !is_local {
                    return Err(refuse("is one of this machine").into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Somewhere that is not gone to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

fn failed(error: reqwest::Error) -> NoAnswer {
    let refused = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .find_map(|cause| cause.downcast_ref::<Refused>());
    match refused {
        Some(refused) => NoAnswer::Refused(refused.to_string()),
        None => NoAnswer::Lost(innermost(&error.without_url())),
    }
}

/// What went wrong, without the layers that only say that something did.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
