//! What is answered to a comment, where its host lets us write one.

use super::super::Sync;
use super::Heard;
use crate::cluster::error::chain;
use crate::domain::comment::{Comment, MARKER, Permission};
use crate::domain::git::RepositoryName;
use crate::domain::policy;
use crate::githost::Error;
use crate::githost::report::Report;

impl Sync {
    /// Who may not write to the repository is told so, once on each pull request however often they ask.
    pub(super) async fn refuse_once(&self, project: &policy::Project, heard: &Heard) {
        if heard.permission >= Permission::Write || heard.comment.edited {
            return;
        }
        let Some(connected) = self.connected(&project.host).await else {
            return;
        };
        let Some(report) = connected.host.report() else { return };
        // Whoever holds this lock is the only one to answer: two comments of one person come to one answer.
        let progress = self.progress.of(&project.key);
        let _held = progress.lock().await;
        if let Err(error) = refuse(report, &project.repository, &heard.comment).await {
            tracing::warn!(project = %project.key, error = %chain(&error), "could not answer a comment");
        }
    }

    /// Answers a comment in one line.
    pub(super) async fn reply(&self, project: &policy::Project, heard: &Heard, answer: &str) {
        let Some(connected) = self.connected(&project.host).await else {
            return;
        };
        let Some(report) = connected.host.report() else { return };
        let text = format!("{}\n\n{MARKER}:answer:{} -->", plain_line(answer), heard.comment.id);
        let written = report.write_comment(&project.repository, heard.comment.pull_request, &text);
        if let Err(error) = written.await {
            tracing::warn!(project = %project.key, error = %chain(&error), "could not answer a comment");
        }
    }
}

/// Programs are told nothing, or two of them could talk for ever. That somebody was told stands in the answer itself.
async fn refuse(report: &dyn Report, name: &RepositoryName, comment: &Comment) -> Result<(), Error> {
    let Some(author) = comment.author.as_deref().filter(|_| !comment.automated) else {
        return Ok(());
    };
    let marker = format!("{MARKER}:refused:{} -->", plain(author));
    if report.own_comment(name, comment.pull_request, &marker).await?.is_some() {
        return Ok(());
    }
    let text = format!("`/preview` is for people who may write to this repository.\n\n{marker}");
    report.write_comment(name, comment.pull_request, &text).await.map(drop)
}

/// A login as part of a marker: nothing that could end it.
fn plain(login: &str) -> String {
    let keep = |character: char| if character.is_alphanumeric() { character } else { '_' };
    login.chars().take(100).map(keep).collect()
}

/// One line that mentions nobody and begins no command.
fn plain_line(text: &str) -> String {
    let keep = |character: char| match character {
        '@' | '<' | '>' => ' ',
        other if other.is_control() => ' ',
        other => other,
    };
    format!("Preview: {}", text.chars().take(1000).map(keep).collect::<String>())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a lock that is poisoned is the test's failure")]

    use std::sync::Mutex;

    use futures::FutureExt;
    use futures::future::BoxFuture;
    use jiff::Timestamp;

    use super::*;
    use crate::domain::report::{CommitReport, DeploymentReport};
    use crate::githost::report::OwnComment;

    /// A host that keeps the comments that we write, each with its pull request.
    #[derive(Default)]
    struct Written(Mutex<Vec<(u64, String)>>);

    impl Report for Written {
        fn commit<'a>(&'a self, _: &'a RepositoryName, _: &'a CommitReport) -> BoxFuture<'a, Result<(), Error>> {
            async { Ok(()) }.boxed()
        }

        fn own_comment<'a>(
            &'a self,
            _: &'a RepositoryName,
            pull_request: u64,
            marker: &'a str,
        ) -> BoxFuture<'a, Result<Option<OwnComment>, Error>> {
            let all = self.0.lock().unwrap();
            let found = all.iter().find(|(on, body)| *on == pull_request && body.contains(marker));
            let found = found.map(|(_, body)| OwnComment { id: 1, body: body.clone() });
            async { Ok(found) }.boxed()
        }

        fn write_comment<'a>(&'a self, _: &'a RepositoryName, pull_request: u64, body: &'a str) -> BoxFuture<'a, Result<u64, Error>> {
            self.0.lock().unwrap().push((pull_request, body.to_owned()));
            async { Ok(1) }.boxed()
        }

        fn edit_comment<'a>(&'a self, _: &'a RepositoryName, _: u64, _: u64, _: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
            async { Ok(false) }.boxed()
        }

        fn deployment<'a>(
            &'a self,
            _: &'a RepositoryName,
            _: &'a DeploymentReport,
            _: Option<u64>,
        ) -> BoxFuture<'a, Result<Option<u64>, Error>> {
            async { Ok(None) }.boxed()
        }
    }

    fn comment(author: &str, pull_request: u64) -> Comment {
        Comment {
            id: 1,
            pull_request,
            author: Some(author.to_owned()),
            automated: false,
            body: "/preview down".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            edited: false,
        }
    }

    #[tokio::test]
    async fn feature_t11_a_stranger_is_told_once_on_each_pull_request_and_a_program_never() {
        let (host, name) = (Written::default(), "acme/shop".parse().unwrap());
        let robot = Comment {
            automated: true,
            ..comment("bot", 1)
        };
        for asked in [comment("eve", 1), comment("eve", 1), comment("eve", 2), comment("bob", 1), robot] {
            refuse(&host, &name, &asked).await.unwrap();
        }
        let written = host.0.into_inner().unwrap();
        let places: Vec<_> = written.iter().map(|(on, body)| (*on, body.contains(":refused:eve "))).collect();
        assert_eq!(places, [(1, true), (2, true), (1, false)]);
        assert!(written.iter().all(|(_, body)| crate::domain::comment::wish(body).is_none()));
    }

    #[test]
    fn an_answer_is_one_line_that_mentions_nobody_and_is_no_command() {
        let line = plain_line("/preview down\n/preview down @all <!-- x -->");
        assert_eq!(line, "Preview: /preview down /preview down  all  !-- x -- ");
        assert_eq!(crate::domain::comment::wish(&line), None);
        assert_eq!(plain("a-->b"), "a___b");
    }
}
