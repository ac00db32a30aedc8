//! Run records, with the rights of whoever asks: they are Secrets, and not everybody who sees an environment may read those.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::Api;

use super::{Access, Error};
use crate::api::Environment;
use crate::domain::record::{self, Journal, Stored};
use crate::domain::run::RunNumber;

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
        let name = record::name(run);
        let Ok(own) = environment.name_any().parse() else {
            return Ok(Kept::Nothing("the environment's name is not one that graftling gives".to_owned()));
        };
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &environment.name_any());
        let secret = match self.within("read the record of the run", api.get_opt(&name)).await {
            Ok(Some(secret)) => secret,
            Ok(None) => return Ok(Kept::Nothing(format!("its record, Secret {name}, is not kept any longer"))),
            Err(Error::Permit { .. }) => {
                let namespace = environment.name_any();
                return Ok(Kept::Nothing(format!(
                    "you may not read its record: get on Secret {name} in namespace {namespace} is needed"
                )));
            }
            Err(error) => return Err(error),
        };
        let secret = serde_json::to_value(secret).unwrap_or_default();
        Ok(match Stored::read(&secret, &own) {
            Ok(stored) => Kept::Journal(stored.journal),
            Err(error) => Kept::Nothing(error.to_string()),
        })
    }
}
