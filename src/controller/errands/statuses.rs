//! What the Git host says of the wished commit.

use super::Around;
use crate::cluster::error::chain;
use crate::controller::hosts::Hosts;
use crate::domain::errand::Answer;
use crate::domain::stage::wait::{CheckRun, CommitStatus, run_answer, status_answer};
use crate::githost::{Class, Error};

/// How a commit status stands.
pub(super) async fn commit_status(hosts: &Hosts, around: &Around, wanted: &CommitStatus) -> Answer {
    let Some(connected) = hosts.get(&around.git_host) else {
        return not_connected(around);
    };
    let revision = &around.commit.revision;
    match connected.host.commit_status(&around.repository, revision, &wanted.context).await {
        Ok(found) => status_answer(wanted, found.as_ref()),
        Err(error) => failed(&error),
    }
}

/// How the check runs of a name stand.
pub(super) async fn check_run(hosts: &Hosts, around: &Around, wanted: &CheckRun) -> Answer {
    let Some(connected) = hosts.get(&around.git_host) else {
        return not_connected(around);
    };
    let revision = &around.commit.revision;
    match connected.host.check_runs(&around.repository, revision, &wanted.name).await {
        Ok(found) => run_answer(wanted, &found),
        Err(error) => failed(&error),
    }
}

fn not_connected(around: &Around) -> Answer {
    Answer::bad(format!("GitHost {} is not ready; its status says why", around.git_host.name))
}

fn failed(error: &Error) -> Answer {
    match error.class() {
        Class::Transient => Answer::bad(chain(error)),
        Class::RateLimited(_) => Answer::not_yet(chain(error)),
        Class::NeedsAttention => Answer::never(chain(error)),
    }
}
