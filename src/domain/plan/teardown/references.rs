//! Who still counts on the ServiceAccounts that are about to go, and on their names after that.

use super::retain::{Kept, leaving};
use super::{Next, TeardownPlan, Tier, View};
use crate::domain::inventory::{Entry, Inventory, Relation, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::name::EnvironmentName;
use crate::domain::plan::Obstacle;

/// What to do about a reference to an account that is about to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reaction {
    /// The account and its rights stay until the reference is gone.
    #[default]
    Block,
    /// The teardown goes on; the receipt lists the reference.
    Report,
}

/// What the Project decided about references to accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceRules {
    /// About bindings elsewhere.
    pub bindings: Reaction,
    /// About token Secrets that somebody else made for an account.
    pub tokens: Reaction,
    /// About annotations that name an identity of a cloud.
    pub cloud_identities: Reaction,
}

/// References as they were found. Bindings may name any account of the namespace: which of them matter is decided here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Bindings elsewhere that name an account of the namespace.
    pub bindings: Vec<Reference>,
    /// Secrets of the namespace that hold the token of an account.
    pub tokens: Vec<TokenSecret>,
    /// Annotations of accounts of the namespace.
    pub cloud_identities: Vec<CloudIdentity>,
}

/// A binding elsewhere: after the teardown it would hand its rights to a later account of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The binding.
    pub binding: ObjectKey,
    /// The binding's UID.
    pub uid: String,
    /// Whom it names.
    pub subject: Subject,
}

/// Whom a binding names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One ServiceAccount of the namespace.
    Account(String),
    /// All ServiceAccounts of the namespace, by their group.
    AllAccounts,
}

/// How bad a reference is that stays behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Rights in one other namespace.
    Medium,
    /// Rights in the whole cluster.
    High,
}

/// A Secret that holds an account's token: Kubernetes deletes it together with the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSecret {
    /// The Secret.
    pub secret: ObjectKey,
    /// The Secret's UID.
    pub uid: String,
    /// The account.
    pub account: String,
}

/// An annotation by which a cloud trusts an account. The trust is kept by the cloud, so it outlives the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudIdentity {
    /// The account.
    pub account: ObjectKey,
    /// The account's UID.
    pub uid: String,
    /// The annotation.
    pub annotation: String,
    /// Its value, which names an identity and is no secret; at most [`CloudIdentity::VALUE_LENGTH`] characters.
    pub value: String,
}

/// Annotations that name an identity of a cloud, and what holds the trust there. Another cloud is another line.
const CLOUD_IDENTITIES: [(&str, &str); 3] = [
    ("eks.amazonaws.com/role-arn", "the trust policy of the AWS IAM role"),
    ("iam.gke.io/gcp-service-account", "the IAM policy of the Google service account"),
    (
        "azure.workload.identity/client-id",
        "the federated credential of the Azure identity",
    ),
];

/// The account that Kubernetes makes in every namespace. It goes with the namespace, and a later namespace of that name has it again.
const DEFAULT_ACCOUNT: &str = "default";

// === Looking ===

/// The next step, if references have to be looked for or stand in the way.
///
/// They are looked for whenever rights or accounts are about to be deleted and, where there never were accounts of ours, before the
/// namespace goes: the group of its accounts and `default` can be named by bindings, too.
pub(super) fn guard(
    environment: &EnvironmentName,
    (inventory, leaving): (&Inventory, &Inventory),
    view: &View,
    rules: &ReferenceRules,
) -> Option<Next> {
    if !is_due(inventory, leaving, view) {
        return None;
    }
    let Some(references) = &view.references else {
        return Some(Next::LookForReferences);
    };
    let relevant = relevant_of(environment, (inventory, leaving), view, references);
    let obstacles = obstacles(&relevant, rules);
    (!obstacles.is_empty()).then_some(Next::Blocked(obstacles))
}

/// Whether something is about to go that references could be about: without the namespace the accounts are gone already, and while
/// something of a tier only ends, there is nothing to decide.
fn is_due(inventory: &Inventory, leaving: &Inventory, view: &View) -> bool {
    let mut present = inventory.present();
    if !present.any(|(key, _)| key.kind == "Namespace" && view.observed.contains_key(key)) {
        return false;
    }
    for tier in [Tier::Access, Tier::Identity] {
        let of_tier = |(key, entry): &(&ObjectKey, &Entry)| Tier::of_entry(key, entry) == tier;
        let live: Vec<_> = leaving
            .present()
            .filter(of_tier)
            .filter_map(|(key, _)| view.observed.get(key))
            .collect();
        if !live.is_empty() {
            return live.iter().any(|live| live.deletion.is_none());
        }
    }
    let is_account = |(key, entry): (&ObjectKey, &Entry)| Tier::of_entry(key, entry) == Tier::Identity;
    // Whether the namespace goes is known only once somebody has looked for what is kept in it.
    view.foreign.is_some() && loses_namespace(leaving) && !leaving.iter().any(is_account)
}

fn loses_namespace(leaving: &Inventory) -> bool {
    leaving.iter().any(|(key, _)| key.kind == "Namespace")
}

/// What of `references` is about this environment's accounts and was not made by itself.
pub fn relevant(environment: &EnvironmentName, plan: &TeardownPlan, view: &View, references: &References) -> References {
    let leaving = leaving(&plan.inventory, &plan.kept);
    relevant_of(environment, (&plan.inventory, &leaving), view, references)
}

fn relevant_of(
    environment: &EnvironmentName,
    (inventory, leaving): (&Inventory, &Inventory),
    view: &View,
    references: &References,
) -> References {
    let is_ours = |key: &ObjectKey| {
        let live = inventory.get(key).zip(view.observed.get(key));
        live.is_some_and(|(entry, live)| entry.relation(live, environment.as_str()) == Relation::Ours)
    };
    let accounts: Vec<&ObjectKey> = accounts(leaving).map(|(key, _)| key).filter(|key| is_ours(key)).collect();
    let is_recorded = |key: &ObjectKey, uid: &str| inventory.get(key).is_some_and(|entry| entry.uid.as_deref() == Some(uid));
    let names_one = |secret: &&TokenSecret| accounts.iter().any(|key| key.name == secret.account);
    References {
        bindings: dangling_of((inventory, leaving), &references.bindings),
        tokens: references
            .tokens
            .iter()
            .filter(names_one)
            .filter(|token| !is_recorded(&token.secret, &token.uid))
            .cloned()
            .collect(),
        cloud_identities: references
            .cloud_identities
            .iter()
            .filter(|identity| is_recorded(&identity.account, &identity.uid) && leaving.get(&identity.account).is_some())
            .cloned()
            .collect(),
    }
}

/// Of `bindings` those that name an account which this environment loses, or with its namespace `default` or all accounts of it, and
/// that the environment did not bring itself; the gravest first.
pub fn dangling(inventory: &Inventory, kept: &[Kept], bindings: &[Reference]) -> Vec<Reference> {
    dangling_of((inventory, &leaving(inventory, kept)), bindings)
}

fn dangling_of((inventory, leaving): (&Inventory, &Inventory), bindings: &[Reference]) -> Vec<Reference> {
    let is_account = |name: &str| accounts(leaving).any(|(key, _)| key.name == name);
    let names_ours = |subject: &Subject| match subject {
        Subject::AllAccounts => loses_namespace(leaving),
        Subject::Account(name) => is_account(name) || (name == DEFAULT_ACCOUNT && loses_namespace(leaving)),
    };
    let is_own = |reference: &Reference| {
        let entry = inventory.get(&reference.binding);
        entry.is_some_and(|entry| entry.uid.as_deref() == Some(reference.uid.as_str()))
    };
    let mut dangling: Vec<_> = bindings
        .iter()
        .filter(|reference| names_ours(&reference.subject) && !is_own(reference))
        .cloned()
        .collect();
    dangling.sort_by_key(|reference| reference.severity() != Severity::High);
    dangling
}

/// The accounts that the environment's bundle ever brought and that came into being.
pub(super) fn accounts(inventory: &Inventory) -> impl Iterator<Item = (&ObjectKey, &str)> {
    let of_bundle = |(_, entry): &(&ObjectKey, &Entry)| entry.stage == Stage::Deploy;
    let is_account = |(key, _): &(&ObjectKey, &Entry)| key.group.is_empty() && key.kind == "ServiceAccount";
    let created = inventory.iter().filter(of_bundle).filter(is_account);
    created.filter_map(|(key, entry)| Some((key, entry.uid.as_deref()?)))
}

fn obstacles(relevant: &References, rules: &ReferenceRules) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    if rules.bindings == Reaction::Block {
        obstacles.extend(relevant.bindings.iter().map(Reference::obstacle));
    }
    if rules.tokens == Reaction::Block {
        obstacles.extend(relevant.tokens.iter().map(TokenSecret::obstacle));
    }
    if rules.cloud_identities == Reaction::Block {
        obstacles.extend(relevant.cloud_identities.iter().map(CloudIdentity::obstacle));
    }
    obstacles
}

// === impl ReferenceRules ===

impl Default for ReferenceRules {
    /// Blocks where the cluster holds what is left, and only reports what a cloud holds: there graftling cannot see whether the trust is
    /// still there.
    fn default() -> Self {
        Self {
            bindings: Reaction::Block,
            tokens: Reaction::Block,
            cloud_identities: Reaction::Report,
        }
    }
}

// === impl Reference ===

impl Reference {
    /// How bad it is if it stays.
    pub fn severity(&self) -> Severity {
        match self.binding.namespace {
            None => Severity::High,
            Some(_) => Severity::Medium,
        }
    }

    fn obstacle(&self) -> Obstacle {
        let place = self.binding.namespace.as_ref();
        let place = place.map(|namespace| format!("in Namespace {namespace} ")).unwrap_or_default();
        obstacle(
            &self.binding,
            format!(
                "{place}gives its rights to {} of this environment, and would give them to whoever gets that name later; remove the binding or \
                 this subject of it, or set policy.references.bindings of the Project to Report",
                self.subject
            ),
        )
    }
}

// === impl Severity ===

impl Severity {
    /// The severity in a receipt.
    pub fn name(self) -> &'static str {
        match self {
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

// === impl TokenSecret ===

impl TokenSecret {
    fn obstacle(&self) -> Obstacle {
        obstacle(
            &self.secret,
            format!(
                "holds a token of ServiceAccount {} and would be deleted together with it, but graftling did not create it; remove the \
                 Secret, or set policy.references.tokens of the Project to Report",
                self.account
            ),
        )
    }
}

// === impl CloudIdentity ===

impl CloudIdentity {
    /// The longest value, in characters.
    pub const VALUE_LENGTH: usize = 300;

    /// The identities that an account with these annotations has in clouds.
    pub fn of<'a>(account: &ObjectKey, uid: &str, annotations: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<Self> {
        let known = |(name, _): &(&String, &String)| CLOUD_IDENTITIES.iter().any(|(annotation, _)| annotation == name);
        let named = annotations.into_iter().filter(known);
        named
            .map(|(annotation, value)| Self {
                account: account.clone(),
                uid: uid.to_owned(),
                annotation: annotation.clone(),
                value: value.chars().filter(|c| !c.is_control()).take(Self::VALUE_LENGTH).collect(),
            })
            .collect()
    }

    fn obstacle(&self) -> Obstacle {
        let known = CLOUD_IDENTITIES.iter().find(|(annotation, _)| *annotation == self.annotation);
        let trust = known.map_or("the trust of the cloud", |(_, trust)| trust);
        obstacle(
            &self.account,
            format!(
                "has an identity in a cloud by its annotation {} ({}), and {trust} would fall to a later account of that name; remove the \
                 trust, then take the annotation off the account, or set policy.references.cloudIdentities of the Project to Report",
                self.annotation, self.value
            ),
        )
    }
}

fn obstacle(key: &ObjectKey, reason: String) -> Obstacle {
    Obstacle {
        key: key.clone(),
        reason,
        stage: Stage::Deploy,
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account(name) => write!(formatter, "ServiceAccount {name}"),
            Self::AllAccounts => formatter.write_str("every ServiceAccount"),
        }
    }
}
