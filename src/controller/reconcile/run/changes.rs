//! Stages that run only if some files have changed: what has, is found out once for a run that has such a stage before it.

use super::{Reconciler, Site, Work};
use crate::domain::bundle::pipeline::Stage;
use crate::domain::run::StageState;

impl Reconciler {
    /// Finds out which files have changed, where a stage that has not begun depends on it.
    pub(in crate::controller::reconcile) async fn compare_commits(&self, site: &Site<'_>, work: &mut Work) {
        let uid = &site.identity.uid;
        if !work.depends_on_changes() {
            return self.changes.forget(uid);
        }
        let status = site.environment.status.as_ref();
        let before = status.and_then(|status| status.revision.as_ref()?.applied.as_ref()?.parse().ok());
        let (Some(before), Ok(after)) = (before, work.run.revision.parse()) else {
            return;
        };
        let commits = (&before, &after);
        work.changed = self.changes.between(uid, &site.wish.project, &site.identity.branch, commits).await;
    }
}

impl Work {
    /// Whether a stage that has not begun runs only if some files have changed.
    fn depends_on_changes(&self) -> bool {
        let is_open = |stage: &&Stage| {
            let own = self.run.stage(&stage.name);
            own.is_some_and(|own| own.state == StageState::Waiting && own.tries == 0)
        };
        let mut open = self.staged.stages.iter().filter(is_open);
        open.any(|stage| !stage.when.changes.is_empty())
    }
}
