//! From an errand to whoever carries it out.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::checkout::Checkouts;
use super::inside::Inside;
use super::outside::{NoAnswer, Outside};
use super::{Around, Carry, image, secrets, statuses, webhook};
use crate::cluster::observe::Observer;
use crate::controller::hosts::Hosts;
use crate::controller::settings::OutboundSettings;
use crate::domain::errand::{Answer, Errand};

/// Carries out errands. Cheap to clone.
#[derive(Clone)]
pub struct Carrier {
    inside: Inside,
    outside: Outside,
    secrets: secrets::Secrets,
    hosts: Hosts,
    checkouts: Checkouts,
}

/// Why there can be no carrier.
#[derive(Debug, thiserror::Error)]
#[error("could not prepare the clients for errands: {0}")]
pub struct PrepareError(pub(super) String);

impl Carrier {
    /// A carrier that reads environments by `observer` and Git hosts by `hosts`.
    ///
    /// # Errors
    /// The settings name a file that cannot be used.
    pub fn new(settings: &OutboundSettings, observer: Observer, hosts: Hosts) -> Result<Self, PrepareError> {
        let ca = settings.ca.as_deref();
        Ok(Self {
            outside: Outside::new(&settings.hosts, ca).map_err(PrepareError)?,
            secrets: secrets::Secrets::new(observer.controller()),
            checkouts: Checkouts::new(observer.clone(), hosts.clone()),
            inside: Inside::new(settings, observer).map_err(PrepareError)?,
            hosts,
        })
    }

    async fn carried(self, errand: Errand, around: Arc<Around>) -> Answer {
        match errand {
            Errand::Http(http) => self.inside.http(&around, &http).await,
            Errand::Tcp(tcp) => self.inside.tcp(&around, &tcp).await,
            Errand::Exec(exec) => self.inside.exec(&around, &exec).await,
            Errand::Condition(condition) => self.inside.condition(&around, &condition).await,
            Errand::Url(probe) => self.inside.url(&around, &probe).await,
            Errand::Webhook { call, idempotency_key } => {
                webhook::call(&self.outside, &self.secrets, &around, &call, &idempotency_key).await
            }
            Errand::Poll { call, url } => webhook::poll(&self.outside, &around, &call, url.as_deref()).await,
            Errand::Image(image) => image::ask(&self.outside, &self.secrets, &around, &image).await,
            Errand::CommitStatus(status) => statuses::commit_status(&self.hosts, &around, &status).await,
            Errand::Checkout { job } => self.checkouts.bring(&around, &job).await,
            Errand::CheckRun(run) => statuses::check_run(&self.hosts, &around, &run).await,
        }
    }
}

impl Carry for Carrier {
    fn carry(&self, errand: Errand, around: Arc<Around>) -> BoxFuture<'static, Answer> {
        self.clone().carried(errand, around).boxed()
    }
}

impl From<NoAnswer> for Answer {
    fn from(reason: NoAnswer) -> Self {
        match reason {
            NoAnswer::Refused(problem) => Self::never(problem),
            NoAnswer::Lost(problem) => Self::bad(problem),
        }
    }
}
