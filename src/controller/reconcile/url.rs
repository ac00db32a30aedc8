//! The environment's own URL, which has to answer before the environment counts as ready.

use std::time::Duration;

use super::Reconciler;
use super::run::Site;
use crate::api::environment::{Environment, Phase};
use crate::controller::errands::{Around, Asked, Asker, ErrandKey, Pace};
use crate::domain::errand::{Errand, UrlProbe, Worth};
use crate::domain::stage::check::Statuses;
use crate::domain::status::Report;
use crate::domain::status::url::{UrlState, must_ask, summarise_url};
use crate::domain::why::Class;

/// How much time there is between an answer and the next question.
const EVERY: Duration = Duration::from_secs(5);

/// What no stage can be called: names of stages are DNS labels.
const QUESTION: &str = "the URL";

impl Reconciler {
    /// The report, if everything else is ready, with what the URL says. It is asked beside the pass, and its answer wakes the environment.
    pub(super) fn url_told(&self, site: &Site<'_>, report: Report) -> Report {
        let environment = site.environment;
        let Some(check) = &site.wish.project.url_check else { return report };
        let Some(run) = report.run.as_ref().map(|run| run.number) else {
            return report;
        };
        if !must_ask(&report, is_ready_at(environment, site.identity.revision.as_str())) {
            return report;
        }
        let url = check.url(&site.desired.addresses.url);
        let probe = UrlProbe {
            url: url.clone(),
            statuses: Statuses::ranges(check.statuses()),
            within: check.within(),
        };
        let key = ErrandKey {
            environment: asker(environment),
            run,
            stage: QUESTION.to_owned(),
            try_number: 0,
            question: 0,
        };
        let around = Around::new(site.identity, &site.wish.project, &site.desired.addresses, run);
        match self.errands.ask(&key, Pace::every(EVERY), || Errand::Url(probe), &around) {
            Asked::Answer(answer, _) if answer.worth == Worth::Good => report,
            Asked::Answer(answer, again) => summarise_url(report, &url, &UrlState::Bad(answer.message), Some(again)),
            Asked::UnderWay => summarise_url(report, &url, &before(environment), None),
            Asked::Later(again) => summarise_url(report, &url, &before(environment), Some(again)),
        }
    }
}

fn is_ready_at(environment: &Environment, revision: &str) -> bool {
    environment.status.as_ref().is_some_and(|status| {
        let applied = status.revision.as_ref().and_then(|of| of.applied.as_deref());
        status.phase == Some(Phase::Ready) && applied == Some(revision)
    })
}

/// What was told of the URL last, so that a question under way is no news.
fn before(environment: &Environment) -> UrlState {
    let status = environment.status.as_ref();
    let ready = status.and_then(|status| status.conditions.iter().find(|condition| condition.type_ == "Ready"));
    match ready {
        Some(condition) if condition.reason == Class::UrlNotAnswering.name() => UrlState::Told(condition.message.clone()),
        _ => UrlState::Asked,
    }
}

fn asker(environment: &Environment) -> Asker {
    use kube::ResourceExt;
    Asker {
        namespace: environment.namespace().unwrap_or_default(),
        name: environment.name_any(),
        uid: environment.uid().unwrap_or_default(),
        project: environment.spec.project_ref.name.clone(),
    }
}
