//! What the real repository holds now, and what was said of it.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use super::{Comment, Repository, Status};
use crate::exchange::Response;

impl Repository {
    /// Whether there is such a commit.
    pub(super) fn has(&self, commit: &str) -> bool {
        let is_id = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id && self.git(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).status.success()
    }

    /// Every branch with its head, by name.
    pub(super) fn heads(&self) -> BTreeMap<String, String> {
        let output = self.git(&["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let heads = lines.lines().filter_map(|line| line.split_once(" refs/heads/"));
        heads.map(|(head, name)| (name.to_owned(), head.to_owned())).collect()
    }

    pub(super) fn archive(&self, commit: &str, prefix: &str) -> Option<Response> {
        let prefix = format!("--prefix={prefix}");
        let made = self.has(commit).then(|| self.git(&["archive", "--format=tar.gz", &prefix, commit]));
        let made = made.filter(|output| output.status.success())?;
        Some(Response::new(200, "application/octet-stream", made.stdout))
    }

    /// The names of each file that differs between the merge base and `source`, before and after.
    pub(super) fn changes(&self, source: &str, target: &str) -> Option<Vec<(String, String)>> {
        if !self.has(source) || !self.has(target) {
            return None;
        }
        let output = self.git(&["diff", "--name-status", "-M", "-z", &format!("{target}...{source}")]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (mut words, mut changes) = (text.split('\0'), Vec::new());
        while let (Some(kind), Some(old)) = (words.next(), words.next()) {
            let new = if kind.starts_with('R') { words.next().unwrap_or(old) } else { old };
            changes.push((old.to_owned(), new.to_owned()));
        }
        Some(changes)
    }

    /// Key, name, state, address and description.
    pub(super) fn set_status(&mut self, commit: &str, [key, name, state, url, description]: [String; 5]) {
        self.statuses.retain(|one| one.commit != commit || one.key != key);
        self.last += 1;
        self.statuses.push(Status {
            commit: commit.to_owned(),
            key,
            name,
            state,
            url,
            description,
            number: self.last,
        });
    }

    pub(super) fn write_comment(&mut self, pull_request: u64, body: &str) -> Comment {
        self.last += 1;
        let mut comment = Comment::new(self.last, pull_request, (super::ACCOUNT, "graftling"), body);
        comment.is_person = false;
        self.comments.push(comment.clone());
        comment
    }

    fn git(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.directory).args(arguments);
        command.output().expect("git is installed")
    }
}
