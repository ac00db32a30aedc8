//! The real server: built if need be, started as a child process with the rights of its chart.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use testbed::{Invocation, Running};

use crate::chart::NAMESPACE;
use crate::checkout;

/// A running server. It ends when this value goes, and in any case with this process.
pub struct Server {
    /// Its binary, which is also the hook's and yours.
    pub program: PathBuf,
    /// `http://` and the address for webhooks.
    pub webhook: String,
    admin: String,
    http: reqwest::Client,
    running: Running,
}

const START: Duration = Duration::from_secs(30);

impl Server {
    /// Starts the server with the rights in `kubeconfig` and waits until it is ready.
    pub async fn start(program: PathBuf, kubeconfig: &Path) -> anyhow::Result<Self> {
        let running = Invocation::new(&program)
            .arguments(["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json"])
            .arguments([
                format!("--bundles={}", checkout().join("templates").display()),
                format!("--watch-namespaces={NAMESPACE}"),
                format!("--deployer-cluster-role={NAMESPACE}-deployer"),
                format!("--key-namespace={NAMESPACE}"),
                format!("--key-name={NAMESPACE}-receipt-key"),
            ])
            .environment("KUBECONFIG", kubeconfig)
            .start()?;
        let line = running
            .wait_for_line("where it listens", START, |line| line.contains("\"listening\""))
            .await?;
        let line: Value = serde_json::from_str(&line).context("could not read the server's log")?;
        let address = |name: &str| format!("http://{}", line[name].as_str().unwrap_or_default());
        let server = Self {
            program,
            webhook: address("webhook"),
            admin: address("admin"),
            http: reqwest::Client::builder().no_proxy().timeout(START).build()?,
            running,
        };
        server.is_ready().await?;
        Ok(server)
    }

    async fn is_ready(&self) -> anyhow::Result<()> {
        let look = || async {
            let answer = self.http.get(format!("{}/readyz", self.admin)).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(answer.text().await.unwrap_or_default()),
                Err(error) => Err(error.to_string()),
            }
        };
        testbed::wait::try_until("ready server", START, look).await?;
        Ok(())
    }

    /// How many branches the server has looked up at Git hosts so far.
    pub async fn look_ups(&self) -> anyhow::Result<u64> {
        const SERIES: &str = r#"graftling_host_calls_total{operation="lookup",result="ok"} "#;
        let text = self.http.get(format!("{}/metrics", self.admin)).send().await?.text().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(SERIES));
        Ok(value.context("the server has no metric of its look-ups")?.parse()?)
    }

    /// What the server logged as a warning or an error, the latest ten lines.
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.running.lines();
        let bad = |line: &&String| line.contains("\"WARN\"") || line.contains("\"ERROR\"") || line.contains("panicked");
        let bad: Vec<String> = lines.iter().filter(bad).cloned().collect();
        bad[bad.len().saturating_sub(10)..].to_vec()
    }
}

/// The server's binary. Cargo builds an example without its package's binaries, so it is asked for this one.
///
/// # Errors
/// There is neither cargo, which sets `CARGO` for what it runs, nor a binary beside the example.
pub fn program() -> anyhow::Result<PathBuf> {
    let example = std::env::current_exe().context("could not find out where this program is")?;
    let profile = example
        .parent()
        .and_then(Path::parent)
        .context("this program lies in no target folder")?;
    let Some(cargo) = std::env::var_os("CARGO") else {
        let beside = profile.join("graftling");
        if !beside.is_file() {
            bail!(
                "{} does not exist; start the demo with `cargo run --example demo`",
                beside.display()
            );
        }
        return Ok(beside);
    };
    let name = profile.file_name().and_then(|name| name.to_str()).unwrap_or("debug");
    // With the example, which is up to date: what the two share is then built with the same features and not a second time.
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--bin", "graftling", "--example", "demo"])
        .args(["--message-format", "json-render-diagnostics", "--profile"])
        .arg(if name == "debug" { "dev" } else { name })
        .current_dir(checkout())
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("could not start cargo to build the server")?;
    if !output.status.success() {
        bail!("cargo could not build the server; `cargo build --bin graftling` says why");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages).context("cargo did not say where it built the server")
}

/// The path of the binary in what cargo tells, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message["target"]["name"] == "graftling" && message["target"]["kind"][0] == "bin";
        ours.then(|| message["executable"].as_str().map(PathBuf::from))?
    })
}
