//! Graftling as a contender: the real server, a real repository over plain Git, and signed deliveries.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use serde_json::{Value, json};

use super::Error;
use super::branches::{self, Branches};
use super::content::{self, Naming};
use super::hook::{self, Hook};
use super::task::{Contender, Environment, Task, environment};
use crate::subject::{LONG, Settings, Subject, WEBHOOK_SECRET};
use crate::{ControlPlane, wait};

/// The time between two looks that prove an absence, and a little more, after which the second look can be had.
const CONFIRMATION: &str = "1s";
const CONFIRMED: Duration = Duration::from_millis(1_100);

/// So seldom the brake is looked at, so that looking takes nothing of the server that counts.
const LOOKS: Duration = Duration::from_millis(200);

/// The Project.
const PROJECT: &str = "shop";

/// An installation with one Project.
pub struct Graftling {
    subject: Subject,
    program: PathBuf,
    branches: Branches,
    hook: Hook,
}

impl Graftling {
    /// Installs and starts it on some processors, or without any on all. It never lists a repository by itself while the contest lasts: what it does, a delivery has told it.
    pub async fn start(plane: &'static ControlPlane, program: PathBuf, processors: Vec<usize>) -> Result<Graftling, Error> {
        let settings = Settings {
            bundles: content::bundles(),
            sweep_interval: "1h".to_owned(),
            absence_confirmation: CONFIRMATION.to_owned(),
            log_level: "info".to_owned(),
            processors,
            ..Settings::new(&program)
        };
        let subject = Subject::install(plane, "contest", settings).await.map_err(Error::UseGraftling)?;
        let branches = Branches::create(&[])?;
        subject.start().await.map_err(Error::UseGraftling)?;
        subject
            .project(PROJECT, branches.repository(), content::project())
            .await
            .map_err(Error::UseGraftling)?;
        let graftling = Graftling {
            subject,
            program,
            branches,
            hook: Hook::new()?,
        };
        graftling
            .wait_for_project("that has been listed", |status| !status["repositoryId"].is_null())
            .await?;
        Ok(graftling)
    }

    /// The installation.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    async fn wait_for_project(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        let api = crate::subject::objects::api(
            self.subject.client(),
            "graftling.dev/v1alpha1",
            "Project",
            Some(self.subject.namespace()),
        );
        let api = api.await.map_err(Error::UseGraftling)?;
        let look = || async {
            let project = api.get(PROJECT).await.map_err(|error| crate::error_chain(&error))?;
            let status = project.data["status"].clone();
            if holds(&status) { Ok(status) } else { Err(status.to_string()) }
        };
        wait::try_until(format!("Project {what}"), LONG, look).await.map_err(Error::Wait)
    }

    /// The name of a branch's environment, as `graftling render` computes it.
    async fn naming(&self, branch: &str, revision: &str) -> Result<Naming, Error> {
        let path = self.branches.repository().path();
        let parent = path.parent().map(|parent| parent.display().to_string()).unwrap_or_default();
        let mut command = Command::new(&self.program);
        command.args(["render", "--output=json", "--domain", content::DOMAIN, "--project", PROJECT]);
        command.args(["--host-url", &format!("file://{parent}"), "--repository", &self.branches.name()]);
        command.args([
            "--branch",
            branch,
            "--namespace",
            self.subject.namespace(),
            "--revision",
            revision,
            "--bundle",
        ]);
        command.arg(content::bundles().join("e14"));
        let output = super::commands::output(command).await?;
        let objects: Value = serde_json::from_str(&output).map_err(|error| Error::Understand(error.to_string()))?;
        let name = objects[0]["metadata"]["namespace"].as_str();
        let name = name.ok_or_else(|| Error::Understand("what graftling renders".to_owned()))?;
        Ok(Naming {
            namespace: name.to_owned(),
            branch: branch.to_owned(),
            revision: revision.to_owned(),
            project_namespace: self.subject.namespace().to_owned(),
            deployer_role: format!("{}-deployer", self.subject.namespace()),
        })
    }

    /// One delivery for each, all at once, as a host sends them.
    async fn deliver(&self, task: Task, environments: &[Environment]) -> Result<Instant, Error> {
        let server = self.subject.server().map_err(Error::UseGraftling)?;
        let url = format!("{}/hooks/{}/git", server.webhook, self.subject.namespace());
        let deliveries = environments.iter().map(|environment| {
            let body = hook::push(&self.branches.name(), environment, task);
            self.hook.request(&url, WEBHOOK_SECRET, body)
        });
        let deliveries: Vec<_> = deliveries.collect();
        let begin = Instant::now();
        self.hook.send_all(deliveries).await?;
        if task == Task::Delete && environments.len() > 1 {
            self.release(environments).await?;
        }
        Ok(begin)
    }

    /// Says that all of them are meant to go, as often as graftling stops to ask: it holds what it has heard of so far, and takes a release
    /// when it has seen twice that the branches are absent.
    async fn release(&self, environments: &[Environment]) -> Result<(), Error> {
        let names: Vec<&str> = environments
            .iter()
            .map(|environment| environment.naming.namespace.as_str())
            .collect();
        let stays = |environment: &Value| {
            let metadata = &environment["metadata"];
            metadata["deletionTimestamp"].is_null() && metadata["name"].as_str().is_some_and(|name| names.contains(&name))
        };
        let held = Mutex::new(None);
        let look = || async {
            tokio::time::sleep(LOOKS).await;
            let all = self.subject.environments().await.map_err(|error| crate::error_chain(&error))?;
            let left = all.iter().filter(|environment| stays(environment)).count();
            if left == 0 {
                return Ok(());
            }
            self.release_held(&held).await.map_err(|error| crate::error_chain(&error))?;
            Err(format!("{left} stay"))
        };
        wait::try_until("end of all of them", LONG, look).await.map_err(Error::Wait)
    }

    /// Releases what the brake holds, if it has held just that for long enough.
    async fn release_held(&self, before: &Mutex<Option<(Value, Instant)>>) -> Result<(), Error> {
        let status = self.wait_for_project("there", |_| true).await?;
        let digest = &status["brake"]["digest"];
        let is_due = {
            let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
            let same = before.take().filter(|(held, _)| held == digest);
            let (_, since) = before.insert(same.unwrap_or_else(|| (digest.clone(), Instant::now())));
            since.elapsed() > CONFIRMED
        };
        if digest.is_null() || !is_due {
            return Ok(());
        }
        let patch = json!({ "metadata": { "annotations": { "graftling.dev/release-brake": digest } } });
        self.subject.patch("Project", PROJECT, patch).await.map_err(Error::UseGraftling)
    }

    async fn named(&self, branches: &[&str]) -> Result<Vec<Environment>, Error> {
        let revision = self.branches.push(branches)?;
        let mut environments = Vec::with_capacity(branches.len());
        // Two at a time, as there are processors.
        for pair in branches.chunks(2) {
            let named = try_join_all(pair.iter().map(|branch| self.naming(branch, &revision))).await?;
            for naming in named {
                environments.push(environment(naming)?);
            }
        }
        Ok(environments)
    }
}

impl Contender for Graftling {
    fn users(&self) -> Vec<String> {
        vec![self.subject.user()]
    }

    fn processes(&self) -> Vec<u32> {
        self.subject.server().map(|server| vec![server.running.pid()]).unwrap_or_default()
    }

    fn enter<'a>(&'a self, branches: &'a [String]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async {
            let branches: Vec<&str> = branches.iter().map(String::as_str).collect();
            self.named(&branches).await
        }
        .boxed()
    }

    fn advance<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async {
            let revision = self.branches.push(&branches::of(environments))?;
            let next = environments.iter().map(|before| {
                environment(Naming {
                    revision: revision.clone(),
                    ..before.naming.clone()
                })
            });
            next.collect()
        }
        .boxed()
    }

    fn leave<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<(), Error>> {
        async { self.branches.delete(environments) }.boxed()
    }

    fn carry_out<'a>(&'a self, task: Task, environments: &'a [Environment]) -> BoxFuture<'a, Result<Instant, Error>> {
        self.deliver(task, environments).boxed()
    }

    fn restart(&self) -> BoxFuture<'_, Result<Instant, Error>> {
        async {
            self.subject.kill().await.map_err(Error::UseGraftling)?;
            let begin = Instant::now();
            self.subject.start().await.map_err(Error::UseGraftling)?;
            Ok(begin)
        }
        .boxed()
    }

    fn subject(&self) -> Option<&Subject> {
        Some(&self.subject)
    }

    fn has_environments(&self) -> bool {
        true
    }
}
