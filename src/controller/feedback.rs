//! Feedback: what Git hosts are told of environments, beside the work on them.
//!
//! Each of the three things is told by itself: a token that may not write deployments still sets statuses. Nothing here holds an
//! environment up; what a host refuses is told once, by an Event of the Project, and tried again later.

mod comment;
mod log;
mod refusals;
mod summary;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;

use self::refusals::{Kind, Refusals};
use super::hosts::{Connected, Hosts};
use super::outbox::{Audience, Failure, Mark, News, Removed};
use super::stores::Stores;
use crate::api::convert;
use crate::api::project::Feedback as Wants;
use crate::api::{Environment, Project};
use crate::cluster::error::chain;
use crate::cluster::observe::Observer;
use crate::cluster::publish::{Announcement, Publisher};
use crate::domain::feedback::{self, Standing, Told, ToldStatus, Verdict};
use crate::domain::git::RepositoryName;
use crate::domain::name::GitHostKey;
use crate::domain::report::{CommitReport, CommitState};
use crate::githost::report::Report;
use crate::githost::{self, Class};
use crate::metrics::{HostCallResult, HostOperation, Metrics};

/// Tells Git hosts of environments.
pub struct Feedback {
    hosts: Hosts,
    stores: Stores,
    publisher: Publisher,
    observer: Observer,
    metrics: Metrics,
    refusals: Refusals,
    /// What was said last on the head of each Project's default branch.
    summaries: Mutex<HashMap<(String, String), ToldStatus>>,
}

/// Where it is told for one Project, and what.
struct Place {
    project: Arc<Project>,
    repository: RepositoryName,
    host: GitHostKey,
    connected: Connected,
    wants: Wants,
}

/// One telling of an environment that is there.
struct Telling<'a> {
    place: &'a Place,
    standing: &'a Standing,
    environment: &'a Environment,
    mark: &'a Mark,
}

impl Feedback {
    /// Nothing is told yet.
    pub fn new(hosts: Hosts, stores: Stores, publisher: Publisher, observer: Observer, metrics: Metrics) -> Self {
        Self {
            hosts,
            stores,
            publisher,
            observer,
            metrics,
            refusals: Refusals::default(),
            summaries: Mutex::default(),
        }
    }

    /// Where a Project's environments are told of; `None` where nobody can be told, or is to be.
    fn place(&self, namespace: &str, project: &str) -> Option<Place> {
        let project = self.stores.projects.get(&ObjectRef::new(project).within(namespace))?;
        let wants = project.spec.feedback.clone();
        if !(wants.comment || wants.commit_status || wants.deployments) {
            return None;
        }
        let host = GitHostKey {
            namespace: namespace.parse().ok()?,
            name: project.spec.git_host_ref.name.parse().ok()?,
        };
        let connected = self.hosts.get(&host)?;
        connected.host.report()?;
        Some(Place {
            repository: project.spec.repository.parse().ok()?,
            project,
            host,
            connected,
            wants,
        })
    }

    async fn tell_all(&self, telling: &Telling<'_>) -> Result<(), Failure> {
        let mut told = Told::read(telling.mark.get().as_deref());
        let mut failed = None;
        if telling.place.wants.deployments {
            failed = failed.or(self.deployments(telling, &mut told).await.err());
        }
        if telling.place.wants.commit_status && !is_of_way(failed.as_ref()) {
            failed = failed.or(self.statuses(telling, &mut told).await.err());
        }
        if telling.place.wants.comment && !is_of_way(failed.as_ref()) {
            failed = failed.or(self.comment(telling, &mut told).await.err());
        }
        failed.map_or(Ok(()), Err)
    }

    async fn statuses(&self, telling: &Telling<'_>, told: &mut Told) -> Result<(), Failure> {
        if self.is_refused(telling, Kind::CommitStatus) {
            return Ok(());
        }
        for report in telling.standing.commit_reports(told.status.as_ref()) {
            let is_told = self
                .ask(telling, Kind::CommitStatus, |host| host.commit(&telling.place.repository, &report))
                .await?;
            if is_told.is_none() {
                return Ok(());
            }
            told.status = Some(ToldStatus::of(&report));
            telling.mark.keep(&told.text()).await?;
        }
        Ok(())
    }

    async fn deployments(&self, telling: &Telling<'_>, told: &mut Told) -> Result<(), Failure> {
        if self.is_refused(telling, Kind::Deployment) {
            return Ok(());
        }
        for (report, known) in telling.standing.deployment_reports(&told.deployments) {
            // Before it comes into being: whatever happens, it will be told that it is over.
            told.deployment(&report, known, false);
            telling.mark.keep(&told.text()).await?;
            let answer = self
                .ask(telling, Kind::Deployment, |host| {
                    host.deployment(&telling.place.repository, &report, known)
                })
                .await?;
            let Some(id) = answer else { return Ok(()) };
            told.deployment(&report, id, true);
            let standing = telling.standing;
            told.forget_over(&standing.environment, &standing.branch, standing.wanted.as_str());
            telling.mark.keep(&told.text()).await?;
        }
        Ok(())
    }

    /// Asks the host for one thing. `None`: it refuses, which was told, and is asked again in a while.
    async fn ask<'h, T>(
        &self,
        telling: &'h Telling<'_>,
        kind: Kind,
        call: impl FnOnce(&'h dyn Report) -> BoxFuture<'h, Result<T, githost::Error>>,
    ) -> Result<Option<T>, Failure> {
        let result = self.call(telling.place, call).await;
        let error = match result {
            Ok(answer) => {
                self.refusals.forget(kind, &telling.place.project, telling.environment);
                return Ok(Some(answer));
            }
            Err(error) if error.class() == Class::NeedsAttention && !is_of_host(&error) => error,
            Err(error) => return Err(failure(&error)),
        };
        let problem = format!("{}: {}", telling.standing.branch, chain(&error));
        let is_new = self.refusals.refused(kind, &telling.place.project, telling.environment, &error);
        if is_new {
            self.tell_refusal(&telling.place.project, &problem).await;
        }
        Ok(None)
    }

    async fn call<'h, T>(
        &self,
        place: &'h Place,
        call: impl FnOnce(&'h dyn Report) -> BoxFuture<'h, Result<T, githost::Error>>,
    ) -> Result<T, githost::Error> {
        let Some(host) = place.connected.host.report() else {
            return Err(githost::Error::Misconfigured {
                problem: format!("nothing can be written to GitHost {}", place.host.name),
            });
        };
        let result = call(host).await;
        let outcome = match result.as_ref().map_err(githost::Error::class) {
            Ok(_) => HostCallResult::Ok,
            Err(Class::Transient) => HostCallResult::Transient,
            Err(Class::RateLimited(_)) => HostCallResult::RateLimited,
            Err(Class::NeedsAttention) => HostCallResult::NeedsAttention,
        };
        self.metrics.host_call(HostOperation::Publish, outcome);
        result
    }

    fn is_refused(&self, telling: &Telling<'_>, kind: Kind) -> bool {
        self.refusals.is_refused(kind, &telling.place.project, telling.environment)
    }

    async fn tell_refusal(&self, project: &Project, problem: &str) {
        let announcement = Announcement {
            reason: "FeedbackNotWritten",
            warning: true,
            note: format!("{problem}; environments go on without it, and it is tried again"),
        };
        self.publisher.announce(&project.object_ref(&()), &announcement).await;
    }

    /// Tells what is over. What a host refuses now it refuses for good: nobody is left who could be told.
    async fn tell_end(&self, place: &Place, removed: &Removed, mark: &Mark) -> Result<(), Failure> {
        let told = Told::read(mark.get().as_deref());
        let Some(removal) = convert::feedback::removal(&removed.receipt) else {
            return Ok(());
        };
        let project = place.project.metadata.name.as_deref().unwrap_or_default();
        let successor = removed.successor.as_deref();
        let is_taken_up = |revision: &str| successor.is_some_and(|environment| environment.spec.revision == revision);
        for deployment in &told.deployments {
            let Ok(revision) = deployment.revision.parse() else { continue };
            let report = feedback::deployment_over(&removal.environment, &removal.branch, revision);
            over(
                self.call(place, |host| host.deployment(&place.repository, &report, deployment.id))
                    .await,
            )?;
        }
        let pending = told.status.as_ref().filter(|status| status.state == CommitState::Pending);
        if let Some(revision) = pending.filter(|status| !is_taken_up(&status.revision))
            && let Ok(revision) = revision.revision.parse()
        {
            let report: CommitReport = feedback::commit_over(project, &removal.branch, revision);
            over(self.call(place, |host| host.commit(&place.repository, &report)).await)?;
        }
        self.comment_end(place, &told, &removal, successor).await
    }
}

impl Audience for Feedback {
    fn name(&self) -> &'static str {
        "feedback"
    }

    fn way(&self, namespace: &str, project: &str) -> Option<String> {
        let place = self.place(namespace, project)?;
        Some(format!("{}/{}", place.host.namespace, place.host.name))
    }

    fn news(&self, environment: &Environment, mark: Option<&str>) -> News {
        let (Ok(standing), Some(place)) = (convert::feedback::standing(environment), self.place_of(environment)) else {
            return News::None;
        };
        let (told, wants, project) = (Told::read(mark), &place.wants, &place.project);
        let may = |wanted: bool, kind| wanted && !self.refusals.is_refused(kind, project, environment);
        let has_status = may(wants.commit_status, Kind::CommitStatus) && !standing.commit_reports(told.status.as_ref()).is_empty();
        let has_deployment = may(wants.deployments, Kind::Deployment) && !standing.deployment_reports(&told.deployments).is_empty();
        let has_comment = may(wants.comment, Kind::Comment) && comment::is_news(&standing, told.comment.as_ref());
        let is_end = !matches!(standing.verdict(), Verdict::Waiting | Verdict::UnderWay);
        match (has_status || has_deployment, has_comment) {
            (true, _) => News::Major,
            (false, true) if is_end => News::Major,
            (false, true) => News::Minor,
            (false, false) => News::None,
        }
    }

    fn tell<'a>(&'a self, environment: &'a Environment, mark: &'a Mark) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let (Ok(standing), Some(place)) = (convert::feedback::standing(environment), self.place_of(environment)) else {
                return Ok(());
            };
            let telling = Telling {
                place: &place,
                standing: &standing,
                environment,
                mark,
            };
            self.tell_all(&telling).await
        }
        .boxed()
    }

    fn tell_removed<'a>(&'a self, removed: &'a Removed, mark: &'a Mark) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let project = removed.receipt.project.rsplit('/').next().unwrap_or_default();
            match self.place(&removed.namespace, project) {
                Some(place) => self.tell_end(&place, removed, mark).await,
                None => Ok(()),
            }
        }
        .boxed()
    }
}

impl Feedback {
    fn place_of(&self, environment: &Environment) -> Option<Place> {
        self.place(environment.metadata.namespace.as_deref()?, &environment.spec.project_ref.name)
    }
}

/// What of an end cannot be told now; a refusal is none of it.
fn over<T>(result: Result<T, githost::Error>) -> Result<(), Failure> {
    match result {
        Err(error) if error.class() != Class::NeedsAttention || is_of_host(&error) => Err(failure(&error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn failure(error: &githost::Error) -> Failure {
    Failure {
        class: error.class(),
        of_way: is_of_host(error),
        problem: chain(error),
    }
}

/// Whether an error says that nothing gets through to the host.
fn is_of_host(error: &githost::Error) -> bool {
    use githost::Error;
    matches!(
        error,
        Error::Unreachable { .. } | Error::RateLimited { .. } | Error::Refused { status: 401, .. }
    )
}

fn is_of_way(failure: Option<&Failure>) -> bool {
    failure.is_some_and(|failure| failure.of_way)
}
