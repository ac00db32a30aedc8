//! Runs a program under test, such as our server: reads its output, waits for lines, ends it politely or hard.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{Launch, Signal, Supervised};
use crate::wait::{self, Stopped, TimedOut};

/// How long a program may take to end when its [`Running`] is dropped.
const GRACE: Duration = Duration::from_secs(2);

/// How many of the latest lines are kept in memory. The file has all of them.
const KEPT_LINES: usize = 10_000;

/// How many lines a failing test shows.
const SHOWN_LINES: usize = 200;

/// How long the reader of the output may lag behind the end of the program.
const READER_LAG: Duration = Duration::from_millis(500);

/// How long a killed program may take to be gone, which is the kernel's work alone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// What to run: program, arguments, additions to our environment.
#[derive(Debug, Clone)]
pub struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    processors: Vec<usize>,
}

/// A program that runs until it ends, is ended, or this value is dropped; in no case does it outlive this process.
///
/// Its standard input is empty. When this value is dropped while the thread is panicking, the latest lines go to standard
/// error and the file with all lines is kept.
#[derive(Debug)]
pub struct Running {
    name: String,
    process: Mutex<Supervised>,
    lines: Arc<Mutex<VecDeque<String>>>,
    reader: Option<JoinHandle<()>>,
    log: PathBuf,
    folder: Option<TempDir>,
}

/// Why a program did not do what was expected of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("cannot start {program}")]
    Start {
        /// Its name.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It ended while a line was awaited.
    #[error("{program} ended ({status}) before it printed {what}; its output ends with:\n{output}")]
    Ended {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What was awaited.
        what: String,
        /// Its latest lines.
        output: String,
    },
    /// It runs but what was awaited did not happen.
    #[error("{program} runs on; its output ends with:\n{output}")]
    TimedOut {
        /// Its name.
        program: String,
        /// Its latest lines.
        output: String,
        /// What was awaited, and for how long.
        #[source]
        source: TimedOut,
    },
}

impl Invocation {
    /// Runs `program`, a path or a name on `PATH`.
    pub fn new(program: impl Into<PathBuf>) -> Invocation {
        Invocation {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            processors: Vec::new(),
        }
    }

    /// Appends arguments.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Invocation {
        self.arguments
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable in its environment.
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Invocation {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets its working folder; otherwise ours.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Invocation {
        self.folder = Some(folder.into());
        self
    }

    /// Lets it run on these processors alone, from its first moment on; none are all.
    pub fn on(mut self, processors: &[usize]) -> Invocation {
        self.processors = processors.to_vec();
        self
    }

    /// Starts it.
    pub fn start(self) -> Result<Running, Error> {
        let name = self
            .program
            .file_name()
            .unwrap_or(self.program.as_os_str())
            .to_string_lossy()
            .into_owned();
        self.launch(&name).map_err(|source| Error::Start { program: name, source })
    }

    fn launch(self, name: &str) -> io::Result<Running> {
        let temporary = tempfile::Builder::new().prefix("graftling-command-").tempdir()?;
        let log = temporary.path().join(format!("{name}.log"));
        let file = File::create(&log)?;
        let mut launch = Launch::new(&self.program, GRACE)
            .arguments(self.arguments)
            .environment(self.environment)
            .on(&self.processors);
        if let Some(folder) = &self.folder {
            launch = launch.folder(folder);
        }
        let mut process = launch.spawn(Stdio::piped())?;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let reader = process.take_output().map(|output| {
            let lines = Arc::clone(&lines);
            std::thread::spawn(move || collect(output, &lines, file))
        });
        Ok(Running {
            name: name.to_owned(),
            process: Mutex::new(process),
            lines,
            reader,
            log,
            folder: Some(temporary),
        })
    }
}

impl Running {
    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// The latest 10,000 lines of its standard output and error, in the order of writing.
    pub fn lines(&self) -> Vec<String> {
        self.buffer().iter().cloned().collect()
    }

    /// The file with all lines. It goes with this value.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Waits for a line, printed already or yet to come, and returns the first one for which `wanted` holds.
    ///
    /// `what` names it in the error, which comes at once when the program ends.
    pub async fn wait_for_line(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String, Error> {
        let find = || self.buffer().iter().find(|line| wanted(line)).cloned();
        let ended = || self.exited().filter(|_| self.reader_is_done()).map_or(Ok(()), Err);
        match wait::try_until_or(what, limit, || async { find() }, ended).await {
            Ok(line) => Ok(line),
            Err(Stopped::TimedOut(source)) => Err(self.timed_out(source)),
            // The last lines may have come between the look and the end.
            Err(Stopped::Hopeless(status)) => find().ok_or_else(|| self.ended(status, what)),
        }
    }

    /// How it ended, if it did. One ended by signal N has code 128 + N, as in a shell.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.process().exited()
    }

    /// Waits until it ends by itself.
    pub async fn wait(&self, limit: Duration) -> Result<ExitStatus, Error> {
        let ended = wait::try_until("end", limit, || async { self.exited() }).await;
        ended.map_err(|source| self.timed_out(source))
    }

    /// Sends SIGTERM and waits at most `limit` for the end. When that fails, it still runs.
    pub async fn terminate(&self, limit: Duration) -> Result<ExitStatus, Error> {
        self.process().signal(Signal::Terminate);
        self.wait(limit).await
    }

    /// Sends SIGKILL, as a crash of the machine would end it, and waits until it is gone.
    pub async fn kill_hard(&self) -> Result<ExitStatus, Error> {
        self.process().signal(Signal::Kill);
        self.wait(KILL_LIMIT).await
    }

    /// Sends SIGSTOP: it does nothing until it is resumed, and does not know of it. The signal may arrive a little later.
    pub fn pause(&self) {
        self.process().signal(Signal::Stop);
    }

    /// Sends SIGCONT, after [`Self::pause`].
    pub fn resume(&self) {
        self.process().signal(Signal::Continue);
    }

    fn timed_out(&self, source: TimedOut) -> Error {
        Error::TimedOut {
            program: self.name.clone(),
            output: self.tail(),
            source,
        }
    }

    fn ended(&self, status: ExitStatus, what: &str) -> Error {
        Error::Ended {
            program: self.name.clone(),
            status,
            what: what.to_owned(),
            output: self.tail(),
        }
    }

    fn tail(&self) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }

    /// Whether all output has been read. Descendants that live on may hold the pipe open; they are not waited for.
    fn reader_is_done(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn process(&self) -> MutexGuard<'_, Supervised> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buffer(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process().stop();
        if std::thread::panicking() {
            let deadline = Instant::now() + READER_LAG;
            while !self.reader_is_done() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            eprintln!(
                "=== output of {} (all of it: {})\n{}\n===",
                self.name,
                self.log.display(),
                self.tail()
            );
            // Kept on purpose, for whoever looks into the failure.
            let _ = self.folder.take().map(TempDir::keep);
        }
    }
}

/// Reads lines until the output is closed. Bytes that are no text are shown as such and never lost in the file.
fn collect(output: impl Read, lines: &Mutex<VecDeque<String>>, mut file: File) {
    let mut output = BufReader::new(output);
    let mut bytes = Vec::new();
    while output.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
        // A full disk must not stop the reading, or the program would block.
        let _ = file.write_all(&bytes);
        let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        bytes.clear();
    }
}
