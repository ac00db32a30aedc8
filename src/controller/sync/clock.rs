//! The time that deadlines are judged by.

use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Sync;
use crate::api::Environment;
use crate::cluster::clock;
use crate::domain::deadline::Reading;
use crate::domain::policy;

impl Sync {
    /// The API server's time, as far as it is sure; `None` where nothing of the Project depends on it, or if it cannot be had.
    pub(super) async fn server_time(&self, project: &policy::Project, environments: &[Arc<Environment>]) -> Option<Timestamp> {
        let is_marked = |environment: &Arc<Environment>| environment.spec.grace.is_some();
        if project.grace_after_delete.is_none() && !environments.iter().any(is_marked) {
            return None;
        }
        if self
            .progress
            .clock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_stale(uptime())
        {
            self.read_clock().await;
        }
        self.progress.clock.lock().unwrap_or_else(PoisonError::into_inner).now(uptime())
    }

    async fn read_clock(&self) {
        match clock::server_time(&self.client).await {
            Ok(server) => {
                let reading = Reading {
                    server,
                    machine: Timestamp::now(),
                    uptime: uptime(),
                };
                self.progress.clock.lock().unwrap_or_else(PoisonError::into_inner).read(reading);
            }
            Err(error) => tracing::warn!(error = %error.chain(), "the time is not sure; nothing goes to rest or ends its rest"),
        }
    }
}

/// Time since the process started: unlike the wall clock it never jumps.
pub(super) fn uptime() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
