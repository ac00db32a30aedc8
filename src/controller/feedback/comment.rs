//! The one comment on a pull request: found or written, then changed in place.

use super::refusals::Kind;
use super::{Feedback, Place, Telling, over};
use crate::api::Environment;
use crate::controller::outbox::Failure;
use crate::domain::feedback::{self, Log, Removal, Standing, Told, ToldComment, Verdict};

/// Whether the comment would say something else than what was told last.
pub(super) fn is_news(standing: &Standing, told: Option<&ToldComment>) -> bool {
    let is_known = |told: &&ToldComment| standing.pull_request.is_none_or(|number| number == told.pull_request);
    match told.filter(is_known) {
        Some(told) => told.digest != ToldComment::digest_of(&feedback::comment(standing, None)),
        None => standing.pull_request.is_some() && may_begin(standing),
    }
}

/// What is on its way out gets no new comment.
fn may_begin(standing: &Standing) -> bool {
    !matches!(standing.verdict(), Verdict::Asleep | Verdict::Going | Verdict::Stuck)
}

impl Feedback {
    /// Writes what is to be read on the pull request. One that was closed keeps its comment, and that is kept true.
    pub(super) async fn comment(&self, telling: &Telling<'_>, told: &mut Told) -> Result<(), Failure> {
        let standing = telling.standing;
        if self.is_refused(telling, Kind::Comment) || !is_news(standing, told.comment.as_ref()) {
            return Ok(());
        }
        let of_before = told.comment.as_ref().map(|comment| comment.pull_request);
        let Some(number) = standing.pull_request.or(of_before) else {
            return Ok(());
        };
        let known = told.comment.take().filter(|comment| comment.pull_request == number);
        let (known, digest) = (known.and_then(|comment| comment.id), feedback::comment(standing, None));
        let mut now = ToldComment {
            pull_request: number,
            id: known,
            digest: String::new(),
        };
        told.comment = Some(now.clone());
        telling.mark.keep(&told.text()).await?;
        let log = match standing.verdict() {
            Verdict::Failed => self.log(telling.environment, standing).await,
            _ => None,
        };
        let Some(id) = self.upsert(telling, number, known, log.as_ref()).await? else {
            return Ok(());
        };
        (now.id, now.digest) = (id, ToldComment::digest_of(&digest));
        told.comment = Some(now);
        telling.mark.keep(&told.text()).await
    }

    /// The number of the comment, if there is one now; nothing if the host refuses it.
    async fn upsert(
        &self,
        telling: &Telling<'_>,
        number: u64,
        known: Option<u64>,
        log: Option<&Log>,
    ) -> Result<Option<Option<u64>>, Failure> {
        let (repository, standing) = (&telling.place.repository, telling.standing);
        let body = feedback::comment(standing, log);
        let text = body.as_str();
        let edit = |id: u64| self.ask(telling, Kind::Comment, move |host| host.edit_comment(repository, number, id, text));
        if let Some(known) = known {
            match edit(known).await? {
                None => return Ok(None),
                Some(true) => return Ok(Some(Some(known))),
                Some(false) => {}
            }
        }
        // An answer may have been lost, or the mark: the comment is known by what stands in it and who wrote it.
        let marker = feedback::marker(&standing.environment);
        let found = self
            .ask(telling, Kind::Comment, |host| host.own_comment(repository, number, &marker))
            .await?;
        match found {
            None => Ok(None),
            Some(Some(own)) if own.body == body => Ok(Some(Some(own.id))),
            Some(Some(own)) => Ok(edit(own.id).await?.map(|is_there| is_there.then_some(own.id))),
            Some(None) if !may_begin(standing) || standing.pull_request.is_none() => Ok(Some(None)),
            Some(None) => {
                let written = self.ask(telling, Kind::Comment, |host| host.write_comment(repository, number, &body));
                Ok(written.await?.map(Some))
            }
        }
    }

    /// The last words: only where there is a comment, and unless the environment that has the name now speaks there.
    pub(super) async fn comment_end(
        &self,
        place: &Place,
        told: &Told,
        removal: &Removal,
        successor: Option<&Environment>,
    ) -> Result<(), Failure> {
        let Some(comment) = told.comment.as_ref().filter(|_| place.wants.comment) else {
            return Ok(());
        };
        let number = comment.pull_request;
        let pull_request = successor.and_then(|environment| environment.spec.pull_request.as_ref());
        if pull_request.is_some_and(|pull| u64::try_from(pull.number) == Ok(number)) {
            return Ok(());
        }
        let id = match comment.id {
            Some(id) => Some(id),
            None => {
                let marker = feedback::marker(&removal.environment);
                let found = self.call(place, |host| host.own_comment(&place.repository, number, &marker)).await;
                match found {
                    Ok(own) => own.map(|own| own.id),
                    Err(error) => return over::<()>(Err(error)),
                }
            }
        };
        let Some(id) = id else { return Ok(()) };
        let body = feedback::removed(removal);
        over(
            self.call(place, |host| host.edit_comment(&place.repository, number, id, &body))
                .await,
        )
    }
}
