//! Run records, with the rights of whoever asks: they are Secrets, and not everybody who sees an environment may read those.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::Api;

use super::{Access, Error};
use crate::api::Environment;
use crate::api::convert::run::{last_good, run as run_of};
use crate::domain::record::{self, Journal, Stored};
use crate::domain::run::{Farewell, RunNumber, StageState};

/// What the record of a run says of its course.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// What became of it.
    Journal(Journal),
    /// Why nothing is known.
    Nothing(String),
}

impl Access {
    /// What the record of a run keeps beside the objects. That the caller may not read it is an answer, too.
    ///
    /// # Errors
    /// The cluster did not answer.
    pub async fn journal(&self, environment: &Environment, run: RunNumber) -> Result<Kept, Error> {
        Ok(match self.stored_record(environment, run).await? {
            Ok(stored) => Kept::Journal(stored.journal),
            Err(why) => Kept::Nothing(why),
        })
    }

    /// The names of the stages that a removal would carry out first, or why they cannot be told.
    ///
    /// # Errors
    /// The cluster did not answer.
    pub async fn teardown_stages(&self, environment: &Environment) -> Result<Result<Vec<String>, String>, Error> {
        let status = environment.status.as_ref();
        let Some(last) = run_of(status).unwrap_or_default() else {
            return Ok(Ok(Vec::new()));
        };
        if last.is_removal() {
            let open = last
                .stages
                .iter()
                .filter(|stage| stage.ended.is_none() || stage.state == StageState::Failed);
            return Ok(Ok(open.map(|stage| stage.name.clone()).collect()));
        }
        let farewell = Farewell::of(&last, last_good(status), status.is_some_and(|status| status.resting));
        let stored = self.stored_record(environment, farewell.record).await?;
        Ok(stored.map(|stored| stored.head.teardown))
    }

    async fn stored_record(&self, environment: &Environment, run: RunNumber) -> Result<Result<Stored, String>, Error> {
        let name = record::name(run);
        let Ok(own) = environment.name_any().parse() else {
            return Ok(Err("the environment's name is not one that graftling gives".to_owned()));
        };
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &environment.name_any());
        let secret = match self.within("read the record of the run", api.get_opt(&name)).await {
            Ok(Some(secret)) => secret,
            Ok(None) => return Ok(Err(format!("its record, Secret {name}, is not kept any longer"))),
            Err(Error::Permit { .. }) => {
                let namespace = environment.name_any();
                return Ok(Err(format!(
                    "you may not read its record: get on Secret {name} in namespace {namespace} is needed"
                )));
            }
            Err(error) => return Err(error),
        };
        let secret = serde_json::to_value(secret).unwrap_or_default();
        Ok(Stored::read(&secret, &own).map_err(|error| error.to_string()))
    }
}
