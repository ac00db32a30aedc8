//! Quiet points: everything is good again, nobody does anything, and everything becomes as it must be and stays so.

use std::time::{Duration, Instant};

use super::super::model::wish::{PLANTED, base64};
use super::super::observed::Observed;
use super::{Error, Machine};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(300);

impl Machine {
    /// What is wrong at this quiet point.
    pub(super) async fn quiet(&mut self) -> Result<Vec<String>, Error> {
        self.calm().await?;
        let started = Instant::now();
        loop {
            let observed = self.right(started).await?;
            let Some(observed) = observed else {
                let observed = self.observe().await?;
                let mut complaints = self.model.complaints(&observed);
                if complaints.is_empty() {
                    complaints.push(format!("it does not come to rest (L1): {}", self.audit_of_rest()));
                }
                self.note_end();
                complaints.splice(0..0, self.witnessed.drain(..));
                complaints.extend(self.crashes());
                return Ok(complaints);
            };
            if !self.is_silent().await {
                if started.elapsed() > self.setting.patience {
                    return Ok(vec![format!("it does not come to rest (L1): {}", self.audit_of_rest())]);
                }
                continue;
            }
            let after = self.observe().await?;
            if !self.model.complaints(&after).is_empty() {
                // Something that came late, such as the end of a foreign namespace, is worth another look.
                continue;
            }
            drop(observed);
            return self.conclude(&after).await;
        }
    }

    /// Everything that was in the way is over.
    async fn calm(&mut self) -> Result<(), Error> {
        self.faults.clear();
        self.server_is_back().await?;
        self.repository_is_back().await?;
        for branch in std::mem::take(&mut self.held) {
            self.release(branch).await?;
        }
        if self.note_end() {
            // What it ended of is found out at once; what follows from its end would hide that.
            drop(self.subject.kill().await);
        }
        if self.subject.server().is_err() {
            self.subject.start().await.map_err(Error::SetUp)?;
        }
        self.deliver_late().await;
        Ok(())
    }

    /// Waits until the model has nothing to complain about; nothing if that does not come in time.
    async fn right(&mut self, started: Instant) -> Result<Option<Observed>, Error> {
        let mut position = self.subject.plane().audit().position();
        let mut wrote = Instant::now();
        loop {
            let observed = self.observe().await?;
            if self.model.complaints(&observed).is_empty() {
                return Ok(Some(observed));
            }
            if !self.writes_since(position).is_empty() {
                position = self.subject.plane().audit().position();
                wrote = Instant::now();
            }
            if started.elapsed() > self.setting.patience || wrote.elapsed() > self.setting.idle {
                return Ok(None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether nothing is written for as long as that has to be.
    async fn is_silent(&self) -> bool {
        let position = self.subject.plane().audit().position();
        let until = Instant::now() + self.setting.silence;
        while Instant::now() < until {
            tokio::time::sleep(LOOK).await;
            if !self.writes_since(position).is_empty() {
                return false;
            }
        }
        true
    }

    async fn conclude(&mut self, observed: &Observed) -> Result<Vec<String>, Error> {
        let mut complaints = std::mem::take(&mut self.witnessed);
        complaints.extend(self.audit());
        complaints.extend(self.crashes());
        complaints.extend(self.secrets(observed).await?);
        if complaints.is_empty() {
            self.model.settle(observed);
            self.begun = self.subject.plane().audit().position();
            let version = self.version().await?;
            self.faults.remember_version(&version);
        }
        Ok(complaints)
    }

    /// What the log shows of the end of threads.
    fn crashes(&self) -> Vec<String> {
        let log = self.subject.log();
        let crash = |line: &&String| line.contains("panicked at") || line.contains("has overflowed its stack");
        log.iter().filter(crash).map(|line| format!("the server crashed: {line}")).collect()
    }

    /// S8: no value of a Secret is seen outside of Secrets.
    async fn secrets(&self, observed: &Observed) -> Result<Vec<String>, Error> {
        let mut coded = base64(PLANTED.as_bytes());
        // What follows in the value changes the last digits.
        coded.truncate(coded.len() - 4);
        let shows = |text: &str| text.contains(PLANTED) || text.contains(&coded);
        let mut complaints = Vec::new();
        let log = self.subject.log();
        if let Some(line) = log.iter().find(|line| shows(line)) {
            complaints.push(format!("the log shows the value of a Secret (S8): {} characters", line.len()));
        }
        if shows(&observed.project.to_string()) || observed.environments.iter().any(|environment| shows(&environment.to_string())) {
            complaints.push("a status shows the value of a Secret (S8)".to_owned());
        }
        for object in self.list("v1", "Event", None).await? {
            if shows(&object.to_string()) {
                complaints.push(format!("an Event shows the value of a Secret (S8): {}", object["reason"]));
            }
        }
        Ok(complaints)
    }
}
