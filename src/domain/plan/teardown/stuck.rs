//! Deletions that do not end: from when on they count as stuck, and who should have ended them.

use std::time::Duration;

use super::Next;
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::Deletion;
use crate::domain::plan::Waiting;

/// What does not end within this time, by the API server's clock, is told as stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Where a watch wakes the environment, the next look by the clock is only for a wake-up that got lost.
const WATCHED: Duration = Duration::from_secs(15);

/// No watch shows what bears no label of ours or may not be listed: soon at first, then less and less often.
const UNWATCHED: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// How many objects a status names.
pub const NAMED: usize = 20;

/// An object that does not end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Which object.
    pub key: ObjectKey,
    /// What it waits for.
    pub finalizers: Vec<String>,
    /// Since when, as Kubernetes writes it.
    pub since: String,
    /// Who should have ended it, and what is known of them.
    pub cause: String,
}

/// What is known of those who should end a deletion. All of it was asked for when something was stuck, and not before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// API groups of custom resources, each with whether its definition is being deleted; `None` if they may not be listed.
    pub definitions: Option<Vec<Definition>>,
    /// Aggregated APIs that do not answer, with the reason.
    pub dead_apis: Vec<(String, String)>,
    /// Conditions of the ending namespace that hold, as `Type: message`.
    pub conditions: Vec<String>,
}

/// The definition of a custom resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name: `<plural>.<group>`.
    pub name: String,
    /// Whether it is being deleted itself.
    pub ending: bool,
}

/// What a plan waits for.
pub fn waiting(next: &Next) -> &[Waiting] {
    match next {
        Next::Drain { waiting, .. } => waiting,
        Next::AwaitNamespace(waiting) => std::slice::from_ref(waiting),
        _ => &[],
    }
}

/// When to look again at something that has been ending for `age`; unknown without the server's clock. Whether it is stuck is looked at
/// when it becomes so, not a fallback later.
pub fn patience(age: Option<Duration>, watched: bool) -> Duration {
    let Some(age) = age else {
        return if watched { WATCHED } else { UNWATCHED.1 };
    };
    let fallback = if watched {
        WATCHED
    } else {
        (age / 2).clamp(UNWATCHED.0, UNWATCHED.1)
    };
    match STUCK_AFTER.checked_sub(age) {
        Some(left) if !left.is_zero() => fallback.min(left + Duration::from_millis(200)),
        _ => fallback,
    }
}

/// The entry of a status for one object.
pub fn stuck(key: &ObjectKey, deletion: &Deletion, surroundings: &Surroundings) -> Stuck {
    let mut causes: Vec<_> = deletion.finalizers.iter().map(|finalizer| who(finalizer, surroundings)).collect();
    causes.extend(definition_of(key, surroundings));
    if key.kind == "Namespace" && key.group.is_empty() {
        causes.extend(of_namespace(surroundings));
    }
    if causes.is_empty() {
        causes.push("nothing holds it any more: whoever ends it has not got to it".to_owned());
    }
    Stuck {
        key: key.clone(),
        finalizers: deletion.finalizers.clone(),
        since: deletion.since.clone(),
        cause: causes.join("; "),
    }
}

/// Who takes a finalizer off, in words.
fn who(finalizer: &str, surroundings: &Surroundings) -> String {
    let known = match finalizer {
        "kubernetes.io/pvc-protection" => "a Pod still uses the claim",
        "kubernetes.io/pv-protection" => "a claim is still bound to the volume",
        "service.kubernetes.io/load-balancer-cleanup" => "the cloud's load balancer controller has not removed the load balancer",
        "foregroundDeletion" => "its dependents are not gone yet",
        "orphan" => "the garbage collector has not released its dependents",
        "batch.kubernetes.io/job-tracking" => "the Job controller has not counted the Pod",
        "customresourcecleanup.apiextensions.k8s.io" => "objects of the kind are not gone yet",
        "kubernetes" => "the namespace controller has not emptied it",
        _ => return format!("{finalizer} is taken off by {}", controller_of(finalizer, surroundings)),
    };
    format!("{finalizer}: {known}")
}

/// The controller behind a finalizer such as `databases.example.com/backup`, by the API group that its domain names.
fn controller_of(finalizer: &str, surroundings: &Surroundings) -> String {
    let Some((domain, _)) = finalizer.split_once('/') else {
        return "whoever set it; its name has no domain that would say who".to_owned();
    };
    let Some(definitions) = &surroundings.definitions else {
        return format!("a controller of {domain}");
    };
    let group_of = |definition: &Definition| definition.name.split_once('.').map(|(_, group)| group.to_owned());
    let related = |group: &String| group == domain || is_below(group, domain) || is_below(domain, group);
    match definitions.iter().filter_map(group_of).find(related) {
        Some(group) => {
            format!("a controller of {domain}; the custom resources of {group} are installed, so it may run no more or lack rights")
        }
        None => format!("a controller of {domain}; no custom resource of {domain} is installed, so the controller is probably gone"),
    }
}

fn is_below(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

/// What became of the definition of a custom resource.
fn definition_of(key: &ObjectKey, surroundings: &Surroundings) -> Option<String> {
    if super::Tier::of(key) != super::Tier::Custom {
        return None;
    }
    let definitions = surroundings.definitions.as_ref()?;
    let of_kind = |definition: &&Definition| {
        let (plural, group) = definition.name.split_once('.').unwrap_or_default();
        // Plurals follow the kind but for their end.
        let stem: String = key.kind.to_lowercase().chars().take(key.kind.len().saturating_sub(1)).collect();
        group == key.group && plural.starts_with(&stem)
    };
    let definition = definitions.iter().find(of_kind)?;
    definition.ending.then(|| {
        format!(
            "CustomResourceDefinition {} is being deleted as well and waits for this object",
            definition.name
        )
    })
}

fn of_namespace(surroundings: &Surroundings) -> Vec<String> {
    let dead = surroundings.dead_apis.iter().map(|(name, reason)| {
        format!("APIService {name} does not answer ({reason}): no namespace can end while it is registered; repair its server or delete it")
    });
    dead.chain(surroundings.conditions.iter().cloned()).collect()
}

/// All of what is stuck in one message that stays the same as long as nothing changes: it says since when, not for how long.
pub fn sentence(stuck: &[Stuck]) -> String {
    let first = stuck.first().map(|stuck| {
        let finalizers = match stuck.finalizers.is_empty() {
            true => String::new(),
            false => format!(" (finalizers: {})", stuck.finalizers.join(", ")),
        };
        format!("{} does not end since {}{finalizers}: {}", stuck.key, stuck.since, stuck.cause)
    });
    let mut others: Vec<_> = stuck.iter().skip(1).take(4).map(|stuck| stuck.key.to_string()).collect();
    if stuck.len() > 5 {
        others.push(format!("{} more", stuck.len() - 5));
    }
    match (first, others.is_empty()) {
        (None, _) => String::new(),
        (Some(first), true) => first,
        (Some(first), false) => format!("{first}; also {}", others.join(", ")),
    }
}

/// The webhook that an error of the API server names: `failed calling webhook "NAME": …`.
pub fn failed_webhook(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("failed calling webhook \"")?;
    rest.split_once('"').map(|(name, _)| name)
}
