//! What a status says of an environment that is coming up.

use crate::api::EnvironmentStatus;
use crate::api::environment::Phase;

/// Whether nothing but the words differ for what an environment waits for that is being deployed: no decision of a later pass is made by
/// them.
pub fn is_all(before: &EnvironmentStatus, after: &EnvironmentStatus) -> bool {
    after.phase == Some(Phase::Deploying) && without_words(before) == without_words(after)
}

fn without_words(status: &EnvironmentStatus) -> EnvironmentStatus {
    let mut status = status.clone();
    status.message = None;
    for condition in &mut status.conditions {
        condition.message.clear();
    }
    for stage in &mut status.stages {
        stage.message = None;
    }
    status
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

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
                last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            }],
            stages: vec![StageStatus {
                name: "deploy".to_owned(),
                state: "Running".to_owned(),
                message: Some(words.to_owned()),
                ..StageStatus::default()
            }],
            ..EnvironmentStatus::default()
        }
    }

    #[test]
    fn other_words_for_the_same_wait_are_progress() {
        assert!(is_all(&deploying("0 of 2 ready"), &deploying("1 of 2 ready")));
    }

    #[test]
    fn whatever_a_later_pass_decides_by_is_more_than_progress() {
        let before = deploying("0 of 2 ready");
        let changes: [fn(&mut EnvironmentStatus); 5] = [
            |status| status.phase = Some(Phase::Ready),
            |status| status.phase = Some(Phase::Failed),
            |status| status.stages[0].tries = 1,
            |status| status.conditions[0].reason = "Applying".to_owned(),
            |status| status.url = Some("https://a.example".to_owned()),
        ];
        for change in changes {
            let mut after = deploying("1 of 2 ready");
            change(&mut after);
            assert!(!is_all(&before, &after), "{after:?}");
        }
    }
}
