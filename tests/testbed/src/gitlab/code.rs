//! What the real repository holds now, in GitLab's words.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{MergeRequest, Project};
use crate::exchange::{Request, Response};

impl Project {
    pub(super) fn object(&self) -> Value {
        let is_empty = self.heads().is_empty();
        json!({
            "id": self.id, "path_with_namespace": self.path, "visibility": "private", "archived": false, "empty_repo": is_empty,
            "default_branch": if is_empty { Value::Null } else { json!(self.default_branch) },
        })
    }

    pub(super) fn branches(&self) -> Vec<Value> {
        self.heads().iter().map(|(name, head)| branch(name, head)).collect()
    }

    pub(super) fn branch(&self, name: &str) -> Response {
        match self.heads().get(name) {
            Some(head) => Response::json(200, &branch(name, head)),
            None => Response::message(404, "404 Branch Not Found"),
        }
    }

    pub(super) fn merge_requests(&self, request: &Request) -> Vec<Value> {
        let source = request.parameter("source_branch");
        let wanted = self
            .merge_requests
            .iter()
            .filter(|one| source.as_ref().is_none_or(|source| one.source_branch == *source));
        wanted.map(|one| self.merge_request(one)).collect()
    }

    fn merge_request(&self, one: &MergeRequest) -> Value {
        json!({
            "id": one.iid + 1000, "iid": one.iid, "project_id": self.id, "title": format!("Merge {}", one.source_branch), "state": "opened",
            "source_branch": one.source_branch, "source_project_id": one.source_project, "target_branch": self.default_branch,
            "target_project_id": self.id, "author": {"id": 4, "username": "mona", "state": "active"}, "labels": one.labels,
            "draft": one.draft, "work_in_progress": one.draft, "sha": one.sha,
        })
    }

    pub(super) fn commit(&self, commit: &str) -> Response {
        match self.has(commit) {
            true => Response::json(200, &json!({"id": commit})),
            false => Response::message(404, "404 Commit Not Found"),
        }
    }

    pub(super) fn archive(&self, commit: &str) -> Response {
        let prefix = format!("--prefix=shop-{commit}-{commit}/");
        let made = self.has(commit).then(|| self.git(&["archive", "--format=tar.gz", &prefix, commit]));
        match made.filter(|output| output.status.success()) {
            Some(output) => Response::new(200, "application/octet-stream", output.stdout),
            None => Response::message(404, "404 File Not Found"),
        }
    }

    pub(super) fn compare(&self, request: &Request) -> Response {
        let [from, to] = ["from", "to"].map(|name| request.parameter(name).unwrap_or_default());
        if !self.has(&from) || !self.has(&to) {
            return Response::message(404, "404 Ref Not Found");
        }
        let output = self.git(&["diff", "--name-status", "-M", "-z", &format!("{from}...{to}")]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (mut words, mut diffs) = (text.split('\0'), Vec::new());
        while let (Some(kind), Some(old)) = (words.next(), words.next()) {
            let new = if kind.starts_with('R') { words.next().unwrap_or(old) } else { old };
            let is_shown = diffs.len() < self.diff_limit;
            diffs.push(json!({
                "old_path": old, "new_path": new, "a_mode": "100644", "b_mode": "100644", "diff": if is_shown { "@@ -1 +1 @@\n" } else { "" },
                "new_file": kind == "A", "renamed_file": old != new, "deleted_file": kind == "D", "collapsed": !is_shown, "too_large": false,
            }));
        }
        Response::json(
            200,
            &json!({"commits": [], "diffs": diffs, "compare_timeout": false, "compare_same_ref": from == to}),
        )
    }

    pub(super) fn member(&self, user: &str, users: &BTreeMap<u64, (String, String)>) -> Response {
        let id: u64 = user.parse().unwrap_or_default();
        match (self.members.get(&id), users.get(&id)) {
            (Some(level), Some((name, state))) => Response::json(
                200,
                &json!({"id": id, "username": name, "state": state, "access_level": level, "membership_state": "active", "expires_at": null}),
            ),
            _ => Response::message(404, "404 Not found"),
        }
    }

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

    fn git(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.directory).args(arguments);
        command.output().expect("git is installed")
    }
}

fn branch(name: &str, head: &str) -> Value {
    json!({"name": name, "commit": {"id": head, "short_id": &head[..8]}, "merged": false, "protected": false, "default": false})
}
