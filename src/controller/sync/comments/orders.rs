//! `/preview up`, `down` and the like: heard once, decided over what is known, carried out, answered.

use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use super::super::Sync;
use super::Heard;
use crate::api::convert::{self, activity};
use crate::api::environment::EnvironmentStatus;
use crate::api::{Environment, Project};
use crate::cluster;
use crate::cluster::comments;
use crate::cluster::environments::{self, Precondition, Retired};
use crate::cluster::publish::{Announcement, is_conflict};
use crate::controller::inbox::Inbox;
use crate::domain::comment::{self, Order, Standing, Step, Subject};
use crate::domain::event::{DeliveryId, Happening, Hint, RepositoryHint};
use crate::domain::git::BranchName;
use crate::domain::policy;
use crate::domain::removal::{Cause, Reason};
use crate::domain::roster::{Ended, Existing, Grace, MOST_ENDED, Wanted};
use crate::domain::status::Phase;
use crate::domain::why::next_step;

/// Every write in between costs a try: mostly those of a status.
const TRIES: usize = 5;

/// The branch that an order is about, and its environment as the API server has it.
struct Target {
    branch: BranchName,
    environment: Option<Environment>,
}

impl Sync {
    /// Does what somebody may ask for, once.
    pub(super) async fn obey(&self, object: &Project, project: &policy::Project, heard: &Heard, order: Order) {
        let now = Timestamp::now();
        let author = match comment::heard(&heard.comment, heard.permission, now) {
            Ok(author) => author.to_owned(),
            Err(reason) => {
                return tracing::info!(project = %project.key, comment = heard.comment.id, %reason, "a comment has no effect");
            }
        };
        let progress = self.progress.of(&project.key);
        let held = progress.lock().await;
        match comments::take(self.client.clone(), object, heard.comment.id, now).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                return tracing::warn!(project = %project.key, error = %error.chain(), "a comment could not be taken down; whoever wrote it has to write it again");
            }
        }
        let answer = match self.try_to_obey(object, project, heard, (order, &author)).await {
            Ok(answer) => answer,
            Err(error) => format!("this could not be done, so write it again: {}", error.chain()),
        };
        drop(held);
        self.reply(project, heard, &answer).await;
    }

    async fn try_to_obey(
        &self,
        object: &Project,
        project: &policy::Project,
        heard: &Heard,
        (order, author): (Order, &str),
    ) -> Result<String, cluster::Error> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let Some(target) = self.target(project, heard.comment.pull_request).await? else {
                return Ok("this pull request is open no more".to_owned());
            };
            let Some(before) = self.ended_of(object).await else {
                return Ok("the Project could not be read, so write it again".to_owned());
            };
            let ended = convert::ended::from_stored(&before);
            let subject = subject(&target, &ended);
            let now = self.clock.now(&self.client).await.unwrap_or_else(Timestamp::now);
            let decision = comment::decide(order, &subject, now);
            tracing::info!(project = %project.key, branch = %target.branch, %author, ?order, step = ?decision.step, "a comment was heard");
            let Some(step) = &decision.step else {
                return Ok(decision.answer);
            };
            let site = Site {
                object,
                project,
                heard,
                author,
                target: &target,
                ended: &ended,
            };
            match self.take_step(&site, step).await {
                Err(error) if is_conflict(&error) && tries > 0 => {}
                Err(error) => return Err(error),
                Ok(Some(instead)) => return Ok(instead),
                Ok(None) => {
                    self.announce_order(&site, &decision.answer).await;
                    return Ok(decision.answer);
                }
            }
        }
    }

    /// The branch of a pull request: as an Environment knows it, or as the host lists it.
    async fn target(&self, project: &policy::Project, number: u64) -> Result<Option<Target>, cluster::Error> {
        let of_pull_request =
            |environment: &Environment| environment.spec.pull_request.as_ref().map(|pull| pull.number) == i64::try_from(number).ok();
        let all = environments::list(self.client.clone(), &project.key).await?;
        if let Some(environment) = all.iter().find(|environment| of_pull_request(environment)) {
            let branch = convert::environment::identity(environment).ok().map(|identity| identity.branch);
            return Ok(branch.map(|branch| Target {
                branch,
                environment: Some(environment.clone()),
            }));
        }
        let Some(connected) = self.connected(&project.host).await else {
            return Ok(None);
        };
        let Ok(listing) = connected.host.listing(&project.repository).await else {
            return Ok(None);
        };
        let pull = listing.pull_requests.into_iter().find(|pull| pull.number == number);
        let branch = pull.map(|pull| match pull.fork {
            None => pull.head,
            Some(_) => BranchName::of_pull_request(number),
        });
        Ok(branch.map(|branch| Target {
            // It may be there without knowing its pull request yet.
            environment: all.into_iter().find(|environment| environment.spec.branch == branch.as_str()),
            branch,
        }))
    }

    /// Carries out one step. What was done instead, if it could not be done.
    async fn take_step(&self, site: &Site<'_>, step: &Step) -> Result<Option<String>, cluster::Error> {
        let client = || self.client.clone();
        let environment = site.target.environment.as_ref();
        match (step, environment) {
            (Step::Forget, _) => self.forget(site).await.map(|()| None),
            (Step::Remove, Some(environment)) => self.remove(site, environment).await,
            (Step::Wake(grace), Some(environment)) => self.wake(site, environment, grace).await,
            (Step::Retry { from }, Some(environment)) => {
                let by = format!("{} (pull request comment)", site.author);
                comments::retry(client(), environment, site.heard.comment.id, &by, from.as_deref()).await?;
                Ok(None)
            }
            (Step::Extend(until), Some(environment)) => comments::extend(client(), environment, *until).await.map(|()| None),
            (Step::Pin(pinned), Some(environment)) => comments::pin(client(), environment, *pinned).await.map(|()| None),
            (_, None) => Ok(Some("there is no environment any more".to_owned())),
        }
    }

    /// Nothing is remembered of the branch from here on, and it is looked at.
    async fn forget(&self, site: &Site<'_>) -> Result<(), cluster::Error> {
        let before = self.ended_of(site.object).await.unwrap_or_default();
        let kept: Vec<_> = site
            .ended
            .iter()
            .filter(|ended| ended.branch != site.target.branch)
            .cloned()
            .collect();
        self.write_ended(site.object, &before, &kept).await?;
        look_at(&self.inbox, site);
        Ok(())
    }

    /// The branch is remembered before its environment goes, or the next look would bring it back.
    async fn remove(&self, site: &Site<'_>, environment: &Environment) -> Result<Option<String>, cluster::Error> {
        let Ok(existing) = convert::environment::existing(environment) else {
            return Ok(Some("the Environment cannot be understood".to_owned()));
        };
        let Ok(revision) = existing.revision.parse() else {
            return Ok(Some("the Environment cannot be understood".to_owned()));
        };
        let before = self.ended_of(site.object).await.unwrap_or_default();
        let mut ended: Vec<_> = site.ended.iter().filter(|ended| ended.branch != existing.branch).cloned().collect();
        if ended.len() >= MOST_ENDED {
            return Ok(Some(
                "too many branches without an environment are remembered: delete branches that nobody needs".to_owned(),
            ));
        }
        ended.push(Ended {
            repository: existing.repository,
            branch: existing.branch,
            revision,
            because: crate::domain::roster::EndedBecause::Requested,
        });
        self.write_ended(site.object, &before, &ended).await?;
        let text = format!("{} asked for it with /preview down in {}", site.author, site.place());
        let reason = Reason::new(Cause::Requested, &text);
        let mut current = environment.clone();
        // Statuses and notes of what was told are written all along; only another commit or another environment is news.
        for _ in 0..TRIES {
            if environments::retire(self.client.clone(), &current, &reason, Timestamp::now()).await? == Retired::Deleted {
                return Ok(None);
            }
            let fresh = environments::read(self.client.clone(), &site.project.key, &existing.name).await?;
            let same = |fresh: &Environment| fresh.uid() == current.uid() && fresh.spec.revision == current.spec.revision;
            let Some(fresh) = fresh.filter(same) else { break };
            current = fresh;
        }
        Ok(Some("the environment has changed just now, so write it again".to_owned()))
    }

    async fn wake(&self, site: &Site<'_>, environment: &Environment, grace: &Grace) -> Result<Option<String>, cluster::Error> {
        let Some(wanted) = convert::environment::existing(environment)
            .ok()
            .and_then(|existing| woken(existing, grace))
        else {
            return Ok(Some("the Environment cannot be understood".to_owned()));
        };
        let (uid, version) = (environment.uid(), environment.resource_version());
        let precondition = Precondition {
            uid: uid.as_deref(),
            version: version.as_deref(),
        };
        environments::apply(self.client.clone(), &site.project.key, &wanted, precondition).await?;
        Ok(None)
    }

    async fn announce_order(&self, site: &Site<'_>, answer: &str) {
        let Some(environment) = &site.target.environment else { return };
        let announcement = Announcement {
            reason: "CommentObeyed",
            warning: false,
            note: format!("{} in {}: {answer}", site.author, site.place()),
        };
        self.publisher.announce(&environment.object_ref(&()), &announcement).await;
    }
}

/// What an order is carried out on, and for whom.
struct Site<'a> {
    object: &'a Project,
    project: &'a policy::Project,
    heard: &'a Heard,
    author: &'a str,
    target: &'a Target,
    ended: &'a [Ended],
}

impl Site<'_> {
    fn place(&self) -> String {
        let comment = &self.heard.comment;
        format!("comment {} of pull request {}", comment.id, comment.pull_request)
    }
}

fn subject(target: &Target, ended: &[Ended]) -> Subject {
    Subject {
        branch: target.branch.to_string(),
        environment: target.environment.as_ref().map(standing),
        ended: ended.iter().find(|ended| ended.branch == target.branch).map(|ended| ended.because),
    }
}

fn standing(environment: &Environment) -> Standing {
    let none = EnvironmentStatus::default();
    let status = environment.status.as_ref().unwrap_or(&none);
    let run = convert::run::run(environment.status.as_ref()).ok().flatten();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    Standing {
        phase: status.phase.map_or(Phase::Pending, convert::environment::phase_to_domain),
        message: status.message.clone().unwrap_or_default(),
        url: status.url.clone(),
        applied: status.revision.as_ref().and_then(|revision| revision.applied.clone()),
        expires: status.expires_at.as_ref().map(|time| time.0),
        active: activity::latest(environment, Some(status)),
        pinned: environment.spec.pinned,
        grace: environment.spec.grace.as_ref().map(convert::grace::grace),
        first_stage: run.and_then(|run| run.stages.first().map(|stage| stage.name.clone())),
        next: ready.and_then(|ready| next_step(&ready.reason)).map(str::to_owned),
        deleting: environment.metadata.deletion_timestamp.is_some(),
    }
}

fn woken(existing: Existing, grace: &Grace) -> Option<Wanted> {
    Some(Wanted {
        name: existing.name,
        branch: existing.branch,
        repository: existing.repository,
        revision: existing.revision.parse().ok()?,
        pull_request: existing.pull_request,
        grace: Some(grace.clone()),
    })
}

/// As a delivery about the pull request would. A full inbox costs one sweep interval.
fn look_at(inbox: &Inbox, site: &Site<'_>) {
    let hint = Hint {
        host: site.project.host.clone(),
        repository: RepositoryHint {
            id: None,
            name: site.project.repository.clone(),
        },
        branch: site.target.branch.clone(),
        happening: Happening::PullRequestChanged,
        delivery: DeliveryId::default(),
    };
    let _ = inbox.offer(hint);
}
