//! What becomes of the server, of the API server and of the repository.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::model::Effect;
use super::super::operation::Operation;
use super::{Error, Machine};

/// How often the server is started before the connection is made good: it may end while it starts, as any program whose API server fails.
const STARTS: usize = 3;

impl Machine {
    pub(super) async fn process(&mut self, operation: &Operation) -> Result<Effect, Error> {
        match operation {
            Operation::Kill(pause) => self.restart(*pause, true).await?,
            Operation::Terminate(pause) => self.restart(*pause, false).await?,
            Operation::ServerAway(pause) => {
                self.server_is_back().await?;
                self.server_away = Some(later(*pause));
                if self.setting.owns_plane {
                    let plane = self.subject.plane();
                    tokio::task::block_in_place(|| plane.stop_api_server());
                } else {
                    self.faults.cut_off();
                }
            }
            Operation::RepositoryAway(pause) => {
                self.repository_is_back().await?;
                std::fs::rename(self.repository.path(), self.repository_aside()).map_err(Error::MoveRepository)?;
                self.repository_away = Some(later(*pause));
            }
            _ => {}
        }
        Ok(Effect::Aside)
    }

    async fn restart(&mut self, pause: u32, hard: bool) -> Result<(), Error> {
        self.note_end();
        let ended = if hard {
            self.subject.kill().await
        } else {
            self.subject.stop().await
        };
        // It may have ended before, which the quiet point tells.
        drop(ended);
        tokio::time::sleep(Duration::from_millis(u64::from(pause))).await;
        self.server_is_back().await?;
        self.start().await
    }

    /// Whether the server ended without being told to; the next quiet point tells it.
    pub(super) fn note_end(&mut self) -> bool {
        let ended = self.subject.server().ok().and_then(|server| server.running.exited());
        if let Some(status) = ended {
            self.witnessed.push(format!("the server ended by itself ({status})"));
        }
        ended.is_some()
    }

    async fn start(&mut self) -> Result<(), Error> {
        for _ in 0..STARTS {
            if self.subject.start().await.is_ok() {
                return Ok(());
            }
        }
        self.faults.clear();
        self.subject.start().await.map(drop).map_err(Error::SetUp)
    }

    /// Ends an outage of the API server, once it has lasted.
    pub(super) async fn server_is_back(&mut self) -> Result<(), Error> {
        let Some(until) = self.server_away.take() else { return Ok(()) };
        tokio::time::sleep_until(until.into()).await;
        if self.setting.owns_plane {
            return self.subject.plane().start_api_server().await.map_err(Error::StartServer);
        }
        self.faults.reconnect();
        Ok(())
    }

    /// Ends an outage of the repository, once it has lasted.
    pub(super) async fn repository_is_back(&mut self) -> Result<(), Error> {
        let Some(until) = self.repository_away.take() else { return Ok(()) };
        tokio::time::sleep_until(until.into()).await;
        std::fs::rename(self.repository_aside(), self.repository.path()).map_err(Error::MoveRepository)
    }

    fn repository_aside(&self) -> PathBuf {
        self.repository.path().with_extension("away")
    }
}

fn later(milliseconds: u32) -> Instant {
    Instant::now() + Duration::from_millis(u64::from(milliseconds))
}
