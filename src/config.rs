//! The settings of `graftling serve`, as narrow types.
//!
//! Where a setting comes from (a flag, an environment variable, its default) is the command line's business.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::name::{Namespace, ObjectName};

/// Everything that a running server is told from outside. [`Config::check`] has accepted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where webhooks are received.
    pub listen: SocketAddr,
    /// Where health and metrics are served.
    pub admin_listen: SocketAddr,
    /// Where bundles may come from.
    pub sources: Sources,
    /// How far stages may reach.
    pub outbound: Outbound,
    /// The program that renders Helm charts; `None`: the first `helm` in `PATH`.
    pub helm: Option<PathBuf>,
    /// The version of Kubernetes that charts see.
    pub helm_kube_version: String,
    /// The API versions that charts see beyond Kubernetes' own.
    pub helm_api_versions: Vec<String>,
    /// The time between two full listings of a repository.
    pub sweep_interval: Duration,
    /// The time between the two reads that prove the absence of a branch.
    pub absence_confirmation: Duration,
    /// The namespaces whose Projects are served; empty: all.
    pub watch_namespaces: Vec<Namespace>,
    /// Whether replicas agree on one leader by a Lease.
    pub leader_elect: bool,
    /// The namespace of that Lease; `None`: the namespace that the server runs in.
    pub lease_namespace: Option<Namespace>,
    /// The name of that Lease.
    pub lease_name: ObjectName,
    /// The namespace of the key that receipts are signed with; `None`: the namespace that the server runs in.
    pub key_namespace: Option<Namespace>,
    /// The name of the Secret with that key, and of the ConfigMap with its public half.
    pub key_name: ObjectName,
    /// The ClusterRole that a project's deployer is bound to inside each environment.
    pub deployer_cluster_role: ObjectName,
    /// The admission policy that proves who wrote an approval.
    pub approval_policy: ObjectName,
    /// The image with `sh` and `tar` that takes in the files of a commit.
    pub tools_image: String,
    /// How many environments are deployed at a time, at least 1; half as many are torn down besides.
    pub concurrency: usize,
    /// How many processes render bundles at one time; at least 1.
    pub render_workers: usize,
    /// The largest webhook body that is read, in bytes.
    pub webhook_body_limit: usize,
    /// The time after which an environment is looked at although nothing has changed.
    pub resync: Duration,
    /// A port that is appended to the URLs of environments, for set-ups whose Ingress is not on the scheme's own port.
    pub url_port: Option<u16>,
    /// The time that requests and reconciles under way get to finish after a signal to stop.
    pub shutdown_grace: Duration,
}

/// Where bundles may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The folder of bundles that are shipped with the server.
    pub bundles: PathBuf,
    /// Directories below which Projects may name any directory.
    pub roots: Vec<PathBuf>,
    /// Web servers of archives that may have addresses inside.
    pub archive_hosts: Vec<HostPort>,
    /// A PEM file with further certificate authorities for archives.
    pub ca: Option<PathBuf>,
    /// How many bytes of fetched bundles are kept in memory.
    pub cache: usize,
}

/// How far stages may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Hosts that webhooks and registries may be although their addresses are not public.
    pub hosts: Vec<HostPort>,
    /// A PEM file with further certificate authorities for what stages ask.
    pub ca: Option<PathBuf>,
    /// Where hosts of environments are reached; `None`: where DNS says.
    pub ingress: Option<HostPort>,
}

/// A host and a port, as in `artifacts.example.com:443`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The name or the address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A setting that cannot be used, worded to follow the name of its flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not a duration.
    #[error("must be a number and a unit (ms, s, m or h), for example 500ms, 60s or 1m30s")]
    ParseDuration,
    /// A duration of nothing where time has to pass.
    #[error("must be longer than nothing")]
    ZeroDuration,
    /// A duration beyond [`LONGEST_DURATION`].
    #[error("must be at most {}h", LONGEST_DURATION.as_secs() / 3600)]
    LongDuration,
    /// Not a size.
    #[error("must be a number of bytes, with or without a unit (KiB or MiB), for example 5MiB")]
    ParseSize,
    /// Not a host with a port.
    #[error("must be HOST:PORT, for example artifacts.example.com:443")]
    ParseHost,
    /// A size beyond [`LARGEST_CACHE`].
    #[error("must be at most {} GiB", LARGEST_CACHE / 1024 / 1024 / 1024)]
    LargeCache,
    /// Not an absolute path.
    #[error("must be an absolute path")]
    ParsePath,
    /// A size outside of [`SMALLEST_BODY_LIMIT`] and [`LARGEST_BODY_LIMIT`].
    #[error("must be from {} KiB to {} MiB", SMALLEST_BODY_LIMIT / 1024, LARGEST_BODY_LIMIT / 1024 / 1024)]
    SizeOutOfRange,
}

/// Settings that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Both servers on one address.
    #[error("--listen {listen} and --admin-listen {admin_listen} are the same address; give one of them another port")]
    ShareAddress {
        /// Where webhooks were to be received.
        listen: SocketAddr,
        /// Where health and metrics were to be served.
        admin_listen: SocketAddr,
    },
}

/// No setting is a longer time than this: 30 days.
pub const LONGEST_DURATION: Duration = Duration::from_hours(720);

/// The smallest accepted limit of webhook bodies, in bytes.
pub const SMALLEST_BODY_LIMIT: usize = 1024;

/// The largest accepted limit of webhook bodies, in bytes: GitHub sends nothing larger.
pub const LARGEST_BODY_LIMIT: usize = 25 * 1024 * 1024;

/// The largest accepted budget of the cache of bundles, in bytes.
pub const LARGEST_CACHE: usize = 16 * 1024 * 1024 * 1024;

// === impl Config ===

impl Config {
    /// Accepts settings that fit together.
    ///
    /// # Errors
    /// [`ConfigError`] names the flags that contradict each other.
    pub fn check(self) -> Result<Self, ConfigError> {
        let (listen, admin_listen) = (self.listen, self.admin_listen);
        let same_host = listen.ip() == admin_listen.ip() || listen.ip().is_unspecified() || admin_listen.ip().is_unspecified();
        if listen.port() == admin_listen.port() && listen.port() != 0 && same_host {
            return Err(ConfigError::ShareAddress { listen, admin_listen });
        }
        Ok(self)
    }
}

/// Reads a duration such as `500ms`, `60s`, `5m` or `1m30s`: whole numbers with units, the larger unit first, not longer than
/// [`LONGEST_DURATION`]. Nothing (`0s`) is a duration.
///
/// # Errors
/// [`SettingError`] for any other text, a number without a unit included.
pub fn parse_duration(text: &str) -> Result<Duration, SettingError> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut previous_unit = u64::MAX;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| SettingError::ParseDuration)?;
        let after = &rest[digits..];
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = unit_milliseconds(&after[..letters]).filter(|unit| *unit < previous_unit);
        let unit = unit.ok_or(SettingError::ParseDuration)?;
        let milliseconds = number.checked_mul(unit).ok_or(SettingError::LongDuration)?;
        total = total.saturating_add(Duration::from_millis(milliseconds));
        previous_unit = unit;
        rest = &after[letters..];
    }
    if total > LONGEST_DURATION {
        return Err(SettingError::LongDuration);
    }
    Ok(total)
}

/// Reads a duration like [`parse_duration`] that is longer than nothing.
///
/// # Errors
/// [`SettingError`] for any other text, and for `0s`.
pub fn parse_interval(text: &str) -> Result<Duration, SettingError> {
    match parse_duration(text)? {
        Duration::ZERO => Err(SettingError::ZeroDuration),
        duration => Ok(duration),
    }
}

/// Reads a limit of webhook bodies such as `5MiB`, `512KiB` or `1048576`, in bytes.
///
/// # Errors
/// [`SettingError`] for any other text, and for a size below [`SMALLEST_BODY_LIMIT`] or above [`LARGEST_BODY_LIMIT`].
pub fn parse_body_limit(text: &str) -> Result<usize, SettingError> {
    let size = parse_size(text)?.ok_or(SettingError::SizeOutOfRange)?;
    let allowed = SMALLEST_BODY_LIMIT..=LARGEST_BODY_LIMIT;
    allowed.contains(&size).then_some(size).ok_or(SettingError::SizeOutOfRange)
}

/// Reads the budget of a cache such as `256MiB`, in bytes; `0` keeps nothing.
///
/// # Errors
/// [`SettingError`] for any other text, and for a size above [`LARGEST_CACHE`].
pub fn parse_cache(text: &str) -> Result<usize, SettingError> {
    let size = parse_size(text)?.ok_or(SettingError::LargeCache)?;
    (size <= LARGEST_CACHE).then_some(size).ok_or(SettingError::LargeCache)
}

/// A number of bytes; `None` for one that no machine has.
fn parse_size(text: &str) -> Result<Option<usize>, SettingError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: usize = text[..digits].parse().map_err(|_| SettingError::ParseSize)?;
    let unit = match &text[digits..] {
        "" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return Err(SettingError::ParseSize),
    };
    Ok(number.checked_mul(unit))
}

impl std::str::FromStr for HostPort {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(SettingError::ParseHost)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port: u16 = port.parse().map_err(|_| SettingError::ParseHost)?;
        let known = |character: char| character.is_ascii_alphanumeric() || "-._:".contains(character);
        if host.is_empty() || port == 0 || !host.chars().all(known) {
            return Err(SettingError::ParseHost);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// Reads an absolute path.
///
/// # Errors
/// [`SettingError::ParsePath`] for any other.
pub fn parse_absolute(text: &str) -> Result<PathBuf, SettingError> {
    let path = PathBuf::from(text);
    path.is_absolute().then_some(path).ok_or(SettingError::ParsePath)
}

fn unit_milliseconds(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn config(listen: &str, admin_listen: &str) -> Config {
        Config {
            listen: listen.parse().unwrap(),
            admin_listen: admin_listen.parse().unwrap(),
            sources: Sources {
                bundles: PathBuf::from("/bundles"),
                roots: Vec::new(),
                archive_hosts: Vec::new(),
                ca: None,
                cache: 256 * 1024 * 1024,
            },
            outbound: Outbound {
                hosts: Vec::new(),
                ca: None,
                ingress: None,
            },
            helm: None,
            helm_kube_version: "1.33.0".to_owned(),
            helm_api_versions: Vec::new(),
            sweep_interval: Duration::from_secs(60),
            absence_confirmation: Duration::from_secs(60),
            watch_namespaces: Vec::new(),
            leader_elect: false,
            lease_namespace: None,
            lease_name: "graftling".parse().unwrap(),
            key_namespace: None,
            key_name: "graftling-receipt-key".parse().unwrap(),
            deployer_cluster_role: "graftling-deployer".parse().unwrap(),
            approval_policy: "graftling-approvals".parse().unwrap(),
            tools_image: "busybox".to_owned(),
            concurrency: 16,
            render_workers: 2,
            webhook_body_limit: 5 * 1024 * 1024,
            resync: Duration::from_secs(600),
            url_port: None,
            shutdown_grace: Duration::from_secs(10),
        }
    }

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("60s", 60_000),
            ("5m", 300_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_duration_is_refused() {
        for text in [
            "",
            "60",
            "s",
            "60 s",
            "-1s",
            "1.5s",
            "30s1m",
            "1s1s",
            "1d",
            "60S",
            "ä",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_duration(text), Err(SettingError::ParseDuration), "{text:?}");
        }
    }

    #[test]
    fn a_duration_that_would_overflow_a_clock_is_refused() {
        assert_eq!(parse_duration("721h"), Err(SettingError::LongDuration));
        assert_eq!(parse_duration("18446744073709551615h"), Err(SettingError::LongDuration));
        assert_eq!(parse_duration("720h"), Ok(LONGEST_DURATION));
    }

    #[test]
    fn an_interval_is_longer_than_nothing() {
        assert_eq!(parse_interval("0s"), Err(SettingError::ZeroDuration));
        assert_eq!(parse_interval("1ms"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn a_body_limit_is_a_size_within_reason() {
        assert_eq!(parse_body_limit("5MiB"), Ok(5 * 1024 * 1024));
        assert_eq!(parse_body_limit("512KiB"), Ok(512 * 1024));
        assert_eq!(parse_body_limit("2048"), Ok(2048));
        for text in ["", "MiB", "5MB", "5 MiB", "-1", "5mib"] {
            assert_eq!(parse_body_limit(text), Err(SettingError::ParseSize), "{text:?}");
        }
        for text in ["0", "1023", "26MiB", "18446744073709551615MiB"] {
            assert_eq!(parse_body_limit(text), Err(SettingError::SizeOutOfRange), "{text:?}");
        }
    }

    #[test]
    fn a_cache_a_host_and_a_path_are_what_they_say_or_refused() {
        assert_eq!(parse_cache("256MiB"), Ok(256 * 1024 * 1024));
        assert_eq!(parse_cache("0"), Ok(0));
        assert_eq!(parse_cache("16385MiB"), Err(SettingError::LargeCache));
        assert_eq!(parse_cache("1GB"), Err(SettingError::ParseSize));
        let host = |text: &str| text.parse::<HostPort>().map(|parsed| (parsed.host, parsed.port));
        assert_eq!(host("a.example:443"), Ok(("a.example".to_owned(), 443)));
        assert_eq!(host("[::1]:8443"), Ok(("::1".to_owned(), 8443)));
        for text in ["", "a", "a:", ":1", "a:0", "a:70000", "https://a:1", "a b:1", "*:443"] {
            assert_eq!(host(text), Err(SettingError::ParseHost), "{text:?}");
        }
        assert_eq!(parse_absolute("/a"), Ok(PathBuf::from("/a")));
        assert_eq!(parse_absolute("a"), Err(SettingError::ParsePath));
    }

    #[test]
    fn two_servers_on_one_address_are_refused() {
        for (listen, admin_listen) in [
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("127.0.0.1:8080", "0.0.0.0:8080"),
            ("[::]:8080", "127.0.0.1:8080"),
        ] {
            let error = config(listen, admin_listen).check().unwrap_err().to_string();
            assert!(error.contains("--listen") && error.contains("--admin-listen"), "{error}");
        }
    }

    #[test]
    fn two_servers_on_free_ports_or_different_hosts_are_accepted() {
        for (listen, admin_listen) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:8080", "0.0.0.0:9090"),
            ("127.0.0.1:8080", "127.0.0.2:8080"),
        ] {
            assert!(config(listen, admin_listen).check().is_ok(), "{listen} {admin_listen}");
        }
    }
}
