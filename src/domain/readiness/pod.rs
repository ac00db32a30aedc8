//! Pods, and the ways in which they do not start.

use serde_json::Value;

use super::condition::{condition, is_true, words};
use super::{Readiness, list, number, text};

pub(super) fn assess(body: &Value) -> Readiness {
    match text(body, "/status/phase") {
        Some("Succeeded") => Readiness::Ready,
        Some("Failed") => Readiness::failed(why_failed(body)),
        Some("Running") if is_true(body, "Ready") => Readiness::Ready,
        _ => trouble(body).unwrap_or_else(|| waiting(body)),
    }
}

/// What a container reports that does not go away by itself.
fn trouble(body: &Value) -> Option<Readiness> {
    let statuses = list(body, "/status/initContainerStatuses")
        .iter()
        .chain(list(body, "/status/containerStatuses"));
    statuses.into_iter().find_map(|status| {
        let name = text(status, "/name").unwrap_or("?");
        let image = text(status, "/image").unwrap_or("?");
        let reason = text(status, "/state/waiting/reason")?;
        let message = text(status, "/state/waiting/message").unwrap_or_default();
        let words = match reason {
            "CrashLoopBackOff" => format!("container {name} starts and ends again and again{}", last_end(status)),
            "ImagePullBackOff" | "ErrImagePull" => {
                format!("the image {image} of container {name} cannot be pulled: does it exist, and may the cluster read it?")
            }
            "InvalidImageName" => format!("{image:?} of container {name} is not the name of an image"),
            "ErrImageNeverPull" => format!("the image {image} of container {name} is not on the node, and must not be pulled"),
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                format!("container {name} cannot be started: {message}")
            }
            _ => return None,
        };
        Some(Readiness::failed(words))
    })
}

/// How the container ended the last time.
fn last_end(status: &Value) -> String {
    let ended = status.pointer("/lastState/terminated").unwrap_or(&Value::Null);
    match (text(ended, "/reason"), number(ended, "/exitCode")) {
        (Some("OOMKilled"), _) => ", last because it used more memory than its limit".to_owned(),
        (_, Some(code)) => format!(", last with exit code {code}"),
        _ => String::new(),
    }
}

fn why_failed(body: &Value) -> String {
    if let Some(message) = text(body, "/status/message").filter(|message| !message.is_empty()) {
        return message.to_owned();
    }
    let ended = list(body, "/status/containerStatuses").iter().find_map(|status| {
        let code = number(status, "/state/terminated/exitCode").filter(|code| *code != 0)?;
        Some(format!(
            "container {} ended with exit code {code}",
            text(status, "/name").unwrap_or("?")
        ))
    });
    ended
        .or_else(|| text(body, "/status/reason").map(str::to_owned))
        .unwrap_or_else(|| "has failed".to_owned())
}

fn waiting(body: &Value) -> Readiness {
    if let Some(scheduled) = condition(body, "PodScheduled").filter(|scheduled| text(scheduled, "/status") == Some("False")) {
        return Readiness::progressing(format!("waits for a node: {}", words(scheduled, "none fits")));
    }
    let unready: Vec<&str> = list(body, "/status/containerStatuses")
        .iter()
        .filter(|status| status.pointer("/ready").and_then(Value::as_bool) == Some(false))
        .filter_map(|status| text(status, "/name"))
        .collect();
    if unready.is_empty() {
        return Readiness::progressing("is starting");
    }
    Readiness::progressing(format!("waits for its containers: {}", unready.join(", ")))
}
