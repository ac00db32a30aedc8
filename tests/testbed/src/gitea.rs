//! A real Gitea on loopback, with an administrator, a token and whatever repositories a test makes.
//!
//! It refuses to run as root. Root runs it in a user namespace in which it is somebody else, so that no file changes its owner.

mod backup;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::binaries::{self, GiteaBinaries};
use crate::control_plane::{self, blocking};
use crate::process::{Launch, Supervised};
use crate::scratch::Scratch;
use crate::wait::{self, TimedOut};
use crate::{crypto, error_chain};

/// The administrator, who owns the repositories.
pub const OWNER: &str = "boss";

const PASSWORD: &str = "not-a-secret";
/// Every event that it can tell of.
const EVENTS: [&str; 10] = [
    "create",
    "delete",
    "push",
    "pull_request",
    "pull_request_sync",
    "pull_request_comment",
    "issue_comment",
    "repository",
    "fork",
    "status",
];
/// It is there within a second, unless the machine has other work.
const START_LIMIT: Duration = Duration::from_secs(120);
const GRACE: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);

/// A Gitea with its files in a temporary folder, all of which goes with this value.
#[derive(Debug)]
pub struct Gitea {
    // Before the files, which it uses.
    server: Mutex<Option<Supervised>>,
    scratch: Scratch,
    binaries: GiteaBinaries,
    url: String,
    token: String,
}

/// Why there is no Gitea, or why it did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be built.
    #[error("gitea is not available")]
    Binaries(#[source] binaries::Error),
    /// No free port could be found.
    #[error("cannot find a port for gitea")]
    FindPort(#[source] control_plane::Error),
    /// A file or folder of it could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It could not be started.
    #[error("cannot run gitea")]
    Run(#[source] io::Error),
    /// A command of it failed.
    #[error("`gitea {command}` failed ({status}); it said:\n{output}")]
    Command {
        /// Its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// It runs but does not answer.
    #[error("gitea does not answer; see {}", log.display())]
    NotReady {
        /// Its log.
        log: PathBuf,
        /// What was waited for, and for how long.
        #[source]
        source: TimedOut,
    },
}

impl Gitea {
    /// A Gitea of the calling test's own. Where none can be built or run, it says on standard error, past the capture of the test
    /// harness, that the test is skipped, and why. The first call on a machine builds it, which takes minutes.
    ///
    /// # Panics
    ///
    /// When it could run and does not.
    pub async fn start_or_skip() -> Option<Gitea> {
        if let Err(reason) = blocking(Gitea::available).await {
            let thread = std::thread::current();
            let _ = writeln!(io::stderr(), "SKIPPED: {}: {reason}", thread.name().unwrap_or("a test"));
            return None;
        }
        match Gitea::start().await {
            Ok(gitea) => Some(gitea),
            Err(error) => panic!("{}", error_chain(&error)),
        }
    }

    /// Whether one can run here, or why not.
    pub fn available() -> Result<(), String> {
        if let Some(reason) = binaries::gitea_obstacle() {
            return Err(format!("gitea: {reason}"));
        }
        if !is_root() {
            return Ok(());
        }
        let trial = Command::new("unshare").args(SOMEBODY).arg("true").output();
        match trial {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!(
                "gitea does not run as root, and no user namespace can be had: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => Err(format!("gitea does not run as root, and unshare does not run: {error}")),
        }
    }

    /// Starts one with nothing in it but its administrator.
    pub async fn start() -> Result<Gitea, Error> {
        crypto::install();
        let binaries = blocking(binaries::gitea).await.map_err(Error::Binaries)?;
        let [port] = control_plane::free_ports().map_err(Error::FindPort)?;
        let mut gitea = blocking(move || Gitea::prepare(binaries, port)).await?;
        gitea.restart().await?;
        gitea.token = gitea.new_token(OWNER)?;
        Ok(gitea)
    }

    fn prepare(binaries: GiteaBinaries, port: u16) -> Result<Gitea, Error> {
        let scratch = Scratch::create().map_err(|source| Error::Write {
            path: std::env::temp_dir(),
            source,
        })?;
        let gitea = Gitea {
            server: Mutex::new(None),
            binaries,
            url: format!("http://127.0.0.1:{port}"),
            token: String::new(),
            scratch,
        };
        let work = gitea.scratch.folder();
        let settings = include_str!("gitea/app.ini")
            .replace("@USER@", USER)
            .replace("@PORT@", &port.to_string())
            .replace("@WORK@", &work.display().to_string())
            .replace("@STATIC@", &gitea.binaries.static_files.display().to_string());
        let path = work.join("app.ini");
        fs::write(&path, settings).map_err(|source| Error::Write { path, source })?;
        gitea.command(&["migrate"])?;
        gitea.new_user(OWNER, &["--admin"])?;
        Ok(gitea)
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The administrator's token, which may do everything.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The URL of a repository of [`OWNER`] for git, with credentials.
    pub fn git_url(&self, repository: &str) -> String {
        let address = self.url.trim_start_matches("http://");
        format!("http://{OWNER}:{}@{address}/{OWNER}/{repository}.git", self.token)
    }

    /// Makes a person with a password of their own and a token, which is returned.
    pub fn person(&self, login: &str) -> Result<String, Error> {
        self.new_user(login, &[])?;
        self.new_token(login)
    }

    /// Another token of a person, with nothing but `scopes`: `read:repository,write:issue`.
    pub fn scoped_token(&self, login: &str, scopes: &str) -> Result<String, Error> {
        self.token_of(login, scopes)
    }

    /// Stops it, as when its machine goes down in an orderly way.
    pub fn stop(&self) {
        drop(self.server.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Starts it again at the same place.
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop();
        let log = self.scratch.folder().join("gitea.log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|source| Error::Write { path: log.clone(), source })?;
        let launch = Launch::new(Path::new("env"), GRACE).arguments(self.arguments(&["web"]));
        let server = launch.spawn(file).map_err(Error::Run)?;
        self.scratch.used_by(server.pid()).map_err(Error::Run)?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        let healthy = || async {
            let answer = client().get(format!("{}/api/healthz", self.url)).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        let ready = wait::try_until("gitea to be healthy", START_LIMIT, healthy).await;
        ready.map_err(|source| Error::NotReady { log, source })
    }

    /// Asks its interface as [`OWNER`], at `path` below `/api/v1`.
    ///
    /// # Panics
    ///
    /// When it refuses or does not answer.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        self.ask_as(&self.token, method, path, body).await
    }

    /// Asks its interface as whoever has `token`.
    ///
    /// # Panics
    ///
    /// When it refuses or does not answer.
    pub async fn ask_as(&self, token: &str, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().expect("a method of HTTP");
        let request = client()
            .request(method, format!("{}/api/v1{path}", self.url))
            .header("authorization", format!("token {token}"))
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await.expect("gitea answers");
        let (status, text) = (answer.status(), answer.text().await.expect("gitea answers in full"));
        assert!(status.is_success(), "gitea answered {status} to {path}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Makes an empty repository of [`OWNER`].
    ///
    /// # Panics
    ///
    /// When it refuses or does not answer.
    pub async fn repository(&self, name: &str) {
        self.ask("POST", "/user/repos", json!({"name": name, "default_branch": "main"}))
            .await;
    }

    /// Lets a repository of [`OWNER`] tell `url` of everything, signed with `secret`.
    ///
    /// # Panics
    ///
    /// When it refuses or does not answer.
    pub async fn hook(&self, repository: &str, url: &str, secret: &str) {
        let config = json!({"url": url, "content_type": "json", "secret": secret});
        let hook = json!({"type": "gitea", "active": true, "branch_filter": "*", "events": EVENTS, "config": config});
        self.ask("POST", &format!("/repos/{OWNER}/{repository}/hooks"), hook).await;
    }

    fn new_user(&self, login: &str, more: &[&str]) -> Result<(), Error> {
        let email = format!("{login}@example.com");
        let fixed = ["admin", "user", "create", "--username", login, "--email", &email];
        let password = ["--password", PASSWORD, "--must-change-password=false"];
        self.command(&[&fixed[..], &password[..], more].concat()).map(|_| ())
    }

    fn new_token(&self, login: &str) -> Result<String, Error> {
        self.token_of(login, "all")
    }

    fn token_of(&self, login: &str, scopes: &str) -> Result<String, Error> {
        let fixed = ["admin", "user", "generate-access-token", "--raw", "--username", login];
        let own = ["--token-name", scopes, "--scopes", scopes];
        let printed = self.command(&[&fixed[..], &own].concat())?;
        // Lines of its log may come first.
        Ok(printed.trim().lines().last().unwrap_or_default().to_owned())
    }

    /// Runs a command of it to its end.
    fn command(&self, arguments: &[&str]) -> Result<String, Error> {
        let output = Command::new("env").args(self.arguments(arguments)).output().map_err(Error::Run)?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(printed),
            false => Err(Error::Command {
                command: arguments.first().copied().unwrap_or_default().to_owned(),
                status: output.status,
                output: printed + &String::from_utf8_lossy(&output.stderr),
            }),
        }
    }

    /// The arguments of `env` for a command of it: nothing of our own environment but where git is.
    fn arguments(&self, command: &[&str]) -> Vec<String> {
        let work = self.scratch.folder().display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let variables = [
            format!("PATH={path}"),
            format!("HOME={work}"),
            format!("USER={USER}"),
            format!("GITEA_WORK_DIR={work}"),
        ];
        let mut arguments = vec!["-i".to_owned()];
        arguments.extend(variables);
        if is_root() {
            arguments.push("unshare".to_owned());
            arguments.extend(SOMEBODY.map(str::to_owned));
        }
        let config = format!("{work}/app.ini");
        let program = self.binaries.program.display().to_string();
        arguments.extend([program, "--config".to_owned(), config]);
        arguments.extend(command.iter().map(ToString::to_string));
        arguments
    }
}

/// Its name for whoever runs it.
const USER: &str = "git";
/// The arguments of unshare that make root somebody else. The number is nobody's: one that had a name would have to bear [`USER`].
const SOMEBODY: [&str; 3] = ["--user", "--map-user=61234", "--map-group=61234"];

fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0)
}

fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER).build();
    client.expect("a client needs nothing of the machine")
}
