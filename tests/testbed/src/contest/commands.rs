//! What people type: kubectl and helm, with their best flags, a warm cache of the API's kinds, and a file that is ready.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use tempfile::TempDir;
use tokio::sync::{Semaphore, oneshot};

use super::Error;
use super::content;
use super::processes::pin_this_thread;
use super::task::{Contender, Environment, Name, Namer, Task};
use crate::binaries;

/// How many run at a time in a burst. More do not help two processors.
const PLACES: usize = 4;

/// The namespace that helm keeps its releases in: the chart makes the namespace of the environment itself.
pub const RELEASES: &str = "contest-releases";

/// kubectl or helm.
pub(super) struct Commands {
    name: Name,
    tools: Tools,
    namer: Namer,
    user: String,
    /// The processors that commands may use; all without any.
    processors: Vec<usize>,
    places: Arc<Semaphore>,
}

/// Programs, and a home that only they use.
#[derive(Debug)]
pub(super) struct Tools {
    kubectl: PathBuf,
    helm: PathBuf,
    kubeconfig: PathBuf,
    home: TempDir,
}

impl Tools {
    /// Finds or builds the programs.
    pub(super) async fn find(kubeconfig: &Path) -> Result<Tools, Error> {
        let find = || Ok((binaries::pinned_kubectl()?, binaries::helm()?));
        let (kubectl, helm) = crate::control_plane::blocking(find).await.map_err(Error::FindProgram)?;
        let home = tempfile::tempdir().map_err(Error::io("create", "a home"))?;
        Ok(Tools {
            kubectl,
            helm,
            kubeconfig: kubeconfig.to_owned(),
            home,
        })
    }

    /// A folder for whatever the commands read and keep.
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// kubectl itself.
    pub(super) fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// The variables that a command sees, and no others.
    pub(super) fn environment(&self) -> Vec<(&'static str, std::ffi::OsString)> {
        vec![
            ("HOME", self.home().into()),
            ("KUBECONFIG", self.kubeconfig.clone().into()),
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
        ]
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(self.environment());
        command
    }

    /// kubectl, which trusts its cache of kinds and leaves checks to the server.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Command {
        self.command(&self.kubectl, arguments)
    }

    fn helm(&self, arguments: &[&str]) -> Command {
        self.command(&self.helm, arguments)
    }

    /// The file of an environment.
    fn file(&self, environment: &Environment) -> PathBuf {
        self.home().join(format!("{}.yaml", environment.naming.namespace))
    }
}

impl Commands {
    /// Prepares; runs nothing.
    pub(super) fn new(name: Name, tools: Tools, namer: Namer, user: String, processors: Vec<usize>) -> Commands {
        Commands {
            name,
            tools,
            namer,
            user,
            processors,
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    /// The commands of one environment: each reads what the one before it prints.
    fn pipeline(&self, task: Task, environment: &Environment) -> Result<Vec<Command>, Error> {
        let tools = &self.tools;
        let file = tools.file(environment).display().to_string();
        let (chart, naming) = (content::chart().display().to_string(), &environment.naming);
        let release = naming.namespace.as_str();
        let server_side = ["apply", "--server-side", "--force-conflicts", "--validate=false", "-f"];
        let values = content::helm_arguments(naming);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let with = |arguments: &[&str]| tools.helm(&[arguments, &values].concat());
        Ok(match (self.name, task) {
            (Name::Kubectl, Task::Create | Task::Change) => vec![tools.kubectl(&["apply", "--validate=false", "-f", &file])],
            (Name::KubectlServerSide, Task::Create | Task::Change) => {
                vec![tools.kubectl(&[&server_side[..], &[&file]].concat())]
            }
            (Name::HelmTemplate, Task::Create | Task::Change) => vec![
                with(&["template", release, &chart]),
                tools.kubectl(&[&server_side[..], &["-"]].concat()),
            ],
            (Name::HelmInstall, Task::Create) => vec![with(&[
                "install",
                release,
                &chart,
                "--namespace",
                RELEASES,
                "--disable-openapi-validation",
            ])],
            (Name::HelmInstall, Task::Change) => vec![with(&[
                "upgrade",
                release,
                &chart,
                "--namespace",
                RELEASES,
                "--disable-openapi-validation",
            ])],
            _ => {
                return Err(Error::TakesNoPart {
                    contender: self.name.to_string(),
                    load: format!("{task:?}"),
                });
            }
        })
    }

    /// One command for all: it waits for them together.
    fn delete(&self, environments: &[Environment]) -> Command {
        let mut command = self.tools.kubectl(&["delete", "namespace", "--wait"]);
        command.args(environments.iter().map(|environment| &environment.naming.namespace));
        command
    }

    async fn run(&self, task: Task, environments: &[Environment]) -> Result<Instant, Error> {
        let pipelines = match (self.name, task) {
            (Name::Kubectl, Task::Delete) => vec![vec![self.delete(environments)]],
            _ => environments
                .iter()
                .map(|environment| self.pipeline(task, environment))
                .collect::<Result<Vec<_>, _>>()?,
        };
        let begin = Instant::now();
        let one = |commands: Vec<Command>| async {
            // The semaphore is never closed.
            let _place = self.places.acquire().await;
            on_processors(self.processors.clone(), commands).await
        };
        try_join_all(pipelines.into_iter().map(one)).await?;
        Ok(begin)
    }

    fn write(&self, environments: &[Environment]) -> Result<(), Error> {
        for environment in environments {
            let path = self.tools.file(environment);
            std::fs::write(&path, content::text(&environment.naming)?).map_err(Error::io("write", path))?;
        }
        Ok(())
    }
}

impl Contender for Commands {
    fn users(&self) -> Vec<String> {
        vec![self.user.clone()]
    }

    fn processes(&self) -> Vec<u32> {
        Vec::new()
    }

    fn enter<'a>(&'a self, branches: &'a [String]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async {
            let environments: Result<Vec<_>, _> = branches.iter().map(|branch| self.namer.environment(branch)).collect();
            let environments = environments?;
            self.write(&environments)?;
            Ok(environments)
        }
        .boxed()
    }

    fn advance<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async {
            let next: Result<Vec<_>, _> = environments.iter().map(|environment| self.namer.next(environment)).collect();
            let next = next?;
            self.write(&next)?;
            Ok(next)
        }
        .boxed()
    }

    fn carry_out<'a>(&'a self, task: Task, environments: &'a [Environment]) -> BoxFuture<'a, Result<Instant, Error>> {
        self.run(task, environments).boxed()
    }
}

/// Runs one command and answers with what it printed.
pub(super) async fn output(command: Command) -> Result<String, Error> {
    on_processors(Vec::new(), vec![command]).await
}

/// Runs a pipeline on a thread of its own, which may use only some processors, as may what it starts.
pub(super) async fn on_processors(processors: Vec<usize>, commands: Vec<Command>) -> Result<String, Error> {
    let (answer, answered) = oneshot::channel();
    std::thread::spawn(move || {
        let pinned = if processors.is_empty() {
            Ok(())
        } else {
            pin_this_thread(&processors)
        };
        let result = pinned.map_err(Error::io("use", "the processors")).and_then(|()| pipe(commands));
        // Whoever asked may be gone.
        let _ = answer.send(result);
    });
    answered
        .await
        .unwrap_or_else(|_| Err(Error::Understand("a thread that ended".to_owned())))
}

/// Runs commands, each with the output of the one before it as its input, and answers with what the last one printed.
fn pipe(mut commands: Vec<Command>) -> Result<String, Error> {
    let last = commands.pop();
    let mut input = Stdio::null();
    let mut before = Vec::new();
    for mut command in commands {
        let failed = cannot_run(&command);
        let mut child = command.stdin(input).stdout(Stdio::piped()).spawn().map_err(failed)?;
        input = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
        before.push((line(&command), child));
    }
    let Some(mut last) = last else { return Ok(String::new()) };
    let failed = cannot_run(&last);
    let output = last.stdin(input).output().map_err(failed)?;
    for (line, mut child) in before {
        let status = child.wait().map_err(Error::io("wait for", line.as_str()))?;
        if !status.success() {
            return Err(Error::Command {
                command: line,
                output: status.to_string(),
            });
        }
    }
    printed(&last, &output)
}

fn printed(command: &Command, output: &Output) -> Result<String, Error> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(Error::Command {
        command: line(command),
        output: text(&output.stdout) + &text(&output.stderr),
    })
}

fn cannot_run(command: &Command) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let program = command.get_program().to_string_lossy().into_owned();
    move |source| Error::RunCommand { program, source }
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a command that fails is the test's failure")]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn each_command_reads_what_the_one_before_it_prints() {
        let printed = on_processors(Vec::new(), vec![sh("echo one"), sh("cat; echo two")]).await.unwrap();
        assert_eq!(printed, "one\ntwo\n");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_wherever_it_stands() {
        let first = on_processors(Vec::new(), vec![sh("exit 3"), sh("cat")]).await.unwrap_err();
        assert!(first.to_string().contains("exit 3"), "{first}");
        let last = output(sh("echo why >&2; exit 4")).await.unwrap_err();
        assert!(last.to_string().ends_with("why\n"), "{last}");
    }
}
