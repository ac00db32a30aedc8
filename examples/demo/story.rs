//! The story: what a platform engineer does once, then what becomes of a branch; and the end of everything that it needed.

use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;
use testbed::Repository;

use crate::acts::Stage;
use crate::arguments::Arguments;
use crate::chart::NAMESPACE;
use crate::cluster::Cluster;
use crate::follow::Follower;
use crate::repository;
use crate::screen::{Mark, Screen};
use crate::server::{self, Server};
use crate::stay;

/// Longer than anything that is awaited takes, on a loaded machine or where images have to be pulled.
pub const LIMIT: Duration = Duration::from_secs(180);

/// The branch that the story is about.
pub const BRANCH: &str = "feature/login";

/// Everything that was started or made so far, in the order in which it has to go.
#[derive(Default)]
pub struct Story {
    server: Option<Server>,
    repository: Option<Repository>,
    folder: Option<TempDir>,
    cluster: Option<Cluster>,
}

impl Story {
    /// Tells the whole story.
    pub async fn tell(&mut self, arguments: &Arguments, screen: &mut Screen) -> anyhow::Result<()> {
        self.prepare(arguments, screen).await?;
        let stage = self.stage()?;
        let settings = stage.connect(&arguments.domain, screen).await?;
        let name = repository::environment_name(&stage.cluster.client, &settings, BRANCH).await?;
        let mut follower = Follower::new(&stage.cluster.client, &name);
        let first = stage.push(&mut follower, screen).await?;
        let second = stage.change(&first, &mut follower, screen).await?;
        stage.replay(&first, &second, &name, screen).await?;
        if arguments.keep {
            stay::explain(screen, &stage.cluster.flags, stage.server, stage.repository);
            return stay::watch(&stage.cluster.client, screen).await;
        }
        let gone = stage.delete(&mut follower, screen).await?;
        stage.receipt(&name, screen).await?;
        screen.act("In short");
        for (what, took) in [
            ("push to ready", first.took),
            ("change to ready", second.took),
            ("deletion to gone", gone),
        ] {
            screen.remark(format!("{what:<18}{:>6.1} s", took.as_secs_f64()));
        }
        screen.remark(format!("{:<18}{:>6.1} s", "all of it", screen.total().as_secs_f64()));
        Ok(())
    }

    /// A cluster, the chart's rights, and the server.
    async fn prepare(&mut self, arguments: &Arguments, screen: &mut Screen) -> anyhow::Result<()> {
        screen.act("A cluster with graftling");
        let cluster = match &arguments.context {
            Some(context) => Cluster::connect(context, screen).await?,
            None => Cluster::start(screen).await?,
        };
        let cluster = self.cluster.insert(cluster);
        cluster.install(screen).await?;
        let building = tokio::task::spawn_blocking(server::program);
        let program = screen.during("building the server", building).await??;
        let folder = self.folder.insert(tempfile::Builder::new().prefix("graftling-demo-").tempdir()?);
        let kubeconfig = folder.path().join("server.kubeconfig");
        cluster.write_kubeconfig_of(NAMESPACE, &kubeconfig).await?;
        let starting = Server::start(program, &kubeconfig);
        let server = screen.during("starting the server", starting).await?;
        screen.line(
            Mark::Done,
            format!("server at {}, with the rights of its ServiceAccount and no other", server.webhook),
        );
        self.server = Some(server);
        self.repository = Some(repository::create()?);
        Ok(())
    }

    fn stage(&self) -> anyhow::Result<Stage<'_>> {
        Ok(Stage {
            cluster: self.cluster.as_ref().context("there is no cluster")?,
            server: self.server.as_ref().context("there is no server")?,
            repository: self.repository.as_ref().context("there is no repository")?,
            folder: self.folder.as_ref().context("there is no folder")?,
        })
    }

    /// What the server complained about, for whoever looks into a failure.
    pub fn show_server_log(&self) {
        for line in self.server.iter().flat_map(Server::complaints) {
            eprintln!("server: {line}");
        }
    }

    /// Ends and removes everything that was started or made.
    pub async fn clean_up(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        let mut result = Ok(());
        if let Some(cluster) = self.cluster.as_mut().filter(|cluster| cluster.is_borrowed()) {
            screen.act("Removing what the demo made in the cluster");
            if self.server.is_some() {
                result = screen
                    .during("taking the environments down", repository::disconnect(&cluster.client))
                    .await;
            }
            self.server = None;
            if result.is_ok() {
                result = screen.during("removing the chart's objects", cluster.clean_up()).await;
            }
            if result.is_ok() {
                screen.line(Mark::Removed, "everything that it made");
            }
        }
        self.server = None;
        *self = Self::default();
        result
    }
}
