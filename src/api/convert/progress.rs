//! What a status says of an environment that is coming up.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use crate::api::EnvironmentStatus;
use crate::api::environment::{Phase, StoredInventory};
use crate::domain::inventory::Stage;

/// The reasons of an environment that comes up and has met with nothing. Any other is told at once, and what it says of another try holds.
const ON_THE_WAY: [&str; 2] = ["Applying", "Waiting"];

/// Whether an environment that is being deployed has only come further up: whatever a later pass decides by and could not find out again
/// is the same. So it may be told later, and is no loss.
pub fn is_all(before: &EnvironmentStatus, after: &EnvironmentStatus) -> bool {
    after.phase == Some(Phase::Deploying) && decisive(before) == decisive(after)
}

/// What the live objects do not say, as it is stored: times have no fractions of a second there. The live objects say who owns the
/// namespace, what was written of the inventory, and how far it is.
fn decisive(status: &EnvironmentStatus) -> Option<Value> {
    let mut status = EnvironmentStatus {
        message: None,
        namespace: None,
        revision: None,
        inventory: StoredInventory::default(),
        ..status.clone()
    };
    for condition in &mut status.conditions {
        if ON_THE_WAY.contains(&condition.reason.as_str()) {
            condition.reason.clear();
        }
        condition.message.clear();
        condition.last_transition_time = Time(Timestamp::UNIX_EPOCH);
    }
    if let Some(run) = &mut status.run {
        run.changed = 0;
        run.objects.clear();
    }
    status.stages.retain(|stage| !Stage::is_before_the_bundle(&stage.name));
    for stage in &mut status.stages {
        stage.message = None;
    }
    serde_json::to_value(status).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a time that cannot be read is the test's failure")]

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

    use super::*;
    use crate::api::environment::run::StageStatus;

    fn deploying(words: &str) -> EnvironmentStatus {
        EnvironmentStatus {
            phase: Some(Phase::Deploying),
            message: Some(words.to_owned()),
            conditions: vec![Condition {
                type_: "Progressing".to_owned(),
                status: "True".to_owned(),
                reason: "Waiting".to_owned(),
                message: words.to_owned(),
                observed_generation: None,
                last_transition_time: Time(Timestamp::UNIX_EPOCH),
            }],
            stages: vec![StageStatus {
                name: "deploy".to_owned(),
                state: "Running".to_owned(),
                message: Some(words.to_owned()),
                since: Some(Time("2026-01-01T00:00:00Z".parse().unwrap())),
                ..StageStatus::default()
            }],
            ..EnvironmentStatus::default()
        }
    }

    #[test]
    fn what_the_live_objects_say_is_progress() {
        let before = deploying("0 of 2 ready");
        let changes: [fn(&mut EnvironmentStatus); 6] = [
            |status| status.stages[0].since = Some(Time("2026-01-01T00:00:00.7Z".parse().unwrap())),
            |status| status.message = Some("1 of 2 ready".to_owned()),
            |status| status.conditions[0].reason = "Applying".to_owned(),
            |status| status.stages[0].message = Some("1 of 2 ready".to_owned()),
            |status| {
                let namespace = StageStatus {
                    name: "namespace".to_owned(),
                    state: "Ready".to_owned(),
                    ..StageStatus::default()
                };
                status.stages.insert(0, namespace);
            },
            |status| status.revision.get_or_insert_default().applied = Some("a".repeat(40)),
        ];
        for change in changes {
            let mut after = before.clone();
            change(&mut after);
            assert!(is_all(&before, &after), "{after:?}");
        }
    }

    #[test]
    fn whatever_a_later_pass_decides_by_is_more_than_progress() {
        let before = deploying("0 of 2 ready");
        let changes: [fn(&mut EnvironmentStatus); 9] = [
            |status| status.conditions[0].reason = "Throttled".to_owned(),
            |status| status.phase = Some(Phase::Ready),
            |status| status.phase = Some(Phase::Failed),
            |status| status.conditions[0].status = "False".to_owned(),
            |status| status.stages[0].tries = 1,
            |status| status.stages[0].state = "Succeeded".to_owned(),
            |status| status.resting = true,
            |status| status.once.extend(["seed".to_owned()]),
            |status| status.url = Some("https://a.example".to_owned()),
        ];
        for change in changes {
            let mut after = deploying("1 of 2 ready");
            change(&mut after);
            assert!(!is_all(&before, &after), "{after:?}");
        }
    }

    #[test]
    fn what_was_not_being_deployed_begins_to_be() {
        let mut before = deploying("0 of 2 ready");
        before.phase = Some(Phase::Ready);
        assert!(!is_all(&before, &deploying("0 of 2 ready")));
    }
}
