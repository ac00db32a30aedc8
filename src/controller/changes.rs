//! Which files have changed between two commits, for stages that run only then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::hosts::Hosts;
use crate::cluster::error::chain;
use crate::domain::git::{BranchName, Commit, Revision};
use crate::domain::policy::Project;
use crate::githost::{Error, Leaf, Tree};

/// Compares commits, and remembers what came of it while a run needs it. Cheap to clone.
///
/// Both commits are fetched whole and compared here: each host can give a commit, and few can compare two.
#[derive(Clone)]
pub struct Changes {
    hosts: Hosts,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// The files between two commits; none: it could not be found out.
type Paths = Option<Arc<[String]>>;

struct Known {
    between: (Revision, Revision),
    paths: Paths,
}

/// How long a comparison may take. What is not known by then counts as changed.
const PATIENCE: Duration = Duration::from_secs(20);

impl Changes {
    /// Compares with the commits of `hosts`.
    pub fn new(hosts: Hosts) -> Self {
        Self {
            hosts,
            known: Arc::default(),
        }
    }

    /// The paths of files that differ between two commits of a branch. `None`: the host could not give both, so each file may have changed.
    pub async fn between(&self, uid: &str, project: &Project, branch: &BranchName, (before, after): (&Revision, &Revision)) -> Paths {
        if before == after {
            return Some(Arc::from([]));
        }
        let between = (before.clone(), after.clone());
        if let Some(known) = self.lock().get(uid).filter(|known| known.between == between) {
            return known.paths.clone();
        }
        let compared = tokio::time::timeout(PATIENCE, self.compare(project, branch, &between)).await;
        let paths = match compared {
            Ok(Some(Ok(paths))) => Some(paths.into()),
            Ok(Some(Err(error))) => {
                tracing::warn!(project = %project.key.name, error = %chain(&error), "what changed between two commits is not known");
                None
            }
            Ok(None) | Err(_) => None,
        };
        let known = Known {
            between,
            paths: paths.clone(),
        };
        self.lock().insert(uid.to_owned(), known);
        paths
    }

    /// Forgets what a run no longer needs.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    async fn compare(
        &self,
        project: &Project,
        branch: &BranchName,
        (before, after): &(Revision, Revision),
    ) -> Option<Result<Vec<String>, Error>> {
        let connected = self.hosts.get(&project.host)?;
        let tree = |revision: &Revision| {
            let commit = Commit {
                branch: branch.clone(),
                revision: revision.clone(),
            };
            let host = connected.host.clone();
            async move { host.checkout(&project.repository, &commit).await }
        };
        Some(match tree(before).await {
            Ok(before) => tree(after).await.map(|after| changed(&before, &after)),
            Err(error) => Err(error),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was added, removed, or has another content or kind.
fn changed(before: &Tree, after: &Tree) -> Vec<String> {
    let differs = |(path, leaf): &(&String, &Leaf)| after.get(*path) != Some(*leaf);
    let gone = before.iter().filter(differs).map(|(path, _)| path.clone());
    let new = after.keys().filter(|path| !before.contains_key(*path)).cloned();
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, is_executable: bool) -> Leaf {
        Leaf::File {
            bytes: text.as_bytes().to_vec(),
            is_executable,
        }
    }

    #[test]
    fn a_file_has_changed_if_it_came_or_went_or_is_another() {
        let tree = |leaves: Vec<(&str, Leaf)>| -> Tree { leaves.into_iter().map(|(path, leaf)| (path.to_owned(), leaf)).collect() };
        let link = |target: &str| Leaf::Link { target: target.to_owned() };
        let before = tree(vec![
            ("same", file("a", false)),
            ("content", file("a", false)),
            ("mode", file("a", false)),
            ("kind", link("same")),
            ("gone", file("a", false)),
        ]);
        let after = tree(vec![
            ("same", file("a", false)),
            ("content", file("b", false)),
            ("mode", file("a", true)),
            ("kind", file("same", false)),
            ("new", file("a", false)),
        ]);
        let mut found = changed(&before, &after);
        found.sort();
        assert_eq!(found, ["content", "gone", "kind", "mode", "new"]);
        assert!(changed(&after, &after).is_empty());
    }
}
