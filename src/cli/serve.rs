//! `graftling serve`: from flags and environment variables to settings.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{BoolishValueParser, RangedU64ValueParser};
use clap::{ArgAction, Args};

use super::helm;
use super::outbound::OutboundArguments;
use super::sources::SourceArguments;
use crate::app;
use crate::config::{Config, ConfigError, parse_body_limit, parse_duration, parse_interval};
use crate::domain::name::{NameError, Namespace, ObjectName};
use crate::domain::stage::checkout::TOOLS_IMAGE;
use crate::render::HelmSettings;

/// What holds for every setting.
pub const HELP: &str = "\
A flag wins over its environment variable. A duration is a number and a unit (ms, s, m or h), for
example 500ms, 60s or 1m30s, and at most 720h.";

/// The settings of the server.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Address for webhooks
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "0.0.0.0:8080",
        env = "GRAFTLING_LISTEN",
        hide_env_values = true
    )]
    listen: SocketAddr,
    /// Address for health and metrics
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "0.0.0.0:9090",
        env = "GRAFTLING_ADMIN_LISTEN",
        hide_env_values = true
    )]
    admin_listen: SocketAddr,
    #[command(flatten)]
    sources: SourceArguments,
    #[command(flatten)]
    outbound: OutboundArguments,
    #[command(flatten)]
    helm: helm::Helm,
    /// Time between two full listings of a repository
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_interval, env = "GRAFTLING_SWEEP_INTERVAL", hide_env_values = true)]
    sweep_interval: Duration,
    /// Time between the two reads that prove that a branch is gone
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_interval, env = "GRAFTLING_ABSENCE_CONFIRMATION", hide_env_values = true)]
    absence_confirmation: Duration,
    /// Namespaces whose Projects are served, separated by commas [default: all]
    #[arg(long, value_name = "NAMESPACES", env = "GRAFTLING_WATCH_NAMESPACES", hide_env_values = true)]
    watch_namespaces: Vec<Namespaces>,
    /// Let replicas agree on one leader by a Lease
    #[arg(long, value_name = "true|false", hide_possible_values = true, default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = BoolishValueParser::new(), env = "GRAFTLING_LEADER_ELECT", hide_env_values = true)]
    leader_elect: bool,
    /// Namespace of the Lease [default: the namespace that the server runs in]
    #[arg(long, value_name = "NAMESPACE", env = "GRAFTLING_LEASE_NAMESPACE", hide_env_values = true)]
    lease_namespace: Option<Namespace>,
    /// Name of the Lease
    #[arg(
        long,
        value_name = "NAME",
        default_value = "graftling",
        env = "GRAFTLING_LEASE_NAME",
        hide_env_values = true
    )]
    lease_name: ObjectName,
    /// Namespace of the key that receipts are signed with [default: the namespace that the server runs in]
    #[arg(long, value_name = "NAMESPACE", env = "GRAFTLING_KEY_NAMESPACE", hide_env_values = true)]
    key_namespace: Option<Namespace>,
    /// Name of the Secret with that key, and of the ConfigMap with its public half
    #[arg(
        long,
        value_name = "NAME",
        default_value = "graftling-receipt-key",
        env = "GRAFTLING_KEY_NAME",
        hide_env_values = true
    )]
    key_name: ObjectName,
    /// ClusterRole that a project's deployer is bound to inside each environment
    #[arg(
        long,
        value_name = "NAME",
        default_value = "graftling-deployer",
        env = "GRAFTLING_DEPLOYER_CLUSTER_ROLE",
        hide_env_values = true
    )]
    deployer_cluster_role: ObjectName,
    /// ValidatingAdmissionPolicy that proves who wrote an approval, and its binding of the same name; without them none counts
    #[arg(
        long,
        value_name = "NAME",
        default_value = "graftling-approvals",
        env = "GRAFTLING_APPROVAL_POLICY",
        hide_env_values = true
    )]
    approval_policy: ObjectName,
    /// Image with sh and tar that takes in the files of a commit for stages with steps
    #[arg(long, value_name = "IMAGE", default_value = TOOLS_IMAGE, env = "GRAFTLING_TOOLS_IMAGE", hide_env_values = true)]
    tools_image: String,
    /// How many environments are deployed at a time, from 1 to 1024; half as many are torn down besides
    #[arg(long, value_name = "NUMBER", default_value = "16", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1024), env = "GRAFTLING_CONCURRENCY", hide_env_values = true)]
    concurrency: usize,
    /// How many processes render bundles at a time, from 1 to 32
    #[arg(long, value_name = "NUMBER", default_value = "2", value_parser = RangedU64ValueParser::<usize>::new().range(1..=32), env = "GRAFTLING_RENDER_WORKERS", hide_env_values = true)]
    render_workers: usize,
    /// Largest webhook body that is read, in bytes, KiB or MiB, from 1KiB to 25MiB
    #[arg(long, value_name = "SIZE", default_value = "5MiB", value_parser = parse_body_limit, env = "GRAFTLING_WEBHOOK_BODY_LIMIT", hide_env_values = true)]
    webhook_body_limit: usize,
    /// Time after which an environment is looked at although nothing has changed
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_interval, env = "GRAFTLING_RESYNC", hide_env_values = true)]
    resync: Duration,
    /// Port that is appended to the URLs of environments, for set-ups on one machine [default: none]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), env = "GRAFTLING_URL_PORT", hide_env_values = true)]
    url_port: Option<u16>,
    /// Time that work under way gets to finish after a signal to stop
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration, env = "GRAFTLING_SHUTDOWN_GRACE", hide_env_values = true)]
    shutdown_grace: Duration,
}

/// Namespaces separated by commas; an empty text has none.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Namespaces(Vec<Namespace>);

impl FromStr for Namespaces {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// Runs the server until a signal ends it.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    app::serve(config(arguments)?).await?;
    Ok(())
}

fn config(arguments: Arguments) -> Result<Config, ConfigError> {
    let helm = HelmSettings::from(arguments.helm);
    let watched = arguments.watch_namespaces.into_iter().flat_map(|list| list.0);
    let watched: std::collections::BTreeSet<Namespace> = watched.collect();
    Config {
        listen: arguments.listen,
        admin_listen: arguments.admin_listen,
        sources: arguments.sources.into(),
        outbound: arguments.outbound.into(),
        helm: helm.program,
        helm_kube_version: helm.kube_version,
        helm_api_versions: helm.api_versions,
        sweep_interval: arguments.sweep_interval,
        absence_confirmation: arguments.absence_confirmation,
        watch_namespaces: watched.into_iter().collect(),
        leader_elect: arguments.leader_elect,
        lease_namespace: arguments.lease_namespace,
        lease_name: arguments.lease_name,
        key_namespace: arguments.key_namespace,
        key_name: arguments.key_name,
        deployer_cluster_role: arguments.deployer_cluster_role,
        approval_policy: arguments.approval_policy,
        tools_image: arguments.tools_image,
        concurrency: arguments.concurrency,
        render_workers: arguments.render_workers,
        webhook_body_limit: arguments.webhook_body_limit,
        resync: arguments.resync,
        url_port: arguments.url_port,
        shutdown_grace: arguments.shutdown_grace,
    }
    .check()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Wrapper {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(flags: &[&str]) -> Result<Arguments, clap::Error> {
        Wrapper::try_parse_from(std::iter::once(&"serve").chain(flags)).map(|wrapper| wrapper.arguments)
    }

    #[test]
    fn without_a_flag_every_setting_has_its_documented_default() {
        let config = config(parse(&[]).unwrap()).unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(config.admin_listen.to_string(), "0.0.0.0:9090");
        assert_eq!(config.sources.bundles, std::path::PathBuf::from("/bundles"));
        assert!(config.sources.roots.is_empty() && config.sources.archive_hosts.is_empty());
        assert_eq!((config.sources.ca, config.sources.cache), (None, 256 * 1024 * 1024));
        assert_eq!(
            (config.outbound.hosts, config.outbound.ca, config.outbound.ingress),
            (Vec::new(), None, None)
        );
        assert_eq!((config.helm, config.helm_kube_version.as_str()), (None, "1.33.0"));
        assert_eq!(config.helm_api_versions, Vec::<String>::new());
        assert_eq!(config.sweep_interval, Duration::from_secs(60));
        assert_eq!(config.absence_confirmation, Duration::from_secs(60));
        assert_eq!(config.watch_namespaces, []);
        assert!(!config.leader_elect);
        assert_eq!(config.lease_namespace, None);
        assert_eq!(config.lease_name.as_str(), "graftling");
        assert_eq!((config.key_namespace, config.key_name.as_str()), (None, "graftling-receipt-key"));
        assert_eq!(config.deployer_cluster_role.as_str(), "graftling-deployer");
        assert_eq!(config.approval_policy.as_str(), "graftling-approvals");
        assert_eq!(config.tools_image, TOOLS_IMAGE);
        assert_eq!(config.concurrency, 16);
        assert_eq!(config.render_workers, 2);
        assert_eq!(config.webhook_body_limit, 5 * 1024 * 1024);
        assert_eq!(config.resync, Duration::from_secs(600));
        assert_eq!(config.url_port, None);
        assert_eq!(config.shutdown_grace, Duration::from_secs(10));
    }

    #[test]
    fn namespaces_come_by_comma_or_by_repetition_and_count_once() {
        let arguments = parse(&["--watch-namespaces", "b, a,", "--watch-namespaces", "a"]).unwrap();
        let names: Vec<String> = config(arguments)
            .unwrap()
            .watch_namespaces
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!("".parse(), Ok(Namespaces(Vec::new())));
    }

    #[test]
    fn leader_election_is_switched_with_and_without_a_value() {
        for (flags, expected) in [
            (vec![], false),
            (vec!["--leader-elect"], true),
            (vec!["--leader-elect=true"], true),
            (vec!["--leader-elect=false"], false),
        ] {
            assert_eq!(parse(&flags).unwrap().leader_elect, expected, "{flags:?}");
        }
    }

    #[test]
    fn a_refused_value_names_its_flag() {
        for (flag, value) in [
            ("--listen", "8080"),
            ("--admin-listen", "localhost:9090"),
            ("--helm-kube-version", "1.33"),
            ("--sweep-interval", "60"),
            ("--sweep-interval", "0s"),
            ("--absence-confirmation", "1 minute"),
            ("--watch-namespaces", "a,B"),
            ("--lease-namespace", "a.b"),
            ("--lease-name", "A"),
            ("--key-namespace", "a.b"),
            ("--key-name", "A"),
            ("--deployer-cluster-role", ""),
            ("--approval-policy", "A"),
            ("--concurrency", "0"),
            ("--concurrency", "1025"),
            ("--render-workers", "0"),
            ("--webhook-body-limit", "1GiB"),
            ("--resync", "721h"),
            ("--bundle-roots", "bundles"),
            ("--bundle-archive-hosts", "artifacts.example.com"),
            ("--outbound-hosts", "http://ci.internal:80"),
            ("--outbound-ca", "ca.pem"),
            ("--ingress-address", "ingress.example.com"),
            ("--bundle-cache", "1GB"),
            ("--url-port", "0"),
            ("--shutdown-grace", "-1s"),
        ] {
            let error = parse(&[&format!("{flag}={value}")]).unwrap_err().to_string();
            assert!(error.contains(flag), "{flag} {value}: {error}");
        }
    }

    #[test]
    fn every_setting_has_an_environment_variable_of_its_name() {
        use clap::CommandFactory;
        for argument in Wrapper::command().get_arguments() {
            let Some(long) = argument.get_long().filter(|long| *long != "help") else {
                continue;
            };
            let variable = format!("GRAFTLING_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "{long}");
        }
    }
}
