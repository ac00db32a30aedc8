//! The command line.

use clap::Parser;
use graftling::domain::name::DomainName;

/// Shows an environment from the first push of its branch to its receipt.
#[derive(Debug, Parser)]
#[command(name = "demo", max_term_width = 100, after_help = HELP)]
pub struct Arguments {
    /// Stay up until Ctrl-C, to look around and to push branches
    #[arg(long)]
    pub keep: bool,
    /// Use the cluster of this context of the kubeconfig instead of a control plane of its own
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The domain below which environments get their hosts
    #[arg(long, value_name = "DOMAIN", default_value = "preview.localhost")]
    pub domain: DomainName,
}

const HELP: &str = "\
Without --context everything runs on this machine and nothing of it stays: etcd, the Kubernetes
servers, kwok, the graftling server and a Git repository. The first time the control plane is built
from source, which needs Go and takes about five minutes. Its pods are simulated, so nothing answers
at the URLs.

With --context the custom resource definitions (unless they are there) and the rights of the Helm
chart are installed in the namespace graftling-demo of that cluster, and removed at the end. The
server itself runs on this machine.";
