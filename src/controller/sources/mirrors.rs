//! Files of a commit from whichever host has it: the primary, then its mirrors.

use super::{Error, Sources};
use crate::domain::git::{Commit, TreePath};
use crate::domain::policy::{Mirror, Project};
use crate::githost::{self, Files};

/// Where a Project's repository is, the primary first.
pub(super) fn places(project: &Project) -> Vec<Mirror> {
    let primary = Mirror {
        host: project.host.clone(),
        repository: project.repository.clone(),
    };
    std::iter::once(primary).chain(project.mirrors.iter().cloned()).collect()
}

impl Sources {
    /// The files of the first host that has the commit; else what the primary said.
    ///
    /// # Errors
    /// There is no connection to the primary, and no mirror has the commit.
    pub(super) async fn files_at(
        &self,
        places: &[Mirror],
        commit: &Commit,
        path: &TreePath,
    ) -> Result<Result<Files, githost::Error>, Error> {
        let mut first = None;
        for place in places {
            let answer = match self.connected(&place.host).await {
                Some(connected) => Ok(connected.host.files(&place.repository, commit, path).await),
                None => Err(Error::FindHost(place.host.name.clone())),
            };
            match answer {
                // Of a commit that is there, all hosts say the same.
                Ok(answer @ (Ok(_) | Err(githost::Error::PathNotFound { .. } | githost::Error::RefuseTree { .. }))) => return Ok(answer),
                other => {
                    first.get_or_insert(other);
                }
            }
        }
        first.unwrap_or_else(|| unreachable_place(places))
    }
}

/// There is always a primary.
fn unreachable_place(_: &[Mirror]) -> Result<Result<Files, githost::Error>, Error> {
    let problem = "the Project names no host".to_owned();
    Ok(Err(githost::Error::Misconfigured { problem }))
}
