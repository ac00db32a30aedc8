//! Starting servers: with which arguments, and where they listen.

use std::ffi::OsString;
use std::path::Path;

use testbed::Invocation;

use super::{LONG, Server, World};

impl World {
    /// Starts a server that connects by `kubeconfig`, with more in its environment.
    pub async fn server_by(
        &self,
        kubeconfig: &Path,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (&str, OsString)>,
    ) -> Server {
        let fixed = [
            "serve",
            "--listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            "--log-format=text",
            "--log-level=info,graftling=debug",
        ];
        let mut invocation = Invocation::new(env!("CARGO_BIN_EXE_graftling"))
            .arguments(fixed)
            .arguments([
                format!("--bundles={}", self.options.bundles.display()),
                format!("--sweep-interval={}", self.options.sweep_interval),
                format!("--absence-confirmation={}", self.options.absence_confirmation),
                format!("--watch-namespaces={}", self.namespace.name()),
                format!("--deployer-cluster-role={}-deployer", self.release),
                format!("--approval-policy={}-approvals", self.release),
            ])
            .arguments(self.key_arguments(arguments))
            .arguments(&self.options.arguments)
            .arguments(arguments)
            .environment("KUBECONFIG", kubeconfig);
        for (name, value) in &self.options.environment {
            invocation = invocation.environment(name, value);
        }
        let running = environment
            .into_iter()
            .fold(invocation, |invocation, (name, value)| invocation.environment(name, value))
            .start()
            .unwrap();
        let line = running
            .wait_for_line("the server to listen", LONG, |line| line.contains("listening"))
            .await
            .unwrap();
        Server {
            webhook: format!("http://{}", field(&line, "webhook")),
            admin: format!("http://{}", field(&line, "admin")),
            running,
        }
    }

    /// Where the key for receipts is, unless `arguments` say so themselves.
    fn key_arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut place = vec![format!("--key-name={}-receipt-key", self.release)];
        if !arguments.iter().any(|argument| argument.starts_with("--key-namespace")) {
            place.push(format!("--key-namespace={}", self.namespace.name()));
        }
        place
    }
}

/// The value of `name=value` in a log line.
fn field(line: &str, name: &str) -> String {
    let plain: String = strip_ansi(line);
    let start = plain.find(&format!("{name}=")).unwrap_or_else(|| panic!("no {name} in {plain}")) + name.len() + 1;
    plain[start..].split_whitespace().next().unwrap().trim_matches('"').to_owned()
}

fn strip_ansi(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            for next in characters.by_ref() {
                if next.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(character);
        }
    }
    plain
}
