//! The last lines of what failed, without what the environment's own Secrets hold.

use std::time::Duration;

use super::Feedback;
use crate::api::Environment;
use crate::api::convert;
use crate::cluster::connection::Deployer;
use crate::cluster::diagnosis::diagnose_all;
use crate::cluster::records::Records;
use crate::domain::feedback::{Log, MAX_LOG_LINES, Standing};
use crate::domain::run::{RunNumber, StageState};

/// What cannot be read within this is left out.
const PATIENCE: Duration = Duration::from_secs(20);

impl Feedback {
    /// What the failed stage wrote last. Where it is not known what has to be hidden, nothing is shown.
    pub(super) async fn log(&self, environment: &Environment, standing: &Standing) -> Option<Log> {
        tokio::time::timeout(PATIENCE, self.read_log(environment, standing)).await.ok()?
    }

    async fn read_log(&self, environment: &Environment, standing: &Standing) -> Option<Log> {
        let failed = standing.stages.iter().find(|stage| stage.state == StageState::Failed)?;
        let identity = convert::environment::identity(environment).ok()?;
        let status = environment.status.as_ref()?;
        let stored = status.deployer.as_ref()?;
        let deployer = Deployer {
            namespace: stored.namespace.parse().ok()?,
            name: stored.name.parse().ok()?,
        };
        let inventory = convert::environment::inventory(Some(status)).ok()?;
        let records = Records {
            environment: &identity.name,
            deployer: &deployer,
            inventory: &inventory,
        };
        let run = RunNumber(status.run.as_ref()?.number);
        let (stored, _) = self.observer.stored_record(&records, run).await.ok()?;
        let logs = stored.journal.logs.iter().rev();
        let of_stage = logs.filter(|log| log.stage == failed.name && !log.lines.is_empty());
        if let Some(log) = of_stage.max_by_key(|log| log.attempt) {
            return Some(Log {
                of: log.container.clone(),
                lines: last(log.lines.iter().map(String::as_str)),
            });
        }
        // No job of its own: then something that it applied may have written why it does not stay up.
        let mask = self.observer.read_record(&records, run).await.ok()?.contents.mask();
        let client = self.observer.connection.deployer(&deployer).ok()?;
        let tail = diagnose_all(&client, &identity.name.namespace()).await.scene.log?;
        let text = mask.apply(&tail.text);
        Some(Log {
            of: tail.container,
            lines: last(text.lines()),
        })
    }
}

fn last<'l>(lines: impl DoubleEndedIterator<Item = &'l str>) -> Vec<String> {
    let filled = lines.rev().filter(|line| !line.trim().is_empty());
    let mut kept: Vec<String> = filled.take(MAX_LOG_LINES).map(str::to_owned).collect();
    kept.reverse();
    kept
}
