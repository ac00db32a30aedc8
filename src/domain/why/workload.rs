//! What makes pods: pods that it was refused, jobs that failed, rollouts that stand still.

use serde_json::Value;

use super::scene::Subject;
use super::{Class, Explanation, Scene, refusal};
use crate::domain::readiness::{list, number, text};

/// What the unready workloads and the ReplicaSets below them say themselves.
pub(super) fn explain(scene: &Scene) -> Vec<Explanation> {
    let refused = scene.replica_sets.iter().filter_map(|set| of_replica_set(set, scene));
    let of_workloads = scene.unready.iter().filter_map(|body| of_workload(body, scene));
    refused.chain(of_workloads).collect()
}

/// A ReplicaSet that the cluster refuses pods: told under the Deployment's name.
fn of_replica_set(set: &Value, scene: &Scene) -> Option<Explanation> {
    let wanted = number(set, "/spec/replicas").unwrap_or_default();
    if number(set, "/status/replicas").unwrap_or_default() >= wanted {
        return None;
    }
    let owner = list(set, "/metadata/ownerReferences").first();
    let name = text(set, "/metadata/name").unwrap_or_default();
    let subject = match owner {
        Some(owner) => Subject::new(text(owner, "/kind")?, text(owner, "/name")?),
        None => Subject::new("ReplicaSet", name),
    };
    let told = condition(set, "ReplicaFailure").and_then(|condition| text(condition, "/message"));
    refusal::of_message(&subject, told.or_else(|| refused_pod(scene, "ReplicaSet", name))?)
}

/// The newest refusal of a pod, unless one was made after it.
fn refused_pod<'s>(scene: &'s Scene, kind: &str, name: &str) -> Option<&'s str> {
    let (reason, message) = scene.newest_event(kind, name, &["FailedCreate", "SuccessfulCreate"])?;
    (reason == "FailedCreate").then_some(message)
}

fn of_workload(body: &Value, scene: &Scene) -> Option<Explanation> {
    let subject = Subject::of(body);
    match subject.kind() {
        "Job" => of_job(body, &subject, scene),
        "Deployment" => of_deployment(body, &subject),
        "StatefulSet" | "DaemonSet" => {
            let lacks = match subject.kind() {
                "StatefulSet" => number(body, "/status/replicas").unwrap_or_default() < number(body, "/spec/replicas").unwrap_or(1),
                _ => {
                    let desired = number(body, "/status/desiredNumberScheduled").unwrap_or_default();
                    number(body, "/status/currentNumberScheduled").unwrap_or_default() < desired
                }
            };
            let message = refused_pod(scene, subject.kind(), subject.name()).filter(|_| lacks)?;
            refusal::of_message(&subject, message)
        }
        _ => None,
    }
}

fn of_job(body: &Value, subject: &Subject, scene: &Scene) -> Option<Explanation> {
    let failed = ["Failed", "FailureTarget"].iter().find_map(|kind| condition(body, kind));
    let Some(failed) = failed.filter(|failed| text(failed, "/status") == Some("True")) else {
        let runs = number(body, "/status/active").unwrap_or_default() > 0;
        let message = refused_pod(scene, "Job", subject.name()).filter(|_| !runs)?;
        return refusal::of_message(subject, message);
    };
    let message = text(failed, "/message").unwrap_or_default();
    let evidence = [format!("{}: {message}", subject.formal())];
    if text(failed, "/reason") == Some("DeadlineExceeded") {
        let most = number(body, "/spec/activeDeadlineSeconds");
        let most = most.map(|seconds| format!(" (more than {seconds} s)")).unwrap_or_default();
        let sentence = format!("{} was ended because it took too long{most}", subject.plain());
        let next = format!("make it faster, or raise spec.activeDeadlineSeconds of {}", subject.formal());
        return Some(Explanation::new(Class::DeadlineExceeded, subject, sentence, next).with_evidence(evidence));
    }
    let tries = number(body, "/status/failed").unwrap_or_default();
    let tries = match tries {
        0 | 1 => String::new(),
        more => format!(" {more} times"),
    };
    let sentence = format!("{} failed{tries}", subject.plain());
    let next = "see what it wrote, mend it, and push again".to_owned();
    Some(Explanation::new(Class::JobFailed, subject, sentence, next).with_evidence(evidence))
}

fn of_deployment(body: &Value, subject: &Subject) -> Option<Explanation> {
    let progressing = condition(body, "Progressing").filter(|condition| text(condition, "/reason") == Some("ProgressDeadlineExceeded"))?;
    let deadline = number(body, "/spec/progressDeadlineSeconds").unwrap_or(600);
    let sentence = format!("{} has made no progress for {deadline} s, and nothing tells why", subject.plain());
    let next = format!(
        "look whether {} can become ready at all; the version before it still serves",
        subject.formal()
    );
    let evidence = [format!(
        "{}: {}",
        subject.formal(),
        text(progressing, "/message").unwrap_or_default()
    )];
    Some(Explanation::new(Class::RolloutStuck, subject, sentence, next).with_evidence(evidence))
}

fn condition<'b>(body: &'b Value, kind: &str) -> Option<&'b Value> {
    list(body, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == Some(kind))
}
