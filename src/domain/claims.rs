//! What a cluster has only once, who wants it, and who has it: hosts, ports, addresses, volumes, and classes by name.

mod extract;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::inventory::Inventory;
use super::manifest::{GroupKind, Manifest, ObjectKey};
use super::name::EnvironmentName;
use extract::claims_of;
pub use extract::holders_of;

/// Something that the cluster has only once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// A host name, in lower case.
    Host(String),
    /// A port of every node.
    NodePort(u64),
    /// A port of one node, with its protocol.
    HostPort(u64, String),
    /// The address of a load balancer.
    Address(String),
    /// A PersistentVolume.
    Volume(String),
    /// A class, which must be there rather than free.
    Class(Kind, String),
}

/// A kind of objects that claims are found in: group, version and kind.
pub type Kind = (&'static str, &'static str, &'static str);

const INGRESS: Kind = ("networking.k8s.io", "v1", "Ingress");
const ROUTES: [Kind; 4] = [
    ("gateway.networking.k8s.io", "v1", "Gateway"),
    ("gateway.networking.k8s.io", "v1", "GRPCRoute"),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute"),
    ("gateway.networking.k8s.io", "v1alpha2", "TLSRoute"),
];
const SERVICE: Kind = ("", "v1", "Service");
const POD: Kind = ("", "v1", "Pod");
const VOLUME: Kind = ("", "v1", "PersistentVolume");
const VOLUME_CLAIM: Kind = ("", "v1", "PersistentVolumeClaim");

/// A claim of an object that is about to be applied.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The object.
    pub manifest: &'a Manifest,
    /// What it claims.
    pub claim: Claim,
}

/// A live object and what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The object.
    pub key: ObjectKey,
    /// The environment that it belongs to; `None` for what graftling did not create.
    pub environment: Option<String>,
    /// What it has.
    pub claims: BTreeSet<Claim>,
}

/// What was found in the cluster: the objects of each kind that could be listed.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    holders: Vec<Holder>,
    names: BTreeMap<Kind, BTreeSet<String>>,
}

/// A claim that cannot be granted.
#[derive(Debug, Clone)]
pub struct Conflict<'a> {
    /// What is wanted.
    pub wanted: Wanted<'a>,
    /// Who has it, or why it cannot be had.
    pub obstacle: Taken,
}

/// Why a claim cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Somebody else has it.
    By(Holder),
    /// There is no such class; these are there.
    Missing(BTreeSet<String>),
}

/// Why nothing is applied, in the words of a status. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The machine-readable reason.
    pub reason: &'static str,
    /// What is wrong and where.
    pub message: String,
}

/// What the objects claim that are new, or not as they were applied last. What the bundle itself brings is no claim.
pub fn new_claims<'a>(manifests: &'a [Manifest], inventory: &Inventory) -> Vec<Wanted<'a>> {
    let is_applied = |manifest: &Manifest| {
        let entry = inventory.get(&manifest.key).filter(|entry| entry.uid.is_some());
        entry.is_some_and(|entry| entry.is_of(&manifest.recorded_digest()))
    };
    let brings = |claim: &Claim| match claim {
        Claim::Class((group, _, kind), name) => manifests
            .iter()
            .any(|manifest| manifest.key.group == *group && manifest.key.kind == *kind && manifest.key.name == *name),
        _ => false,
    };
    manifests
        .iter()
        .filter(|manifest| !is_applied(manifest))
        .flat_map(|manifest| {
            let claims = claims_of(&manifest.key, &manifest.body).into_iter();
            claims.map(move |claim| Wanted { manifest, claim })
        })
        .filter(|wanted| !brings(&wanted.claim))
        .collect()
}

/// Whether objects of a kind are claimed by so many environments that they are watched rather than listed.
pub fn is_watched(kind: Kind) -> bool {
    kind == INGRESS || ROUTES.contains(&kind)
}

/// The kinds that have to be looked at to judge claims, each once.
pub fn kinds_to_look_at(wanted: &[Wanted<'_>]) -> BTreeSet<Kind> {
    let mut kinds = BTreeSet::new();
    for Wanted { manifest, claim } in wanted {
        match claim {
            Claim::Host(_) => {
                kinds.insert(INGRESS);
                kinds.extend(ROUTES);
                if manifest.key.kind == SERVICE.2 {
                    kinds.insert(SERVICE);
                }
            }
            Claim::NodePort(_) | Claim::Address(_) => drop(kinds.insert(SERVICE)),
            Claim::HostPort(..) => drop(kinds.insert(POD)),
            Claim::Volume(_) => kinds.extend([VOLUME, VOLUME_CLAIM]),
            Claim::Class(kind, _) => drop(kinds.insert(*kind)),
        }
    }
    kinds
}

impl Standing {
    /// Takes in what a listing of `kind` gave: the objects' names, and what they have.
    pub fn add(&mut self, kind: Kind, names: impl IntoIterator<Item = String>, holders: impl IntoIterator<Item = Holder>) {
        self.names.entry(kind).or_default().extend(names);
        self.holders.extend(holders);
    }
}

/// The claims that cannot be granted to an environment. A kind that could not be listed stands in nobody's way.
pub fn conflicts<'a>(environment: &EnvironmentName, wanted: &[Wanted<'a>], standing: &Standing) -> Vec<Conflict<'a>> {
    let is_other = |holder: &&Holder| {
        let here = holder.key.namespace.as_deref() == Some(environment.as_str());
        !here && holder.environment.as_deref() != Some(environment.as_str())
    };
    let obstacle = |claim: &Claim| match claim {
        Claim::Class(kind, name) => {
            let names = standing.names.get(kind)?;
            (!names.contains(name)).then(|| Taken::Missing(names.clone()))
        }
        _ => {
            let mut others = standing.holders.iter().filter(is_other);
            others.find(|holder| holder.claims.contains(claim)).cloned().map(Taken::By)
        }
    };
    wanted
        .iter()
        .filter_map(|wanted| {
            Some(Conflict {
                obstacle: obstacle(&wanted.claim)?,
                wanted: wanted.clone(),
            })
        })
        .collect()
}

/// Conflicts as the reason why nothing is applied; `None` without any.
pub fn objection(conflicts: &[Conflict<'_>]) -> Option<Objection> {
    let first = conflicts.first()?;
    let texts: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
    Some(Objection {
        reason: first.wanted.claim.reason(),
        message: texts.join("; "),
    })
}

impl Claim {
    /// The reason of a refusal of this claim.
    fn reason(&self) -> &'static str {
        match self {
            Self::Host(_) => "HostTaken",
            Self::NodePort(_) | Self::HostPort(..) => "PortTaken",
            Self::Address(_) => "AddressTaken",
            Self::Volume(_) => "VolumeTaken",
            Self::Class(..) => "ClassUnknown",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(formatter, "host {host:?}"),
            Self::NodePort(port) => write!(formatter, "node port {port}"),
            Self::HostPort(port, protocol) => write!(formatter, "host port {port}/{protocol}"),
            Self::Address(address) => write!(formatter, "address {address}"),
            Self::Volume(name) => write!(formatter, "PersistentVolume {name:?}"),
            Self::Class((_, _, kind), name) => write!(formatter, "{kind} {name:?}"),
        }
    }
}

impl fmt::Display for Conflict<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted { manifest, claim } = &self.wanted;
        write!(formatter, "{}: {}: {claim} ", manifest.source, manifest.key)?;
        match &self.obstacle {
            Taken::By(holder) => write!(formatter, "is taken by {holder}"),
            Taken::Missing(names) if names.is_empty() => formatter.write_str("does not exist; the cluster has none of this kind"),
            Taken::Missing(names) => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                write!(formatter, "does not exist; there are: {}", names.join(", "))
            }
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = GroupKind::of(&self.key).kind;
        write!(formatter, "{kind} ")?;
        if let Some(namespace) = &self.key.namespace {
            write!(formatter, "{namespace}/")?;
        }
        formatter.write_str(&self.key.name)?;
        match &self.environment {
            Some(environment) => write!(formatter, " of environment {environment}"),
            None => formatter.write_str(", which graftling did not create"),
        }
    }
}
