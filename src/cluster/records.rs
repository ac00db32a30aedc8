//! Run records in the cluster: read, and told what became of the run. Always as the deployer: the server itself has no right on Secrets.
//!
//! They are written and removed as steps of a plan, like everything else (`domain::plan::records`).

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::connection::{Deployer, within};
use super::error::Error;
use super::observe::Observer;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::name::EnvironmentName;
use crate::domain::outcome::FailureClass;
use crate::domain::record::{self, JOURNAL_FIELD, JOURNAL_MANAGER, Journal, Record, Stored};
use crate::domain::run::RunNumber;

/// Why a record could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The cluster did not do as asked.
    #[error("could not read the record of run {run}")]
    Read {
        /// The run.
        run: RunNumber,
        /// The cause.
        #[source]
        source: Box<Error>,
    },
    /// What became of the run could not be added.
    #[error("could not write the record of run {run}")]
    Write {
        /// The run.
        run: RunNumber,
        /// The cause.
        #[source]
        source: Box<Error>,
    },
    /// A Secret of it is not there.
    #[error("Secret {name}, the record of run {run}, is not there: it was removed, or is kept no longer")]
    Missing {
        /// The run.
        run: RunNumber,
        /// The Secret.
        name: String,
    },
    /// A Secret of that name is there, and is not the one that was written.
    #[error("Secret {name} is not the one that graftling wrote for run {run}: somebody replaced it; nothing of it is used")]
    Replaced {
        /// The run.
        run: RunNumber,
        /// The Secret.
        name: String,
    },
    /// It cannot be understood.
    #[error(transparent)]
    Unusable(#[from] record::Error),
}

/// Where the records of an environment are, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// Who wrote them.
    pub deployer: &'a Deployer,
    /// What was written, and under which UIDs.
    pub inventory: &'a Inventory,
}

impl RecordError {
    /// The whole story in one line.
    pub fn chain(&self) -> String {
        super::error::chain(self)
    }

    /// Whether asking again later may help.
    pub fn passes_by_itself(&self) -> bool {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => source.class() == FailureClass::Transient,
            Self::Missing { .. } | Self::Replaced { .. } | Self::Unusable(_) => false,
        }
    }
}

impl Observer {
    /// Reads the record of a run, wherever its contents are.
    ///
    /// # Errors
    /// It is not there, not as it was written, or cannot be read. Nothing is read by half.
    pub async fn read_record(&self, records: &Records<'_>, run: RunNumber) -> Result<Record, RecordError> {
        let (own, _) = self.stored_record(records, run).await?;
        let holder = match own.elsewhere() {
            None => own.clone(),
            Some(other) => self.stored_record(records, other).await?.0,
        };
        if let Some(third) = holder.elsewhere() {
            let reason = format!("it refers to run {}, which refers to run {third}", holder.head.run);
            return Err(damaged(run, reason));
        }
        let mut further = Vec::new();
        for name in holder.further() {
            further.push(self.part(records, RunNumber(holder.head.run), &name).await?);
        }
        let contents = holder.contents(&further)?;
        Ok(own.record(contents))
    }

    /// Reads the first Secret of a record: what it says of the whole, and what became of the run.
    ///
    /// # Errors
    /// As [`Self::read_record`].
    pub async fn stored_record(&self, records: &Records<'_>, run: RunNumber) -> Result<(Stored, Value), RecordError> {
        let secret = self.part(records, run, &record::name(run)).await?;
        let stored = Stored::read(&secret, records.environment)?;
        Ok((stored, secret))
    }

    /// Adds to what is known of a run. The rest of its record stays as it is.
    ///
    /// # Errors
    /// The record is not there or not ours, or the write failed; somebody may have written in between.
    pub async fn add_to_journal(&self, records: &Records<'_>, run: RunNumber, add: impl FnOnce(&mut Journal)) -> Result<(), RecordError> {
        let (stored, secret) = self.stored_record(records, run).await?;
        let mut journal = stored.journal;
        add(&mut journal);
        let name = record::name(run);
        let body = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "uid": secret.pointer("/metadata/uid"),
                "resourceVersion": secret.pointer("/metadata/resourceVersion"),
            },
            "data": { JOURNAL_FIELD: BASE64.encode(journal.pack()) },
        });
        let wrong = |source: Error| RecordError::Write {
            run,
            source: Box::new(source),
        };
        let api = secrets(self.connection.deployer(records.deployer).map_err(wrong)?, records);
        let params = PatchParams::apply(JOURNAL_MANAGER).force();
        let patch = Patch::Apply(&body);
        let written = within(
            || format!("write Secret {name}"),
            api.patch(&name, &params, &patch),
            |source| Error::Write {
                what: format!("Secret {name}"),
                source,
            },
        );
        written.await.map(drop).map_err(wrong)
    }

    /// One Secret of a record, if it is the one that was written.
    async fn part(&self, records: &Records<'_>, run: RunNumber, name: &str) -> Result<Value, RecordError> {
        let wrong = |source: Error| RecordError::Read {
            run,
            source: Box::new(source),
        };
        // What was never seen to be written is not asked for: the namespace may even be somebody else's.
        let key = key(records, name);
        let recorded = records.inventory.get(&key).and_then(|entry| entry.uid.as_ref());
        if recorded.is_none() {
            return Err(RecordError::Missing {
                run,
                name: name.to_owned(),
            });
        }
        let api = secrets(self.connection.deployer(records.deployer).map_err(wrong)?, records);
        let found = within(
            || format!("read Secret {name}"),
            api.get_opt(name),
            |source| Error::Read {
                what: format!("Secret {name}"),
                source,
            },
        );
        let name = || name.to_owned();
        let Some(secret) = found.await.map_err(wrong)? else {
            return Err(RecordError::Missing { run, name: name() });
        };
        if recorded != secret.metadata.uid.as_ref() {
            return Err(RecordError::Replaced { run, name: name() });
        }
        serde_json::to_value(secret).map_err(|_| damaged(run, "it cannot be read".to_owned()))
    }
}

fn damaged(run: RunNumber, reason: String) -> RecordError {
    RecordError::Unusable(record::Error::Damaged {
        name: record::name(run),
        reason,
    })
}

fn secrets(client: Client, records: &Records<'_>) -> Api<Secret> {
    Api::namespaced(client, records.environment.namespace().as_str())
}

fn key(records: &Records<'_>, name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: Some(records.environment.namespace().to_string()),
        name: name.to_owned(),
    }
}
