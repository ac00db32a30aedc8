//! Another program, such as helm, inside limits: it has the files that its user has, and no network, no other process, no more
//! privileges, and an end.
//!
//! The program is started through the hidden command `sandbox-exec` of this one, which limits itself and then turns into it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::exec;

/// A program and what it is given.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable file.
    pub path: PathBuf,
    /// Its arguments, without its own name.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub working_directory: PathBuf,
    /// Its whole environment: nothing is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// What it reads from standard input.
    pub stdin: Vec<u8>,
}

/// What a program may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time on a processor; the kernel counts in seconds.
    pub cpu: Duration,
    /// Time that passes.
    pub wall: Duration,
    /// Address space in bytes. Programs in Go reserve far more than they use.
    pub memory: u64,
    /// The most bytes on standard output.
    pub output: usize,
    /// The most open files.
    pub files: u64,
    /// The most bytes of a file that it writes.
    pub file_size: u64,
    /// Whether it may start processes. Threads it may in any case.
    pub may_fork: bool,
}

/// What a program has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; zero is success.
    pub code: i32,
    /// Standard output, in full.
    pub stdout: Vec<u8>,
    /// The beginning of standard error, at most [`MAX_ERROR_OUTPUT`] bytes.
    pub stderr: Vec<u8>,
}

/// How much of standard error is kept, in bytes.
pub const MAX_ERROR_OUTPUT: usize = 64 * 1024;

/// Why a program has given no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("cannot start {} in the sandbox", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Its pipes could not be read or written.
    #[error("cannot talk with {}", program.display())]
    Communicate {
        /// The program.
        program: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It used too much of something, and was ended.
    #[error("{} was ended: it used more than {limit}", program.display())]
    Exceed {
        /// The program.
        program: PathBuf,
        /// The limit, in words.
        limit: String,
    },
    /// It was ended by a signal that stands for none of the limits.
    #[error("{} was ended by {signal}", program.display())]
    End {
        /// The program.
        program: PathBuf,
        /// The signal.
        signal: String,
    },
}

/// Where the sandbox is found: a build of this program.
#[derive(Debug, Clone)]
pub struct Sandbox {
    launcher: PathBuf,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(20),
            wall: Duration::from_secs(30),
            memory: 4 * 1024 * 1024 * 1024,
            output: 16 * 1024 * 1024,
            files: 256,
            file_size: 64 * 1024 * 1024,
            may_fork: false,
        }
    }
}

// === impl Sandbox ===

impl Default for Sandbox {
    /// This very program, whatever has become of its file meanwhile.
    fn default() -> Self {
        Self::new(PathBuf::from("/proc/self/exe"))
    }
}

/// Runs a program in the sandbox of this very program.
///
/// # Errors
/// As [`Sandbox::run`].
pub async fn run(program: Program, limits: Limits) -> Result<Output, Error> {
    Sandbox::default().run(program, limits).await
}

impl Sandbox {
    /// A sandbox that `launcher`, a build of graftling, sets up.
    pub fn new(launcher: PathBuf) -> Self {
        Self { launcher }
    }

    /// Runs `program` to its end. Dropping the future ends it.
    ///
    /// # Errors
    /// It could not be started or was ended. An exit code other than zero is no error.
    pub async fn run(&self, program: Program, limits: Limits) -> Result<Output, Error> {
        let mut child = self.command(&program, &limits).spawn().map_err(|source| Error::Start {
            program: program.path.clone(),
            source,
        })?;
        let group = Group(child.id());
        let ended = tokio::time::timeout(limits.wall, converse(&mut child, &program, &limits)).await;
        // Whatever it has started ends with it.
        drop(group);
        ended.unwrap_or_else(|_| Err(exceeded(&program, format!("{} seconds", limits.wall.as_secs()))))
    }

    fn command(&self, program: &Program, limits: &Limits) -> Command {
        let mut command = Command::new(&self.launcher);
        command
            .args(exec::arguments(limits))
            .arg(&program.path)
            .args(&program.args)
            .current_dir(&program.working_directory)
            .env_clear()
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

/// The processes of a program, ended when this is dropped.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) {
            // It fails when all have ended. Ids are given out in turn, so this one is nobody else's yet.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

async fn converse(child: &mut Child, program: &Program, limits: &Limits) -> Result<Output, Error> {
    let failed = |source| Error::Communicate {
        program: program.path.clone(),
        source,
    };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async {
        if let Some(mut pipe) = stdin {
            // A program need not read what it is given.
            let _ = pipe.write_all(&program.stdin).await;
        }
    };
    let output = async {
        let stdout = read_at_most(stdout, limits.output + 1).await.map_err(failed)?;
        if stdout.len() > limits.output {
            return Err(exceeded(program, format!("{} bytes of output", limits.output)));
        }
        Ok(stdout)
    };
    let complaints = async {
        let mut pipe = stderr;
        let kept = read_at_most(pipe.as_mut(), MAX_ERROR_OUTPUT).await.map_err(failed)?;
        // The rest is read and forgotten, or the program would wait for ever to say it.
        if let Some(mut pipe) = pipe {
            tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await.map_err(failed)?;
        }
        Ok(kept)
    };
    let ((), stdout, stderr) = tokio::try_join!(
        async {
            give.await;
            Ok(())
        },
        output,
        complaints
    )?;
    let status = child.wait().await.map_err(failed)?;
    conclude(status, program, limits, stdout, stderr)
}

async fn read_at_most(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(most as u64).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn conclude(status: ExitStatus, program: &Program, limits: &Limits, stdout: Vec<u8>, stderr: Vec<u8>) -> Result<Output, Error> {
    let cpu = || exceeded(program, format!("{} seconds of processor time", limits.cpu.as_secs()));
    let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
    match (status.code(), signal) {
        (Some(exec::CANNOT_START), _) if stderr.starts_with(exec::COMPLAINT.as_bytes()) => Err(Error::Start {
            program: program.path.clone(),
            source: io::Error::other(String::from_utf8_lossy(&stderr[exec::COMPLAINT.len()..]).trim().to_owned()),
        }),
        (Some(code), _) => Ok(Output { code, stdout, stderr }),
        // Go ignores the soft limit; then the hard one comes as a plain kill.
        (None, Some(Signal::SIGXCPU | Signal::SIGKILL)) => Err(cpu()),
        (None, Some(Signal::SIGXFSZ)) => Err(exceeded(program, format!("{} bytes for a file", limits.file_size))),
        (None, signal) => Err(Error::End {
            program: program.path.clone(),
            signal: signal.map_or_else(|| "a signal".to_owned(), |signal| signal.to_string()),
        }),
    }
}

fn exceeded(program: &Program, limit: String) -> Error {
    Error::Exceed {
        program: program.path.clone(),
        limit,
    }
}
