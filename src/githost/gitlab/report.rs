//! Where people look at GitLab: the pipeline of a commit, a merge request, the project's environments.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Gitlab, deployments, notes, statuses};
use crate::domain::git::RepositoryName;
use crate::domain::report::{CommitReport, DeploymentReport};
use crate::githost::Error;
use crate::githost::report::{OwnComment, Report};

impl Report for Gitlab {
    fn commit<'a>(&'a self, name: &'a RepositoryName, report: &'a CommitReport) -> BoxFuture<'a, Result<(), Error>> {
        statuses::write(self, name, report).boxed()
    }

    fn own_comment<'a>(
        &'a self,
        name: &'a RepositoryName,
        pull_request: u64,
        marker: &'a str,
    ) -> BoxFuture<'a, Result<Option<OwnComment>, Error>> {
        notes::find(self, name, pull_request, marker).boxed()
    }

    fn write_comment<'a>(&'a self, name: &'a RepositoryName, pull_request: u64, body: &'a str) -> BoxFuture<'a, Result<u64, Error>> {
        notes::write(self, name, pull_request, body).boxed()
    }

    fn edit_comment<'a>(
        &'a self,
        name: &'a RepositoryName,
        pull_request: u64,
        comment: u64,
        body: &'a str,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        notes::edit(self, name, pull_request, comment, body).boxed()
    }

    fn deployment<'a>(
        &'a self,
        name: &'a RepositoryName,
        report: &'a DeploymentReport,
        known: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<u64>, Error>> {
        deployments::tell(self, name, report, known).boxed()
    }
}
