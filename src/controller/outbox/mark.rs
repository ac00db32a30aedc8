//! What an audience was told of an environment: in memory, and where it outlives this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::{Client, ResourceExt};

use super::Failure;
use crate::api::receipt::config_map_name;
use crate::api::{Environment, keys};
use crate::cluster::told::{self, OpenReceipt, ToldReceipt};

/// All marks of an audience. Cheap to clone.
#[derive(Clone)]
pub(super) struct Marks {
    client: Client,
    audience: &'static str,
    /// By the UID of the environment: watches show our own writes late, and nobody else writes them.
    written: Arc<Mutex<HashMap<String, String>>>,
}

/// What an audience was told of one environment.
pub struct Mark {
    marks: Marks,
    /// The UID of the environment.
    uid: String,
    at: At,
    /// What the object said that it was read from.
    read: Option<String>,
}

/// Where it is kept.
enum At {
    Environment(Box<Environment>),
    Receipt(OpenReceipt, String),
}

impl Marks {
    pub(super) fn new(client: Client, audience: &'static str) -> Self {
        Self {
            client,
            audience,
            written: Arc::default(),
        }
    }

    /// What was told of an environment.
    pub(super) fn of(&self, environment: &Environment) -> Option<String> {
        let written = environment.metadata.uid.as_deref().and_then(|uid| self.written(uid));
        written.or_else(|| told::mark(environment, self.audience))
    }

    pub(super) fn mark(&self, environment: &Environment) -> Mark {
        Mark {
            marks: self.clone(),
            uid: environment.uid().unwrap_or_default(),
            read: told::mark(environment, self.audience),
            at: At::Environment(Box::new(environment.clone())),
        }
    }

    pub(super) fn of_receipt(&self, open: &OpenReceipt, told: &ToldReceipt) -> Mark {
        Mark {
            marks: self.clone(),
            uid: told.receipt.uid.clone(),
            read: told.mark.clone(),
            at: At::Receipt(open.clone(), told.uid.clone()),
        }
    }

    fn written(&self, uid: &str) -> Option<String> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned()
    }
}

impl Mark {
    /// What is kept; `None`: nothing was ever told.
    pub fn get(&self) -> Option<String> {
        self.marks.written(&self.uid).or_else(|| self.read.clone())
    }

    /// Keeps `text`, at most some hundred bytes, in the place of what was kept before.
    ///
    /// # Errors
    /// It could not be written: then what it speaks of must not be done.
    pub async fn keep(&self, text: &str) -> Result<(), Failure> {
        if self.get().as_deref() == Some(text) {
            return Ok(());
        }
        self.write(text).await?;
        let mut written = self.marks.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(self.uid.clone(), text.to_owned());
        Ok(())
    }

    /// Nothing more will be told.
    pub(super) async fn close(&self, uid: &str) -> Result<(), Failure> {
        self.write(keys::TOLD_ALL).await?;
        self.marks.written.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        Ok(())
    }

    async fn write(&self, text: &str) -> Result<(), Failure> {
        let (client, audience) = (self.marks.client.clone(), self.marks.audience);
        let failed = |error: crate::cluster::Error| Failure::of_cluster(&error);
        let (receipt, uid) = match &self.at {
            At::Environment(environment) => {
                if told::keep(client.clone(), environment, audience, text).await.map_err(failed)? {
                    return Ok(());
                }
                // It went meanwhile, and what was said of it goes on with its receipt.
                let receipt = OpenReceipt {
                    namespace: environment.namespace().unwrap_or_default(),
                    name: config_map_name(&environment.name_any(), &self.uid),
                };
                (receipt, None)
            }
            At::Receipt(receipt, uid) => (receipt.clone(), Some(uid.as_str())),
        };
        told::keep_on_receipt(client, &receipt, uid, audience, text).await.map_err(failed)?;
        Ok(())
    }
}
