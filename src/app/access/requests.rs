//! What people ask of an environment's runs and say of its stages: written into its spec with their own rights.

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::{Access, Error};
use crate::api::Environment;
use crate::api::convert::run::has_open_stages;
use crate::api::environment::requests::{Approval, Request, RequestAction, Verdict};

/// Whom the cluster takes us for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name.
    pub name: String,
    /// The groups.
    pub groups: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub action: RequestAction,
    /// The stage, where the action takes one.
    pub stage: Option<String>,
    /// The run to roll back to.
    pub run: Option<u64>,
    /// The revision to roll back to.
    pub revision: Option<String>,
    /// The objects to put right.
    pub objects: Vec<String>,
}

/// One person's word on a try of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The run.
    pub run: u64,
    /// The stage.
    pub stage: String,
    /// The try.
    pub attempt: u32,
    /// What is said.
    pub verdict: Verdict,
    /// Those of the caller's groups that matter.
    pub groups: Vec<String>,
    /// Why.
    pub comment: Option<String>,
}

/// What writing led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written<T> {
    /// It stands in the spec.
    Done(T),
    /// Somebody else's request is there, and the server has not acted on it yet.
    Busy {
        /// Who asked.
        by: String,
        /// For what.
        action: RequestAction,
    },
    /// There is no room for another word.
    Full,
    /// The environment is being torn down, since then.
    TooLate(Timestamp),
    /// There is no such environment any more.
    Gone,
}

/// Every write in between costs a try: mostly those of the server's status.
const TRIES: usize = 10;

/// How many words an Environment holds.
const WORDS: usize = 20;

impl Access {
    /// Whom the cluster takes us for.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn caller(&self) -> Result<Caller, Error> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let (params, question) = (PostParams::default(), SelfSubjectReview::default());
        let review = self.within("ask who we are", api.create(&params, &question)).await?;
        let user = review.status.and_then(|status| status.user_info).unwrap_or_default();
        Ok(Caller {
            name: user.username.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
        })
    }

    /// Writes a request in the caller's name, in place of an earlier one that is answered or the caller's own. Gives its id.
    ///
    /// # Errors
    /// [`super::Class::Access`] if the caller may not; else as [`Access::environments`].
    pub async fn request(&self, environment: &Environment, caller: &Caller, asked: &Asked) -> Result<Written<String>, Error> {
        self.write("write the request", environment, |fresh| {
            if let Some(open) = unanswered(fresh).filter(|open| open.by != caller.name) {
                return Err(Written::Busy {
                    by: open.by.clone(),
                    action: open.action,
                });
            }
            let now = Timestamp::now();
            // Nobody else can write from the same version, so no other request has this id.
            let id = format!("{}-{}", now.as_millisecond(), fresh.resource_version().unwrap_or_default());
            let request = Request {
                id: id.clone(),
                action: asked.action,
                stage: asked.stage.clone(),
                run: asked.run,
                revision: asked.revision.clone(),
                objects: asked.objects.clone(),
                by: caller.name.clone(),
                at: Time(now),
            };
            Ok((json!({ "request": whole(&request) }), id))
        })
        .await
    }

    /// Writes a word in the caller's name, in place of an earlier one on the same try, and takes away what was said of earlier runs.
    ///
    /// # Errors
    /// [`super::Class::Access`] if the caller may not approve; else as [`Access::environments`].
    pub async fn say(&self, environment: &Environment, caller: &Caller, word: &Word) -> Result<Written<()>, Error> {
        self.write("write the approval", environment, |fresh| {
            let is_same =
                |old: &Approval| old.run == word.run && old.stage == word.stage && old.attempt == word.attempt && old.by == caller.name;
            let kept = fresh.spec.approvals.iter().filter(|old| old.run >= word.run && !is_same(old));
            let mut words: Vec<Approval> = kept.cloned().collect();
            if words.len() >= WORDS {
                return Err(Written::Full);
            }
            words.push(Approval {
                run: word.run,
                stage: word.stage.clone(),
                attempt: word.attempt,
                by: caller.name.clone(),
                verdict: word.verdict,
                groups: word.groups.clone(),
                at: Time(Timestamp::now()),
                comment: word.comment.clone(),
            });
            Ok((json!({ "approvals": words }), ()))
        })
        .await
    }

    /// Pauses an environment, or lets it go on. Gives it as it is then.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn suspend(&self, environment: &Environment, suspend: bool) -> Result<Written<()>, Error> {
        let value = if suspend { json!(true) } else { Value::Null };
        let change = |_: &Environment| Ok((json!({ "suspend": value }), ()));
        let operation = if suspend {
            "pause the environment"
        } else {
            "resume the environment"
        };
        self.write(operation, environment, change).await
    }

    /// Merges into the spec what `change` makes of the Environment as it is, if nobody writes it meanwhile.
    async fn write<T>(
        &self,
        operation: &'static str,
        environment: &Environment,
        change: impl Fn(&Environment) -> Result<(Value, T), Written<T>>,
    ) -> Result<Written<T>, Error> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.try_write(operation, environment, &change).await {
                Err(Error::Precondition { .. }) if tries > 0 => {}
                other => return other,
            }
        }
    }

    async fn try_write<T>(
        &self,
        operation: &'static str,
        environment: &Environment,
        change: impl Fn(&Environment) -> Result<(Value, T), Written<T>>,
    ) -> Result<Written<T>, Error> {
        let api = self.beside(environment);
        let name = environment.name_any();
        let fresh = self.within(operation, api.get_opt(&name)).await?;
        let Some(fresh) = fresh.filter(|fresh| fresh.uid() == environment.uid()) else {
            return Ok(Written::Gone);
        };
        let since = fresh.metadata.deletion_timestamp.as_ref();
        if let Some(since) = since.filter(|_| !has_open_stages(fresh.status.as_ref())) {
            return Ok(Written::TooLate(since.0));
        }
        let (spec, value) = match change(&fresh) {
            Ok(changed) => changed,
            Err(refused) => return Ok(refused),
        };
        let body = json!({
            "apiVersion": Environment::api_version(&()),
            "kind": Environment::kind(&()),
            "metadata": { "uid": fresh.uid(), "resourceVersion": fresh.resource_version() },
            "spec": spec,
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
        self.within(operation, api.patch(&name, &params, &patch)).await?;
        Ok(Written::Done(value))
    }
}

/// The request that the server has not answered yet.
fn unanswered(environment: &Environment) -> Option<&Request> {
    let request = environment.spec.request.as_ref()?;
    let handled = environment.status.as_ref().and_then(|status| status.request_handled.as_ref());
    Some(request).filter(|request| handled.is_none_or(|handled| handled.id != request.id))
}

/// A request with a null for each field that it has not, so that none of an earlier one stays.
fn whole(request: &Request) -> Value {
    let mut whole = json!({ "stage": null, "run": null, "revision": null, "objects": null });
    if let (Some(all), Ok(Value::Object(fields))) = (whole.as_object_mut(), serde_json::to_value(request)) {
        all.extend(fields);
    }
    whole
}
