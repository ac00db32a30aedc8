//! Who is told of environments.

use std::sync::Arc;

use futures::future::join_all;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::cluster::error::chain;
use crate::controller::errands::Courier;
use crate::controller::feedback::Feedback;
use crate::controller::hosts::Hosts;
use crate::controller::notify::Notifier;
use crate::controller::outbox::{Audience, Bell, Outbox};
use crate::controller::reconcile::Reconciler;
use crate::controller::settings::Settings;
use crate::controller::stores::Stores;

/// All audiences, each with its loop.
pub(super) struct Audiences {
    feedback: Outbox<Feedback>,
    /// One for each number that a receiver of a Project can have.
    notifiers: Vec<Outbox<Notifier>>,
}

impl Audiences {
    /// Makes them; nobody is told anything yet.
    pub(super) fn new(client: &Client, hosts: &Hosts, reconciler: &Reconciler) -> Self {
        let Reconciler {
            stores,
            publisher,
            observer,
            metrics,
            settings,
            ..
        } = reconciler;
        let feedback = Feedback::new(hosts.clone(), stores.clone(), publisher.clone(), observer.clone(), metrics.clone());
        let notifiers = notifiers(client, stores, settings).into_iter();
        Self {
            feedback: outbox(feedback, client, stores, settings),
            notifiers: notifiers.map(|notifier| outbox(notifier, client, stores, settings)).collect(),
        }
    }

    /// What they are called by.
    pub(super) fn bells(&self) -> Vec<Bell> {
        let notifiers = self.notifiers.iter().map(|notifier| &notifier.bell);
        notifiers.chain([&self.feedback.bell]).cloned().collect()
    }

    /// Tells them until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let (feedback, scope) = (self.feedback.audience.clone(), self.feedback.scope.clone());
        let notifiers = self.notifiers.into_iter().map(|notifier| notifier.run(shutdown.clone()));
        futures::join!(
            self.feedback.run(shutdown.clone()),
            feedback.summarise(&scope, shutdown.clone()),
            join_all(notifiers)
        );
    }
}

fn outbox<A: Audience>(audience: A, client: &Client, stores: &Stores, settings: &Settings) -> Outbox<A> {
    Outbox {
        audience: Arc::new(audience),
        client: client.clone(),
        stores: stores.clone(),
        scope: settings.scope.clone(),
        bell: Bell::default(),
    }
}

/// None where the settings name a file that cannot be used any more: that was tried at the start, and is logged.
fn notifiers(client: &Client, stores: &Stores, settings: &Settings) -> Vec<Notifier> {
    match Courier::new(&settings.outbound, client.clone()) {
        Ok(courier) => Notifier::all(stores, &courier),
        Err(error) => {
            tracing::error!(error = %chain(&error), "nobody outside can be told of environments");
            Vec::new()
        }
    }
}
