//! Writes of a run: they bear its number, and a run that is late writes nothing over a later one.

use kube::Client;
use serde_json::{Value, json};

use super::{Apply, Outcome};
use crate::cluster::Error;
use crate::cluster::observe::Observer;
use crate::domain::manifest::RUN_ANNOTATION;
use crate::domain::outcome::{Failure, FailureClass};
use crate::domain::run::RunNumber;

/// How often an object that others change is tried within one pass.
const TRIES: usize = 3;

impl Observer {
    /// Applies an object that exists, for a run: only if no later run has written it, and only as it was seen then.
    ///
    /// The resourceVersion makes of look and write one step: whoever wrote in between is looked at anew.
    pub(super) async fn apply_in_run(&self, client: &Client, apply: &Apply, uid: &str, run: RunNumber) -> Result<Outcome, Error> {
        for _ in 0..TRIES {
            let body = match self.looked_at(client, apply, uid, run).await? {
                Ok(body) => body,
                Err(outcome) => return Ok(outcome),
            };
            match self.send(client.clone(), apply, &body).await {
                Err(Error::Write { source, .. }) if super::is_fence(&source, &apply.fence) => {}
                other => return other,
            }
        }
        Ok(transient(apply, "others change it all the time; it is tried again".to_owned()))
    }

    /// The body that may be sent over the object as it is now, or why none may.
    async fn looked_at(&self, client: &Client, apply: &Apply, uid: &str, run: RunNumber) -> Result<Result<Value, Outcome>, Error> {
        let key = &apply.manifest.key;
        let live = self.read_whole(client.clone(), key).await?;
        let Some(live) = live.filter(|live| live["metadata"]["uid"] == json!(uid)) else {
            self.forget(key, uid);
            return Ok(Err(Outcome::Vanished { key: key.clone() }));
        };
        if let Some(later) = written_by(&live).filter(|written| *written > run) {
            let message = format!("run {later} has written it, and run {run} is late: nothing is written");
            return Ok(Err(transient(apply, message)));
        }
        let mut body = marked(super::fenced_body(apply), run);
        body["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        Ok(Ok(body))
    }
}

/// A body that says which run writes it.
pub(super) fn marked(mut body: Value, run: RunNumber) -> Value {
    body["metadata"]["annotations"][RUN_ANNOTATION] = json!(run.to_string());
    body
}

/// The run that wrote an object last.
fn written_by(live: &Value) -> Option<RunNumber> {
    let number = live["metadata"]["annotations"][RUN_ANNOTATION].as_str()?;
    number.parse().ok().map(RunNumber)
}

fn transient(apply: &Apply, message: String) -> Outcome {
    Outcome::Failed(Failure {
        key: apply.manifest.key.clone(),
        class: FailureClass::Transient,
        message,
    })
}
