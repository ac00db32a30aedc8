//! What somebody asked for by hand, taken into the run of a pass.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::records::Recorded as Stored;
use super::{Past, Reconciler, Site, Work};
use crate::api::convert::requests::{handled, open_request};
use crate::api::environment::Environment;
use crate::cluster;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::record::is_record;
use crate::domain::run::request::{Answer, Effect, Known, Recorded, Request, Rollback, answer};
use crate::domain::run::{Source, Wished, begin};

/// Why a request that could be understood comes to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unable(String);

impl Reconciler {
    /// Acts on the open request of an environment, if there is one. What came of it is stored in the same write as the run that it changed.
    pub(in crate::controller::reconcile) async fn take_request(
        &self,
        environment: &Environment,
        site: &Site<'_>,
        work: Work,
        inventory: &Inventory,
    ) -> Result<Work, cluster::Error> {
        let Some(open) = open_request(&environment.spec, environment.status.as_ref()) else {
            return Ok(work);
        };
        let now = Time(site.now);
        let request = match open {
            Ok(request) => request,
            Err(unreadable) => {
                let id = unreadable.id.clone();
                return Ok(Work {
                    handled: Some(handled(&id, &Err::<String, _>(unreadable), &now)),
                    ..work
                });
            }
        };
        let keys: Vec<ObjectKey> = inventory
            .present()
            .map(|(key, _)| key.clone())
            .filter(|key| !is_record(key))
            .collect();
        let records = recorded(&work.past);
        let known = Known {
            stages: &work.staged.stages,
            // A run that begins with this very pass has done nothing yet.
            run: (!work.is_new).then_some(&work.run),
            records: &records,
            objects: &keys,
            closed: None,
        };
        match answer(&request, &known, site.now) {
            Ok(granted) => self.grant(site, work, inventory, (&request, granted)).await,
            Err(refusal) => Ok(Work {
                handled: Some(handled(&request.id, &Err::<String, _>(refusal), &now)),
                ..work
            }),
        }
    }

    async fn grant(
        &self,
        site: &Site<'_>,
        mut work: Work,
        inventory: &Inventory,
        (request, Answer { effect, told }): (&Request, Answer),
    ) -> Result<Work, cluster::Error> {
        let mut outcome = Ok::<_, Unable>(told);
        match effect {
            Effect::Run { run, forget } => {
                work.run = run;
                work.once.retain(|stage| Some(stage) != forget.as_ref());
            }
            Effect::Sync(only) => work.only = Some(only),
            Effect::Rollback(rollback) => match self.recorded(site, inventory, rollback.to).await? {
                Stored::Found(staged) => work = roll_back(site, work, &rollback, *staged),
                Stored::Unusable(why) => outcome = Err(Unable(why)),
            },
        }
        work.handled = Some(handled(&request.id, &outcome, &Time(site.now)));
        Ok(work)
    }
}

/// The runs of the past that can be put back.
fn recorded(past: &[Past]) -> Vec<Recorded> {
    let good = past.iter().filter(|past| past.was_good);
    good.map(|past| Recorded {
        run: past.run,
        revision: past.revision.clone(),
    })
    .collect()
}

fn roll_back(site: &Site<'_>, work: Work, rollback: &Rollback, staged: crate::domain::run::Staged) -> Work {
    // It stands for what is wished now until something else is wished.
    let wished = Wished {
        revision: site.identity.revision.to_string(),
        digest: work.wished_digest.clone(),
    };
    let mut run = begin(Some(&work.run), &wished, Source::Record(rollback.to), &staged.stages, site.now);
    run.because.clone_from(&rollback.because);
    Work {
        run,
        staged,
        is_new: true,
        is_outdated: false,
        ..work
    }
}
