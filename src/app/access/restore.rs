//! Bringing an environment back whose branch is gone.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{Access, Error};
use crate::api::convert::{self, grace};
use crate::api::environment::{Environment, Phase};
use crate::cluster::environments::{self, Precondition};
use crate::cluster::{self, clock};
use crate::domain::roster::{Existing, Wanted};

/// What a request to restore an environment led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restoration {
    /// It comes back, and is kept until then.
    Requested(Timestamp),
    /// It was asked for before, and is kept until then.
    AlreadyRestored(Timestamp),
    /// It does not rest, so there is nothing to bring back.
    NotResting(Option<Phase>),
    /// It is being torn down, since then: what is gone does not come back.
    TooLate(Timestamp),
    /// There is no such environment any more.
    Gone,
    /// The object cannot be read.
    Unreadable(String),
}

const OPERATION: &str = "restore the environment";

/// Every write in between costs a try: mostly those of the server's status.
const TRIES: usize = 10;

impl Access {
    /// Lets an environment run that rests because its branch is gone, for as long again as its rest was granted. The time is the API
    /// server's. The write is fenced by what was read, so that it wins over the end of the rest or comes too late, and never half.
    ///
    /// # Errors
    /// As [`Access::environments`].
    pub async fn restore_environment(&self, environment: &Environment) -> Result<Restoration, Error> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            match self.try_restore(environment).await {
                Err(Error::Precondition { .. }) if tries > 0 => {}
                other => return other,
            }
        }
    }

    async fn try_restore(&self, environment: &Environment) -> Result<Restoration, Error> {
        let api = self.beside(environment);
        let fresh = self.within(OPERATION, api.get_opt(&environment.name_any())).await?;
        let Some(fresh) = fresh.filter(|fresh| fresh.uid() == environment.uid()) else {
            return Ok(Restoration::Gone);
        };
        if let Some(since) = &fresh.metadata.deletion_timestamp {
            return Ok(Restoration::TooLate(since.0));
        }
        let Some(mark) = fresh.spec.grace.as_ref().map(grace::grace) else {
            return Ok(Restoration::NotResting(fresh.status.and_then(|status| status.phase)));
        };
        if !mark.state.is_down() {
            return Ok(Restoration::AlreadyRestored(mark.until));
        }
        let (existing, project) = match convert::environment::existing(&fresh)
            .and_then(|existing| Ok((existing, convert::environment::identity(&fresh)?.project)))
        {
            Ok(read) => read,
            Err(problem) => return Ok(Restoration::Unreadable(problem)),
        };
        let now = clock::server_time(&self.client).await.map_err(|error| self.explain(error))?;
        let restored = mark.restored(now);
        let until = restored.until;
        let Some(wanted) = wanted(existing, restored) else {
            return Ok(Restoration::Unreadable("spec.revision is no revision".to_owned()));
        };
        let (uid, version) = (fresh.uid(), fresh.resource_version());
        let precondition = Precondition {
            uid: uid.as_deref(),
            version: version.as_deref(),
        };
        let written = environments::apply(self.client.clone(), &project, &wanted, precondition).await;
        written.map_err(|error| self.explain(error))?;
        Ok(Restoration::Requested(until))
    }

    fn explain(&self, error: cluster::Error) -> Error {
        match error {
            cluster::Error::Read { source, .. } | cluster::Error::Write { source, .. } => Error::from_request(OPERATION, source),
            cluster::Error::TimedOut { .. } => self.late(OPERATION),
            other => Error::ReadAnswer {
                operation: OPERATION,
                source: other.into(),
            },
        }
    }
}

fn wanted(existing: Existing, grace: crate::domain::roster::Grace) -> Option<Wanted> {
    Some(Wanted {
        name: existing.name,
        branch: existing.branch,
        repository: existing.repository,
        revision: existing.revision.parse().ok()?,
        pull_request: existing.pull_request,
        grace: Some(grace),
    })
}
