//! The files of the wished commit, into the workspace of a `steps` stage.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Around;
use crate::cluster::checkout::{Waiter, bring, waiter};
use crate::cluster::error::chain;
use crate::cluster::observe::Observer;
use crate::controller::hosts::Hosts;
use crate::domain::errand::{Answer, told};
use crate::domain::stage::checkout::MARKER;
use crate::githost::{Class, Error, Tree, tar_of};

/// How many checkouts are in memory at one time.
const AT_ONCE: usize = 2;

/// Brings files into workspaces. Cheap to clone.
#[derive(Clone)]
pub(super) struct Checkouts {
    observer: Observer,
    hosts: Hosts,
    places: Arc<Semaphore>,
}

impl Checkouts {
    pub(super) fn new(observer: Observer, hosts: Hosts) -> Self {
        Self {
            observer,
            hosts,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Brings the files once the pod of the Job waits for them.
    pub(super) async fn bring(&self, around: &Around, job: &str) -> Answer {
        let client = match self.observer.deployer(&around.deployer) {
            Ok(client) => client,
            Err(error) => return Answer::bad(error.chain()),
        };
        let namespace = around.namespace.as_str();
        let pod = match waiter(&client, namespace, job).await {
            Ok(Waiter::Waits(pod)) => pod,
            Ok(Waiter::Ended(0)) => return Answer::good("the files of the commit are there"),
            Ok(Waiter::Ended(code)) => return Answer::failed(format!("the container that waits for the files ended with {code}")),
            Ok(Waiter::NotYet(reason)) => return Answer::not_yet(reason),
            Err(error) => return Answer::bad(error.chain()),
        };
        // Never closed.
        let Ok(_place) = self.places.acquire().await else {
            return Answer::bad("the server ends");
        };
        let tar = match self.tar(around).await {
            Ok(tar) => tar,
            Err(answer) => return answer,
        };
        match bring(&client, namespace, &pod, around.commit.revision.as_str(), &tar).await {
            Ok(ended) if ended.code == 0 => Answer::good("the files of the commit are there"),
            Ok(ended) => Answer::bad(format!(
                "unpacking the files exited with {}: {}",
                ended.code,
                told(&ended.last_words, 200)
            )),
            Err(error) => Answer::bad(error.chain()),
        }
    }

    /// The files from the first mirror that has the commit.
    async fn checkout_of_mirrors(&self, around: &Around) -> Option<Tree> {
        for mirror in &around.mirrors {
            let Some(connected) = self.hosts.get(&mirror.host) else { continue };
            if let Ok(tree) = connected.host.checkout(&mirror.repository, &around.commit).await {
                return Some(tree);
            }
        }
        None
    }

    async fn tar(&self, around: &Around) -> Result<Vec<u8>, Answer> {
        let Some(connected) = self.hosts.get(&around.git_host) else {
            return Err(Answer::bad(format!(
                "GitHost {} is not ready; its status says why",
                around.git_host.name
            )));
        };
        let tree = match connected.host.checkout(&around.repository, &around.commit).await {
            Ok(tree) => tree,
            Err(error) => self.checkout_of_mirrors(around).await.ok_or_else(|| failed(&error))?,
        };
        let revision = around.commit.revision.clone();
        let written = tokio::task::spawn_blocking(move || tar_of(&tree, MARKER, revision.as_str())).await;
        match written {
            Ok(Ok(tar)) => Ok(tar),
            Ok(Err(error)) => Err(Answer::never(format!("the commit cannot be packed: {error}"))),
            Err(_) => Err(Answer::bad("packing the commit was interrupted")),
        }
    }
}

fn failed(error: &Error) -> Answer {
    match error.class() {
        Class::Transient | Class::RateLimited(_) => Answer::bad(chain(error)),
        Class::NeedsAttention => Answer::never(chain(error)),
    }
}
