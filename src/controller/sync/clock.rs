//! What time it is, for rules that end environments after a time.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use tokio::sync::Mutex;

use super::{Sync, uptime};
use crate::cluster::clock::server_time;
use crate::controller::stores::Member;
use crate::domain::deadline::{Clock, Reading};
use crate::domain::policy::Project;

/// The API server's clock as the process has come to know it. It is lost with the process; that only delays.
#[derive(Debug, Default)]
pub struct ServerClock(Mutex<Clock>);

impl ServerClock {
    /// The API server's time, read anew if the last reading is old. `None` if it cannot be told: then nothing is over.
    pub(super) async fn now(&self, client: &Client) -> Option<Timestamp> {
        let mut clock = self.0.lock().await;
        if clock.is_stale(uptime()) {
            match server_time(client).await {
                Ok(server) => clock.read(Reading {
                    server,
                    machine: Timestamp::now(),
                    uptime: uptime(),
                }),
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "the time cannot be told; nothing expires, rests or ends its rest meanwhile");
                    return None;
                }
            }
        }
        clock.now(uptime())
    }
}

impl Sync {
    /// The API server's time, where something of the Project depends on it.
    pub(super) async fn server_time(&self, project: &Project, environments: &[Arc<Member>]) -> Option<Timestamp> {
        let is_marked = |environment: &Arc<Member>| environment.spec.grace.is_some();
        match project.depends_on_time() || environments.iter().any(is_marked) {
            true => self.clock.now(&self.client).await,
            false => None,
        }
    }
}
