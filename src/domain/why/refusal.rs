//! What the API server says when it refuses an object, and what a controller tells when it was refused a pod.

use super::quantity;
use super::scene::Subject;
use super::{Class, Explanation};
use crate::domain::manifest::ObjectKey;
use crate::domain::outcome::{Failure, FailureClass};

/// Explains a write that failed; `None` for what passes by itself and says nothing of the object.
pub fn of_refusal(failure: &Failure) -> Option<Explanation> {
    let subject = subject(&failure.key);
    let message = failure.message.as_str();
    if let Some(explanation) = of_message(&subject, message) {
        return Some(explanation);
    }
    let explain = |class, sentence: String, next: String| {
        let evidence = [format!("{}: {message}", failure.key)];
        Some(Explanation::new(class, &subject, sentence, next).with_evidence(evidence))
    };
    let formal = subject.formal();
    let said = super::mask::masked_text(message);
    match failure.class {
        FailureClass::NamespaceEnding => explain(
            Class::NamespaceEnding,
            "the place of this environment is just being removed".to_owned(),
            "wait: it is made anew once it is gone".to_owned(),
        ),
        FailureClass::Rejected if message.contains("field is immutable") || message.contains("updates to statefulset spec") => explain(
            Class::InvalidObject,
            format!("{formal} cannot be changed in this way once it exists: {said}"),
            format!("undo the change, or give {formal} another name in the bundle so that it is made anew"),
        ),
        FailureClass::Rejected => explain(
            Class::InvalidObject,
            format!("the cluster refuses {formal} as it is written: {said}"),
            "correct the template and push again".to_owned(),
        ),
        FailureClass::Forbidden => explain(
            Class::Forbidden,
            format!("the account that deploys this project may not write {formal}: {said}"),
            "ask the platform team to give the deployer this right, or take the object out of the bundle".to_owned(),
        ),
        FailureClass::Conflict => explain(
            Class::Conflict,
            format!("somebody else decides about fields of {formal} as well: {said}"),
            "let one of the two go: take the fields out of the bundle, or stop the other".to_owned(),
        ),
        FailureClass::Transient | FailureClass::UnknownKind | FailureClass::NotOurs => None,
    }
}

fn subject(key: &ObjectKey) -> Subject {
    Subject::new(&key.kind, &key.name)
}

/// Explains what a refusal says about an object, or about the pods of it.
pub(super) fn of_message(subject: &Subject, message: &str) -> Option<Explanation> {
    let found = quota(subject, message)
        .or_else(|| limit_range(subject, message))
        .or_else(|| pod_security(subject, message))
        .or_else(|| webhook(subject, message))
        .or_else(|| account(subject, message))?;
    Some(found.with_evidence([format!("{}: {message}", subject.formal())]))
}

const ROOM: &str = "ask the platform team to raise spec.guardrails.quota of the Project; it goes on by itself once there is room";

/// `exceeded quota: NAME, requested: a=1,b=2, used: a=3,b=4, limited: a=4,b=5`, and `failed quota: NAME: must specify a,b`.
fn quota(subject: &Subject, message: &str) -> Option<Explanation> {
    if let Some((_, rest)) = message.split_once("failed quota: ") {
        let (_, fields) = rest.split_once("must specify ")?;
        let sentence = format!("{}: the environment's quota wants it to say how much it needs", cannot(subject));
        let fields: Vec<&str> = fields
            .split(';')
            .map(|part| part.split(" for").next().unwrap_or(part).trim())
            .collect();
        let fields = fields.join(", ");
        let next = format!(
            "set {} in resources of each container of {}",
            super::masked(&fields),
            subject.formal()
        );
        return Some(Explanation::new(Class::LimitsMissing, subject, sentence, next));
    }
    let (_, rest) = message.split_once("exceeded quota: ")?;
    let (name, rest) = rest.split_once(", requested: ")?;
    let (requested, rest) = rest.split_once(", used: ")?;
    let (used, limited) = rest.split_once(", limited: ")?;
    let amounts: Vec<String> = pairs(requested)
        .map(|(resource, asked)| {
            let of = |text: &'_ str| pairs(text).find(|(name, _)| *name == resource).map(|(_, amount)| amount.to_owned());
            let (limit, used) = (of(limited).unwrap_or_default(), of(used).unwrap_or_default());
            let left = quantity::left(&limit, &used).unwrap_or_else(|| "nothing".to_owned());
            format!("{} ({resource}), and {left} of {limit} is left", amount(asked, resource))
        })
        .collect();
    let sentence = format!(
        "{}: the environment's quota has no room for it: it asks for {}",
        cannot(subject),
        amounts.join("; ")
    );
    let whose = match name.starts_with("graftling-") {
        true => ROOM.to_owned(),
        false => format!("ask the platform team about the ResourceQuota {name}; it goes on by itself once there is room"),
    };
    let next = format!("lower replicas or resources of {}, or {whose}", subject.formal());
    Some(Explanation::new(Class::QuotaExceeded, subject, sentence, next))
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter_map(|pair| {
        let (name, amount) = pair.trim().split_once('=')?;
        // What we add to a message, as its place in the bundle, comes after a space.
        Some((name, amount.split_whitespace().next().unwrap_or_default()))
    })
}

/// `512Mi of memory`, `2 CPU`, `1 pods`.
fn amount(asked: &str, resource: &str) -> String {
    match resource.rsplit('.').next().unwrap_or_default() {
        "memory" => format!("{asked} of memory"),
        "storage" | "ephemeral-storage" => format!("{asked} of disk space"),
        "cpu" => format!("{asked} CPU"),
        other => format!("{asked} {}", other.strip_prefix("count/").unwrap_or(other)),
    }
}

/// Who runs cannot start; everything else cannot be made.
fn cannot(subject: &Subject) -> String {
    let runs = matches!(
        subject.kind(),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Pod" | "Job" | "CronJob"
    );
    format!("{} cannot {}", subject.plain(), if runs { "start" } else { "be made" })
}

/// `maximum memory usage per Container is 1Gi, but limit is 2Gi`, in a list where there are several.
fn limit_range(subject: &Subject, message: &str) -> Option<Explanation> {
    let start = ["maximum ", "minimum "].iter().filter_map(|word| message.find(word)).min()?;
    let rest = &message[start..];
    if !rest.contains(" usage per ") && !rest.contains("limit to request ratio") {
        return None;
    }
    let said: Vec<&str> = rest.trim_end_matches([']', '.']).split(", ").collect();
    let said = super::masked(&said.join(", "));
    let sentence = format!("{}: it asks for more or less than this environment allows: {said}", cannot(subject));
    let next = format!(
        "correct resources of the containers of {}, or ask the platform team to change spec.guardrails.limits of the Project",
        subject.formal()
    );
    Some(Explanation::new(Class::LimitRangeRefused, subject, sentence, next))
}

/// `violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "app" must set …), …`.
fn pod_security(subject: &Subject, message: &str) -> Option<Explanation> {
    let (_, rest) = message.split_once("violates PodSecurity ")?;
    let (level, violations) = rest.split_once(": ")?;
    let level = level.trim_matches('"').split(':').next().unwrap_or_default();
    let sentence = format!(
        "{} may not start: it asks for more rights than the level {level:?} of this environment allows: {}",
        subject.plain(),
        super::masked(violations)
    );
    let next = format!(
        "set securityContext of {} as it says, or ask the platform team about spec.guardrails.podSecurity of the Project",
        subject.formal()
    );
    Some(Explanation::new(Class::PodSecurityRefused, subject, sentence, next))
}

/// A webhook that did not answer, one that said no, and policies of the API server itself.
fn webhook(subject: &Subject, message: &str) -> Option<Explanation> {
    let quoted = |after: &str| {
        let (_, rest) = message.split_once(after)?;
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        Some(super::masked(rest[1..].split(quote).next()?))
    };
    if let Some(name) = quoted("failed calling webhook ") {
        let sentence = format!("the cluster cannot check {}: its check {name} does not answer", subject.formal());
        let next = "wait: it is tried again by itself; if it stays, ask the platform team about this webhook".to_owned();
        return Some(Explanation::new(Class::WebhookUnavailable, subject, sentence, next));
    }
    let (name, said) = match (quoted("admission webhook "), quoted("ValidatingAdmissionPolicy ")) {
        (Some(name), _) => (name, message.split_once("denied the request")?.1),
        (None, Some(name)) => (name, message.split_once("denied request")?.1),
        (None, None) => return None,
    };
    let said = super::masked(said.trim_start_matches([':', ' ']));
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let sentence = format!("a rule of the cluster ({name}) refuses {}{said}", subject.formal());
    let next = "change the template so that it keeps the rule, or ask the platform team about it".to_owned();
    Some(Explanation::new(Class::AdmissionRefused, subject, sentence, next))
}

/// `error looking up service account NAMESPACE/NAME: serviceaccount "NAME" not found`.
fn account(subject: &Subject, message: &str) -> Option<Explanation> {
    let (_, rest) = message.split_once("serviceaccount \"")?;
    let (name, rest) = rest.split_once('"')?;
    if !rest.trim_start().starts_with("not found") {
        return None;
    }
    let sentence = format!(
        "{} cannot start: the account {name} that it runs as does not exist",
        subject.plain()
    );
    let next = format!(
        "add ServiceAccount {name} to the bundle, or correct serviceAccountName of {}",
        subject.formal()
    );
    Some(Explanation::new(Class::AccountMissing, subject, sentence, next))
}
