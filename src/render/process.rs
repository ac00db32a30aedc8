//! A worker as its parent sees it: a child with three pipes, and what its death means.

use std::collections::HashSet;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::encoding::decode;
use super::protocol::{Answer, Hello, SandboxLevel, Work, receive, request};
use super::{Error, Limit, RendererSettings, worker};
use crate::domain::bundle::BundleFiles;

/// How long a worker may take to start.
const START: Duration = Duration::from_secs(20);
/// A worker that has ever held more is not used again: it would not give it back.
const MAX_PEAK: u64 = 96 * 1024 * 1024;
/// From this size on, reading an answer would hold up other tasks.
const LARGE: usize = 64 * 1024;

/// A worker that waits for requests. Dropping it ends the process.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// The bundles that it was sent. It may have forgotten some.
    known: HashSet<String>,
    served: u32,
    peak: u64,
    pub(super) level: SandboxLevel,
    _alive: Alive,
}

/// The most memory that a process ever held, in bytes. The process could not tell itself: what `getrusage` says of it begins with what
/// its parent held when it was started.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

/// Counts the processes of a renderer.
#[derive(Debug)]
pub(super) struct Alive(Arc<AtomicUsize>);

/// Why a worker gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The worker ended before it had read the request, or for a reason outside of it: another worker can be asked.
    Elsewhere(String),
    /// The request is the reason.
    Request(Error),
}

// === impl Alive ===

impl Alive {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Worker ===

impl Worker {
    /// Starts a worker, and waits until it has confined itself.
    pub(super) async fn start(settings: &RendererSettings, alive: Alive) -> Result<Self, Error> {
        let failed = |source| Error::StartWorker {
            program: settings.program.clone(),
            source,
        };
        tokio::time::timeout(START, Self::launch(settings, alive))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(failed)
    }

    async fn launch(settings: &RendererSettings, alive: Alive) -> io::Result<Self> {
        let mut child = Command::new(&settings.program)
            .args(worker::arguments(&settings.limits))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for the parent, who ends its workers itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(mut stdout), Some(stderr)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let hello = receive(&mut stdout, 1024).await.ok().flatten();
        let hello: Option<Hello> = hello.and_then(|frame| decode(&mut frame.as_slice()).ok());
        let is_ours = |hello: &Hello| hello.version == env!("CARGO_PKG_VERSION");
        let Some(hello) = hello.filter(is_ours) else {
            return Err(io::Error::other(
                "it is not this version of graftling, or it could not limit itself",
            ));
        };
        Ok(Self {
            child,
            stdin,
            stdout,
            stderr,
            known: HashSet::new(),
            served: 0,
            peak: 0,
            level: hello.level,
            _alive: alive,
        })
    }

    /// Whether this bundle was sent before.
    pub(super) fn knows(&self, digest: &str) -> bool {
        self.known.contains(digest)
    }

    /// Whether the process is still there.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it has served enough or grown too much.
    pub(super) fn is_worn(&self, uses: u32) -> bool {
        self.served >= uses || self.peak > MAX_PEAK
    }

    /// Asks for `work`. After a failure the worker is of no more use.
    pub(super) async fn ask(&mut self, files: &BundleFiles, work: &Work, settings: &RendererSettings) -> Result<Answer, Failure> {
        self.served += 1;
        let asked = tokio::time::timeout(settings.limits.wall, self.converse(files, work, settings)).await;
        asked.unwrap_or_else(|_| Err(Failure::Request(exceed(Limit::Wall, settings))))
    }

    async fn converse(&mut self, files: &BundleFiles, work: &Work, settings: &RendererSettings) -> Result<Answer, Failure> {
        let is_known = self.knows(files.digest());
        let answer = self.exchange(files, !is_known, work, settings).await?;
        match answer {
            Answer::Unknown => self.exchange(files, true, work, settings).await,
            answer => Ok(answer),
        }
    }

    async fn exchange(
        &mut self,
        files: &BundleFiles,
        with_files: bool,
        work: &Work,
        settings: &RendererSettings,
    ) -> Result<Answer, Failure> {
        let frame = request(files, with_files, work).map_err(|error| Failure::Elsewhere(error.to_string()))?;
        if self.stdin.write_all(&frame).await.is_err() {
            // Before it was asked, or because of what it had read so far: its death tells.
            return Err(self.explain_death(settings).await);
        }
        drop(frame);
        let frame = match receive(&mut self.stdout, settings.limits.answer).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(Failure::Request(exceed(Limit::Answer, settings))),
            Err(_) => return Err(self.explain_death(settings).await),
        };
        let answer = read_answer(frame)
            .await
            .map_err(|_| Failure::Request(exceed(Limit::Answer, settings)))?;
        self.peak = self.child.id().and_then(peak).unwrap_or_default();
        if with_files {
            self.known.insert(files.digest().to_owned());
        }
        Ok(answer)
    }

    async fn explain_death(&mut self, settings: &RendererSettings) -> Failure {
        // It has closed its pipes, so it is ending; if it is not, it is ended when this is dropped.
        let last = Duration::from_secs(5);
        let Ok(Ok(status)) = tokio::time::timeout(last, self.child.wait()).await else {
            return Failure::Elsewhere("it closed its pipes".to_owned());
        };
        let mut words = Vec::new();
        // What it could not say is missing from an explanation only.
        let _ = (&mut self.stderr).take(4096).read_to_end(&mut words).await;
        explain(status, &String::from_utf8_lossy(&words), settings)
    }
}

async fn read_answer(frame: Vec<u8>) -> io::Result<Answer> {
    if frame.len() < LARGE {
        return decode(&mut frame.as_slice());
    }
    let read = tokio::task::spawn_blocking(move || decode(&mut frame.as_slice()));
    read.await.map_err(io::Error::other)?
}

fn exceed(limit: Limit, settings: &RendererSettings) -> Error {
    Error::Exceed {
        limit,
        limits: settings.limits,
    }
}

/// What the death of a worker in the middle of a request means. `words`, its last ones, may hold text of the bundle: they are
/// looked at and not passed on.
fn explain(status: ExitStatus, words: &str, settings: &RendererSettings) -> Failure {
    let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
    let limit = match signal {
        Some(Signal::SIGXCPU) => Some(Limit::Cpu),
        Some(Signal::SIGSEGV | Signal::SIGBUS) => Some(Limit::Stack),
        Some(Signal::SIGABRT) if words.contains("overflowed its stack") => Some(Limit::Stack),
        Some(Signal::SIGABRT) if words.contains("memory allocation of") => Some(Limit::Memory),
        _ => None,
    };
    match (limit, signal, status.code()) {
        (Some(limit), ..) => Failure::Request(exceed(limit, settings)),
        // None of a worker's own limits kills it so, and whoever does may have meant any process.
        (None, Some(Signal::SIGKILL), _) => Failure::Elsewhere("it was killed, as when the container has no memory left".to_owned()),
        (None, Some(Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP), _) | (None, _, Some(0)) => {
            Failure::Elsewhere("somebody has ended it".to_owned())
        }
        (None, signal, code) => Failure::Request(Error::EndWorker {
            ending: match (signal, code) {
                (Some(Signal::SIGSYS), _) => "it made a forbidden system call".to_owned(),
                (Some(signal), _) => format!("{signal}"),
                (None, Some(101)) => "it panicked".to_owned(),
                (None, code) => format!("exit code {}", code.unwrap_or(-1)),
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(status: i32, words: &str) -> String {
        match explain(ExitStatus::from_raw(status), words, &RendererSettings::default()) {
            Failure::Elsewhere(_) => "again".to_owned(),
            Failure::Request(error) => error.to_string(),
        }
    }

    #[test]
    fn f81_each_way_to_die_has_its_words() {
        let used = |what: &str| format!("reading and rendering the bundle used more than {what}: does it have large loops?");
        let deep = "reading or rendering the bundle nests too deeply: does it nest blocks or values without end?";
        let ended = |how: &str| format!("the rendering process has ended without an answer: {how}");
        for (status, words, expected) in [
            (Signal::SIGXCPU as i32, "", used("2 seconds of processor time")),
            (Signal::SIGSEGV as i32, "", deep.to_owned()),
            (Signal::SIGABRT as i32, "thread 'main' has overflowed its stack", deep.to_owned()),
            (
                Signal::SIGABRT as i32,
                "memory allocation of 5 bytes failed",
                used("256 MiB of memory"),
            ),
            (Signal::SIGKILL as i32, "", "again".to_owned()),
            (Signal::SIGABRT as i32, "secret", ended("SIGABRT")),
            (Signal::SIGSYS as i32, "", ended("it made a forbidden system call")),
            (101 << 8, "secret", ended("it panicked")),
            (1 << 8, "", ended("exit code 1")),
            (0, "", "again".to_owned()),
            (Signal::SIGTERM as i32, "", "again".to_owned()),
        ] {
            assert_eq!(explained(status, words), expected, "{status}");
        }
    }
}
