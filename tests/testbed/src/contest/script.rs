//! Debian's `webhook` with a shell script: what people write when they have an afternoon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::branches::{self, Branches};
use super::commands::Tools;
use super::content;
use super::hook::{self, Hook};
use super::task::{Contender, Environment, Namer, Task, environment};
use super::{Error, commands};
use crate::command::{Invocation, Running};
use crate::control_plane::free_ports;
use crate::subject::{LONG, WEBHOOK_SECRET};
use crate::wait;

/// The file in the repository.
const FILE: &str = "e14.yaml";

/// Its arguments: namespace, ref, commit.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
export NAMESPACE="$1" BRANCH="${2#refs/heads/}" REVISION="$3" HOST="$1.preview.example.com"
case "$3" in
0000000000*) exec kubectl delete namespace --wait "$1" ;;
esac
git fetch --quiet origin "$2"
git show "$3:e14.yaml" | envsubst | kubectl apply --server-side --force-conflicts --validate=false -f -
"#;

/// The daemon, a clone, and the script.
pub(super) struct Script {
    namer: Namer,
    user: String,
    running: Running,
    url: String,
    branches: Branches,
    hook: Hook,
    // The clone and the script are in its home.
    _tools: Tools,
}

impl Script {
    /// Where the daemon and envsubst are, or which of them is missing.
    pub(super) fn available() -> Result<PathBuf, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let find = |name: &str| {
            std::env::split_paths(&path)
                .map(|folder| folder.join(name))
                .find(|file| file.is_file())
        };
        find("envsubst").ok_or("there is no envsubst on PATH (Debian's package gettext-base)")?;
        find("webhook").ok_or_else(|| "there is no webhook on PATH (Debian's package of that name)".to_owned())
    }

    /// Starts the daemon on some processors, or without any on all.
    pub(super) async fn start(daemon: &Path, tools: Tools, namer: Namer, user: String, processors: &[usize]) -> Result<Script, Error> {
        let yaml = fs::read_to_string(content::template()).map_err(Error::io("read", content::template()))?;
        let branches = Branches::create(&[(FILE, &yaml)])?;
        let clone = tools.home().join("clone");
        let mut command = Command::new("git");
        command.args(["clone", "--quiet", &branches.repository().url()]).arg(&clone);
        commands::output(command).await?;
        let hooks = install(&tools, &clone)?;
        let [port] = free_ports().map_err(Error::StartPlane)?;
        let kubectl = tools.kubectl_path().parent().unwrap_or(Path::new("/"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(kubectl.to_owned()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(path).map_err(|error| Error::Understand(error.to_string()))?;
        let mut daemon = Invocation::new(daemon)
            .arguments(["-ip", "127.0.0.1", "-port", &port.to_string(), "-hooks"])
            .arguments([&hooks])
            .environment("PROJECT_NAMESPACE", &namer.project_namespace)
            .environment("DEPLOYER_ROLE", format!("{}-deployer", namer.project_namespace));
        for (name, value) in tools.environment() {
            daemon = daemon.environment(name, value);
        }
        let running = daemon
            .environment("PATH", path)
            .on(processors)
            .start()
            .map_err(Error::StartProgram)?;
        let listening = || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop) };
        wait::try_until("webhook that listens", LONG, listening)
            .await
            .map_err(Error::Wait)?;
        Ok(Script {
            namer,
            user,
            running,
            url: format!("http://127.0.0.1:{port}/hooks/deploy"),
            branches,
            hook: Hook::new()?,
            _tools: tools,
        })
    }

    async fn deliver(&self, task: Task, environments: &[Environment]) -> Result<Instant, Error> {
        let name = self.branches.name();
        let request = |environment| self.hook.request(&self.url, WEBHOOK_SECRET, hook::push(&name, environment, task));
        let deliveries: Vec<_> = environments.iter().map(request).collect();
        let begin = Instant::now();
        self.hook.send_all(deliveries).await?;
        Ok(begin)
    }

    /// The environments of branches at the commit that they were just pushed to.
    fn pushed(&self, names: &[&str]) -> Result<Vec<Environment>, Error> {
        let revision = self.branches.push(names)?;
        let at = |branch: &&str| {
            let mut naming = self.namer.environment(branch)?.naming;
            naming.revision.clone_from(&revision);
            environment(naming)
        };
        names.iter().map(at).collect()
    }
}

/// Writes the script and the daemon's settings, and says where these are.
fn install(tools: &Tools, clone: &Path) -> Result<PathBuf, Error> {
    let script = tools.home().join("deploy");
    fs::write(&script, SCRIPT).map_err(Error::io("write", &script))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).map_err(Error::io("write", &script))?;
    let hooks = tools.home().join("hooks.json");
    fs::write(&hooks, settings(&script, clone).to_string()).map_err(Error::io("write", &hooks))?;
    Ok(hooks)
}

/// What the daemon is told: whose signature it wants, and what the script gets.
fn settings(script: &Path, clone: &Path) -> Value {
    let argument = |name: &str| json!({ "source": "payload", "name": name });
    json!([{
        "id": "deploy",
        "execute-command": script,
        "command-working-directory": clone,
        "pass-arguments-to-command": [argument("namespace"), argument("updates.0.ref"), argument("updates.0.after")],
        "trigger-rule": { "match": {
            "type": "payload-hmac-sha256",
            "secret": WEBHOOK_SECRET,
            "parameter": { "source": "header", "name": "X-Hub-Signature-256" },
        } },
    }])
}

impl Contender for Script {
    fn users(&self) -> Vec<String> {
        vec![self.user.clone()]
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.running.pid()]
    }

    fn enter<'a>(&'a self, branches: &'a [String]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async {
            let names: Vec<&str> = branches.iter().map(String::as_str).collect();
            self.pushed(&names)
        }
        .boxed()
    }

    fn advance<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async { self.pushed(&branches::of(environments)) }.boxed()
    }

    fn leave<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<(), Error>> {
        async { self.branches.delete(environments) }.boxed()
    }

    fn carry_out<'a>(&'a self, task: Task, environments: &'a [Environment]) -> BoxFuture<'a, Result<Instant, Error>> {
        self.deliver(task, environments).boxed()
    }
}
