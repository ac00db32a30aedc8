//! `graftling receipt verify`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use clap::Args;
use serde::Serialize;

use super::verdict::{VerifyError, judge};
use super::{Format, Selection};
use crate::api::receipt::{FullReceipt, SIGNATURE_KEY, TEXT_KEY};
use crate::app::access::Access;
use crate::cli::environment::Cluster;
use crate::cli::output::{json, print, yaml};
use crate::cli::printable::printable;
use crate::domain::name::{NameError, Namespace, ObjectName, ProjectName};
use crate::domain::residue::evidence::Traces;
use crate::domain::signature::PublicKey;

/// What the exit codes mean, and what is trusted.
pub const HELP: &str = "\
Exit codes: 0 the receipt is good; 3 there is none; 6 it was changed, or nobody trusted signed it;
7 it is not signed; others as for every command.

A receipt is checked with the keys in the ConfigMap of --keys, or with --public-key. What a receipt
says of its key is not trusted. Without graftling:

  kubectl get configmap RECEIPT -o jsonpath='{.data.receipt\\.yaml}' > receipt.yaml
  kubectl get configmap RECEIPT -o jsonpath='{.data.receipt\\.sig}' | base64 -d > receipt.sig
  kubectl -n graftling-system get configmap graftling-receipt-key -o jsonpath='{.data.ID\\.pem}' > key.pem
  openssl dgst -sha256 -verify key.pem -signature receipt.sig receipt.yaml";

/// Which receipt, and what it is checked with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The branch, the name of the environment, or that of the receipt's ConfigMap
    #[arg(value_name = "BRANCH", required_unless_present = "file", conflicts_with = "file")]
    wanted: Option<String>,
    /// The Project, where several have this branch
    #[arg(long, value_name = "NAME")]
    project: Option<ProjectName>,
    /// A file instead: the receipt's text, or its ConfigMap as kubectl prints it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The signature of that text, in base64 or as it is
    #[arg(long, value_name = "FILE", requires = "file")]
    signature: Option<PathBuf>,
    /// The public key, in PEM [default: the published one]
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// The ConfigMap that publishes the server's keys
    #[arg(
        long,
        value_name = "NAMESPACE/NAME",
        default_value = "graftling-system/graftling-receipt-key",
        env = "GRAFTLING_RECEIPT_KEYS",
        hide_env_values = true
    )]
    keys: Place,
    /// Look over the whole cluster once more, with your own rights, and say what is there now
    #[arg(long)]
    rescan: bool,
    /// Form of the output: table, json or yaml
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    output: Format,
    #[command(flatten)]
    cluster: Cluster,
}

/// A ConfigMap.
#[derive(Debug, Clone)]
struct Place {
    namespace: Namespace,
    name: ObjectName,
}

/// What is said of a receipt that is good.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict<'a> {
    verdict: &'static str,
    key: String,
    key_from: String,
    receipt: &'a FullReceipt,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Now>,
}

/// What is there now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Now {
    left: Vec<String>,
    mentions: Vec<String>,
    not_visible: Vec<String>,
    not_answering: Vec<String>,
}

/// A receipt and its signature, wherever they came from.
struct Subject {
    text: String,
    signature: Option<String>,
    access: Option<Access>,
}

/// Checks, and says what was checked with what.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut subject = subject(&arguments).await?;
    let receipt: FullReceipt = serde_saphyr::from_str(&subject.text).map_err(|error| VerifyError::Unreadable {
        problem: error.to_string().lines().next().unwrap_or_default().to_owned(),
    })?;
    if subject.access.is_none() && (arguments.rescan || arguments.public_key.is_none() && subject.signature.is_some()) {
        subject.access = Some(arguments.cluster.connect().await?.0);
    }
    if subject.signature.is_none() {
        let because = receipt.unsigned_because.as_deref().map(printable);
        return Err(VerifyError::Unsigned { because }.into());
    }
    let (key, key_from) = key(&arguments, &receipt, subject.access.as_ref()).await?;
    let key = judge(&subject.text, &receipt, subject.signature.as_deref(), &key)?;
    let now = match (&subject.access, arguments.rescan) {
        (Some(access), true) => Some(rescan(access, &receipt).await?),
        _ => None,
    };
    let verdict = Verdict {
        verdict: "good",
        key,
        key_from,
        receipt: &receipt,
        now,
    };
    print(&match arguments.output {
        Format::Json => json(&verdict)?,
        Format::Yaml => yaml(&verdict)?,
        Format::Table | Format::Name => words(&verdict),
    })?;
    Ok(())
}

async fn subject(arguments: &Arguments) -> anyhow::Result<Subject> {
    if let Some(file) = &arguments.file {
        return read_file(file, arguments.signature.as_deref());
    }
    let selection = Selection {
        wanted: arguments.wanted.clone().unwrap_or_default(),
        project: arguments.project.clone(),
        cluster: arguments.cluster.clone(),
    };
    let (access, found) = selection.find().await?;
    let kept = found.into_iter().next().map(|read| read.kept).context("there is no receipt")?;
    Ok(Subject {
        text: kept.text,
        signature: kept.signature,
        access: Some(access),
    })
}

fn read_file(file: &Path, signature: Option<&Path>) -> anyhow::Result<Subject> {
    let text = std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
    let signature = signature.map(|path| {
        let bytes = std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        // As the ConfigMap has it, or decoded for openssl.
        anyhow::Ok(String::from_utf8(bytes).unwrap_or_else(|error| BASE64.encode(error.as_bytes())))
    });
    let object: Option<serde_json::Value> = serde_saphyr::from_str(&text).ok();
    let data = object
        .filter(|object| object["kind"] == "ConfigMap")
        .map(|object| object["data"].clone());
    let from_object = |key: &str| data.as_ref().and_then(|data| data[key].as_str()).map(str::to_owned);
    Ok(Subject {
        signature: signature.transpose()?.or_else(|| from_object(SIGNATURE_KEY)),
        text: from_object(TEXT_KEY).unwrap_or(text),
        access: None,
    })
}

/// The key to check with, and where it came from.
async fn key(arguments: &Arguments, receipt: &FullReceipt, access: Option<&Access>) -> anyhow::Result<(PublicKey, String)> {
    if let Some(file) = &arguments.public_key {
        let text = std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
        return Ok((PublicKey::from_pem(&text)?, file.display().to_string()));
    }
    let place = format!("ConfigMap {}/{}", arguments.keys.namespace, arguments.keys.name);
    let id = receipt.signed_by.clone().unwrap_or_default();
    let published = match access {
        Some(access) => access.published_key(&arguments.keys.namespace, &arguments.keys.name, &id).await?,
        None => None,
    };
    let unknown = || VerifyError::UnknownKey {
        key: printable(&id),
        place: place.clone(),
    };
    let key = PublicKey::from_pem(&published.ok_or_else(unknown)?)?;
    Ok((key, place))
}

async fn rescan(access: &Access, receipt: &FullReceipt) -> anyhow::Result<Now> {
    let traces = Traces {
        environment: receipt.environment.clone(),
        environment_uid: receipt.uid.clone(),
        uids: receipt
            .objects
            .iter()
            .filter(|object| !object.is_kept())
            .filter_map(|object| object.uid.clone())
            .collect(),
    };
    let residue = access.residue(&traces).await?;
    let told = |proof: bool| {
        let traces = residue.traces.iter().filter(move |trace| trace.evidence.is_proof() == proof);
        traces.map(|trace| format!("{} {}", trace.key, trace.evidence)).collect()
    };
    Ok(Now {
        left: told(true),
        mentions: told(false),
        not_visible: residue.not_visible.clone(),
        not_answering: residue.not_answering.clone(),
    })
}

fn words(verdict: &Verdict<'_>) -> String {
    let receipt = verdict.receipt;
    let mut text = format!(
        "good: environment {} of branch {} (Project {})\nsigned by key {} of {}, completed {}\ncreated {}, removed {}, kept {}, left {}\n",
        printable(&receipt.environment),
        printable(&receipt.branch),
        printable(&receipt.project),
        verdict.key,
        verdict.key_from,
        receipt.completed_at.0,
        receipt.created,
        receipt.removed,
        receipt.kept,
        receipt.left.len(),
    );
    let Some(now) = &verdict.now else {
        return text;
    };
    text.push_str(&format!("now: {} left, {} mentions\n", now.left.len(), now.mentions.len()));
    for line in now.left.iter().chain(&now.mentions) {
        text.push_str(&format!("  {}\n", printable(line)));
    }
    if !now.not_visible.is_empty() {
        text.push_str(&format!("not visible to you: {}\n", printable(&now.not_visible.join(", "))));
    }
    if !now.not_answering.is_empty() {
        text.push_str(&format!("did not answer: {}\n", printable(&now.not_answering.join(", "))));
    }
    text
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = text.split_once('/').ok_or(PlaceError::Split)?;
        Ok(Self {
            namespace: namespace.parse()?,
            name: name.parse()?,
        })
    }
}

/// Not the place of a ConfigMap.
#[derive(Debug, thiserror::Error)]
enum PlaceError {
    #[error("must be NAMESPACE/NAME")]
    Split,
    #[error(transparent)]
    Parse(#[from] NameError),
}
