//! What operators that read plain YAML from Git have in common: branches with everything filled in, their definitions, and their orders.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::ListParams;
use serde_json::Value;

use super::task::{Environment, Namer};
use super::{Error, branches, content, stage};
use crate::command::Running;
use crate::subject::{LONG, objects};
use crate::wait::Stopped;
use crate::{Repository, error_chain, wait};

/// The file in the repository.
const FILE: &str = "e14.yaml";

/// So many orders are under way at a time.
const ORDERS: usize = 64;

/// A repository whose branches hold the plain YAML of their environments.
pub(super) struct Filled {
    namer: Namer,
    repository: Repository,
    /// The commit of each branch.
    commits: Mutex<HashMap<String, String>>,
}

impl Filled {
    /// A repository without branches.
    pub(super) fn create(namer: Namer) -> Result<Filled, Error> {
        Ok(Filled {
            namer,
            repository: Repository::create().map_err(Error::ChangeRepository)?,
            commits: Mutex::default(),
        })
    }

    /// Its folder.
    pub(super) fn path(&self) -> PathBuf {
        self.repository.path()
    }

    /// Its URL of a file.
    pub(super) fn url(&self) -> String {
        self.repository.url()
    }

    /// Pushes new branches with their files.
    pub(super) fn enter(&self, branches: &[String]) -> Result<Vec<Environment>, Error> {
        let environments = branches.iter().map(|branch| self.namer.environment(branch));
        self.pushed(environments.collect::<Result<_, _>>()?)
    }

    /// Pushes the next revision of each.
    pub(super) fn advance(&self, environments: &[Environment]) -> Result<Vec<Environment>, Error> {
        let next = environments.iter().map(|before| self.namer.next(before));
        self.pushed(next.collect::<Result<_, _>>()?)
    }

    /// Deletes the branches.
    pub(super) fn leave(&self, environments: &[Environment]) -> Result<(), Error> {
        let branches = branches::of(environments);
        self.repository.delete_branches(&branches).map_err(Error::ChangeRepository)
    }

    /// The commit that a branch was pushed at last.
    pub(super) fn commit(&self, branch: &str) -> Option<String> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).get(branch).cloned()
    }

    fn pushed(&self, environments: Vec<Environment>) -> Result<Vec<Environment>, Error> {
        let texts: Vec<String> = environments
            .iter()
            .map(|environment| content::text(&environment.naming))
            .collect::<Result<_, _>>()?;
        let files: Vec<[(&str, &str); 1]> = texts.iter().map(|text| [(FILE, text.as_str())]).collect();
        let names = branches::of(&environments);
        let pushes: Vec<(&str, &[(&str, &str)])> = names.iter().copied().zip(files.iter().map(|files| &files[..])).collect();
        self.repository.pack_refs().map_err(Error::ChangeRepository)?;
        let revisions = self.repository.push_many(&pushes).map_err(Error::ChangeRepository)?;
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        commits.extend(names.into_iter().map(str::to_owned).zip(revisions));
        drop(commits);
        Ok(environments)
    }
}

/// Gives the order of each environment, and says when the first was begun.
pub(super) async fn order_all<'a, F>(environments: &'a [Environment], order: impl Fn(&'a Environment) -> F) -> Result<Instant, Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let begin = Instant::now();
    let orders: Vec<_> = environments.iter().map(order).collect();
    stream::iter(orders).buffer_unordered(ORDERS).try_collect::<()>().await?;
    Ok(begin)
}

/// Writes the definitions of a file and waits until their resources are served and told of: a controller that starts before looks again only
/// after seconds, or ends at once.
pub(super) async fn define(admin: &kube::Client, file: &Path, namespace: &str) -> Result<(), Error> {
    let text = std::fs::read_to_string(file).map_err(Error::io("read", file))?;
    let definitions = content::parse(&text)?;
    for definition in &definitions {
        stage::apply(admin, definition.clone()).await?;
    }
    for definition in &definitions {
        let field = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = field("/spec/names/kind");
        let version = format!("{}/{}", field("/spec/group"), stored_version(definition));
        let look = || async {
            let api = objects::api(admin, &version, kind, Some(namespace)).await;
            let api = api.map_err(|error| error_chain(&error))?;
            let listed = api.list(&ListParams::default().limit(1)).await;
            listed.map(drop).map_err(|error| error_chain(&error))
        };
        wait::try_until(format!("served {kind}"), LONG, look).await.map_err(Error::Wait)?;
    }
    Ok(())
}

/// The version that objects of a definition are stored in.
fn stored_version(definition: &Value) -> &str {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let stored = versions.into_iter().flatten().find(|version| version["storage"] == true);
    stored.and_then(|version| version["name"].as_str()).unwrap_or_default()
}

/// Waits for a part of an operator that listens on loopback, or for its end.
pub(super) async fn await_listening(operator: &str, program: &Running, port: u16) -> Result<(), Error> {
    let listening = || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop) };
    let lives = || match program.exited() {
        Some(status) => Err(Error::Command {
            command: format!("a part of {operator} ({status})"),
            output: program.lines().join("\n"),
        }),
        None => Ok(()),
    };
    let waited = wait::try_until_or(format!("part of {operator} that listens"), LONG, listening, lives).await;
    waited.map_err(|stopped| match stopped {
        Stopped::TimedOut(error) => Error::Wait(error),
        Stopped::Hopeless(error) => error,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resource_is_looked_for_in_the_version_that_it_is_stored_in() {
        let versions = json!([{ "name": "v1beta1", "storage": false }, { "name": "v1", "storage": true }]);
        assert_eq!(stored_version(&json!({ "spec": { "versions": versions } })), "v1");
        assert_eq!(stored_version(&json!({})), "");
    }
}
