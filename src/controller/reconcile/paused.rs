//! An environment that nothing is applied to because somebody paused it, or its Project.

mod look;

use kube::runtime::controller::Action;

use super::{Pass, Reconciler, convert, now};
use crate::api::convert::environment::Identity;
use crate::api::convert::requests::{drifted, handled, open_request};
use crate::api::{Environment, EnvironmentStatus};
use crate::cluster;
use crate::domain::drift::sentence;
use crate::domain::run::request::Refusal;
use crate::metrics::ReconcileOutcome;

impl Reconciler {
    /// Says that nothing is applied, and what was changed by hand meanwhile; what is there, and the phase that it is in, stay as they are.
    pub(super) async fn suspended(&self, environment: &Environment, identity: &Identity) -> Result<Pass, cluster::Error> {
        let (whose, resume) = match environment.spec.suspend {
            true => ("this Environment".to_owned(), "graftling env resume".to_owned()),
            false => (
                format!("Project {}", identity.project.name),
                format!("setting spec.suspend of Project {} to false", identity.project.name),
            ),
        };
        let wish = self.wish_in_any_case(environment, identity).ok();
        let (drifts, inventory) = self.changed_by_hand(environment, identity, wish.as_ref()).await?;
        let message = format!("spec.suspend of {whose} is true; nothing is applied{}", sentence(&drifts));
        let mut status = convert::suspended(environment, identity, &message, &now());
        status.drift = drifted(&drifts);
        turn_away(
            environment,
            &mut status,
            &format!("the environment is paused: end that first, by {resume}"),
        );
        self.write_status(environment, &status).await?;
        Ok(Pass {
            action: Action::requeue(self.next_look(&inventory)),
            outcome: ReconcileOutcome::Settled,
        })
    }
}

/// Answers an open request where nothing may be asked for now. Left open, it would be acted on at a time that nobody expects.
pub(super) fn turn_away(environment: &Environment, status: &mut EnvironmentStatus, why: &str) {
    let Some(open) = open_request(&environment.spec, environment.status.as_ref()) else {
        return;
    };
    let now = now();
    status.request_handled = Some(match open {
        Ok(request) => {
            let refusal = Refusal::Closed { why: why.to_owned() };
            handled(&request.id, &Err::<String, _>(refusal), &now)
        }
        Err(unreadable) => {
            let id = unreadable.id.clone();
            handled(&id, &Err::<String, _>(unreadable), &now)
        }
    });
}
