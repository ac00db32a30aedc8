//! Owns child processes that die with this process, whatever ends it: return, panic, Ctrl-C or SIGKILL.
//!
//! Each child runs under a small `sh` supervisor that reads a pipe from us on its standard input. The kernel closes that
//! pipe when we are gone, and then the supervisor ends the child. The supervisor lives in a process group of its own, so
//! that Ctrl-C in a terminal reaches only us and the order of stopping stays ours.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::contest::processes::pin_this_thread;

/// What the supervisor does. `$1` is the grace in tenths of a second, the rest is the command.
///
/// Lines on its standard input are signal names for the child. The child's output goes to the supervisor's standard
/// error; its standard output carries one line, the child's pid. It waits for the child and exits with its code.
const SUPERVISOR: &str = r#"
grace=$1
shift
exec 3<&0
"$@" </dev/null >&2 3<&- &
child=$!
echo "$child"
exec >&-
(
    while read -r signal <&3; do kill -s "$signal" "$child"; done
    kill -s TERM "$child"
    while kill -0 "$child" && [ "$grace" -gt 0 ]; do
        sleep 0.1
        grace=$((grace - 1))
    done
    kill -s KILL "$child"
) >/dev/null 2>&1 &
guard=$!
wait "$child" 2>/dev/null
status=$?
kill -s KILL "$guard" 2>/dev/null
exit "$status"
"#;

/// How often the end of a process is looked for while we wait for it.
const POLL: Duration = Duration::from_millis(10);

/// A signal that can be sent to a supervised child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM, the polite request.
    Terminate,
    /// SIGKILL, which the child cannot see coming.
    Kill,
    /// SIGSTOP, after which the child does nothing at all.
    Stop,
    /// SIGCONT, after which it goes on where it was.
    Continue,
}

/// What to run, and how.
#[derive(Debug)]
pub(crate) struct Launch {
    command: Command,
    processors: Vec<usize>,
}

/// A running child with its supervisor. Dropping it ends the child and waits for it.
#[derive(Debug)]
pub(crate) struct Supervised {
    supervisor: Child,
    control: Option<ChildStdin>,
    pid: u32,
    exit: Option<ExitStatus>,
}

impl Launch {
    /// Prepares `program`. When we are gone it gets SIGTERM and, after `grace` (rounded to tenths of a second), SIGKILL.
    pub(crate) fn new(program: &Path, grace: Duration) -> Launch {
        let mut command = Command::new("sh");
        command.arg("-c").arg(SUPERVISOR).arg("supervisor");
        command.arg((grace.as_millis() / 100).to_string()).arg(program);
        Launch {
            command,
            processors: Vec::new(),
        }
    }

    /// Appends arguments of the program.
    pub(crate) fn arguments(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Launch {
        self.command.args(arguments);
        self
    }

    /// Adds to the program's environment, which otherwise is ours.
    pub(crate) fn environment(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Launch {
        self.command.envs(variables);
        self
    }

    /// Starts the program in `folder`.
    pub(crate) fn folder(mut self, folder: &Path) -> Launch {
        self.command.current_dir(folder);
        self
    }

    /// Lets the program run on these processors alone, from its first moment on; none are all.
    pub(crate) fn on(mut self, processors: &[usize]) -> Launch {
        self.processors = processors.to_vec();
        self
    }

    /// Starts the program; its standard output and error both go to `output`.
    pub(crate) fn spawn(mut self, output: impl Into<Stdio>) -> io::Result<Supervised> {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(output)
            .process_group(0);
        let mut supervisor = spawn_on(&mut self.command, &self.processors)?;
        let control = supervisor.stdin.take();
        let pid = read_pid(&mut supervisor)?;
        Ok(Supervised {
            supervisor,
            control,
            pid,
            exit: None,
        })
    }
}

impl Supervised {
    /// The pid of the program itself, not of its supervisor.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Takes the read end of the output, once, if it was spawned with a pipe.
    pub(crate) fn take_output(&mut self) -> Option<std::process::ChildStderr> {
        self.supervisor.stderr.take()
    }

    /// Sends a signal. A child that is already gone is no error.
    pub(crate) fn signal(&mut self, signal: Signal) {
        let name = match signal {
            Signal::Terminate => "TERM\n",
            Signal::Kill => "KILL\n",
            Signal::Stop => "STOP\n",
            Signal::Continue => "CONT\n",
        };
        if let Some(control) = &mut self.control {
            // A broken pipe says that the supervisor has ended, and it ends only after its child.
            let _ = control.write_all(name.as_bytes());
        }
    }

    /// The exit status if the child has ended. One ended by signal N exits with code 128 + N, as in a shell.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        if self.exit.is_none() {
            self.exit = self.supervisor.try_wait().ok().flatten();
        }
        self.exit
    }

    /// Waits at most `limit` for the end of the child.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        while self.exited().is_none() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        self.exit
    }

    /// Asks the child to end, as if we were gone, without waiting for it.
    pub(crate) fn release(&mut self) {
        self.control = None;
    }

    /// Ends the child (SIGTERM, then SIGKILL after the grace) and waits until it is gone.
    pub(crate) fn stop(&mut self) {
        self.release();
        if self.exit.is_none() {
            self.exit = self.supervisor.wait().ok();
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A child may use the processors that the thread may which starts it.
fn spawn_on(command: &mut Command, processors: &[usize]) -> io::Result<Child> {
    if processors.is_empty() {
        return command.spawn();
    }
    let spawn = || pin_this_thread(processors).and_then(|()| command.spawn());
    let joined = std::thread::scope(|scope| scope.spawn(spawn).join());
    joined.unwrap_or_else(|_| Err(io::Error::other("the thread that starts the program ended")))
}

fn read_pid(supervisor: &mut Child) -> io::Result<u32> {
    let mut line = String::new();
    if let Some(stdout) = supervisor.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    line.trim()
        .parse()
        .map_err(|_| io::Error::other("the supervisor shell ended before it started the program"))
}
