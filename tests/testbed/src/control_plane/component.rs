//! One program of the control plane: how it is started, watched and stopped.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Error;
use crate::process::{Launch, Supervised};
use crate::scratch::Scratch;

/// How long a component may take to stop in order before it is killed. Its data is thrown away anyway.
const GRACE: Duration = Duration::from_secs(3);

/// How much of a log belongs into an error.
const TAIL_LINES: usize = 25;

/// A program with its arguments and log, running or not.
#[derive(Debug)]
pub(super) struct Component {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    process: Mutex<Option<Supervised>>,
}

impl Component {
    /// Describes a component that logs to `<name>.log` in `folder`; starts nothing.
    pub(super) fn new(name: &'static str, program: &Path, arguments: Vec<String>, folder: &Path) -> Component {
        let log = folder.join(format!("{name}.log"));
        Component {
            name,
            program: program.to_owned(),
            arguments,
            log,
            process: Mutex::new(None),
        }
    }

    /// Starts it. The folders of `scratch` stay until it has ended.
    pub(super) fn start(&self, scratch: &Scratch) -> Result<(), Error> {
        let failed = |source| Error::Spawn {
            component: self.name,
            source,
        };
        let log = File::options().create(true).append(true).open(&self.log).map_err(failed)?;
        let process = Launch::new(&self.program, GRACE)
            .arguments(&self.arguments)
            .folder(scratch.folder())
            .spawn(log)
            .map_err(failed)?;
        scratch.used_by(process.pid()).map_err(failed)?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Fails if it is not running, with the end of its log.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.process().as_mut().and_then(Supervised::exited) {
            None => Ok(()),
            Some(status) => Err(Error::Exited {
                component: self.name,
                status,
                log: self.log_tail(),
            }),
        }
    }

    /// Whether it ended because its port was taken by somebody else meanwhile.
    pub(super) fn lost_its_port(&self) -> bool {
        self.check().is_err() && fs::read_to_string(&self.log).is_ok_and(|log| log.contains("address already in use"))
    }

    /// Removes its log, so that the next attempt is judged by its own.
    pub(super) fn forget_log(&self) {
        let _ = fs::remove_file(&self.log);
    }

    /// Its pid while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Supervised::pid)
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Asks it to end, without waiting.
    pub(super) fn release(&self) {
        if let Some(process) = self.process().as_mut() {
            process.release();
        }
    }

    /// Ends it and waits.
    pub(super) fn stop(&self) {
        *self.process() = None;
    }

    fn process(&self) -> MutexGuard<'_, Option<Supervised>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of its log, or why there is none.
    pub(super) fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("(no log: {error})"))
    }
}

fn tail(path: &Path) -> io::Result<String> {
    let bytes = fs::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
