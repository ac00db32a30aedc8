//! Which environment is worked on when: triggers in, passes out, never two passes over one environment at a time.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::runtime::controller::{self, Action, Config, applier};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::reconcile::{Error, Reconciler};
use crate::api::Environment;
use crate::cluster::error::chain;

/// Works on environments until `shutdown`, then finishes the passes under way.
pub async fn run(reconciler: Arc<Reconciler>, triggers: mpsc::Receiver<ObjectRef<Environment>>, shutdown: CancellationToken) {
    let store = reconciler.stores.environments.clone();
    let config = Config::default().concurrency(reconciler.settings.concurrency);
    let passes = applier(
        |environment, reconciler: Arc<Reconciler>| Box::pin(async move { reconciler.reconcile(environment).await }),
        back_off,
        reconciler,
        store,
        until(triggers, shutdown),
        config,
    );
    passes
        .for_each(|pass| async move {
            match pass {
                Ok(_) => {}
                // Gone before its turn came.
                Err(controller::Error::ObjectNotFound(_)) => {}
                Err(controller::Error::ReconcilerFailed(error, reference)) => {
                    tracing::warn!(environment = %reference.name, error = %chain(&error), "pass failed; it is repeated");
                }
                Err(error) => tracing::error!(error = %chain(&error), "the queue failed"),
            }
        })
        .await;
}

/// Failures of the cluster pass by themselves, mostly within seconds; the jitter keeps a thousand environments from returning at once.
fn back_off(environment: Arc<Environment>, _: &Error, _: Arc<Reconciler>) -> Action {
    let uid = environment.metadata.uid.as_deref().unwrap_or_default();
    let jitter = uid
        .bytes()
        .fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
        % 2000;
    Action::requeue(Duration::from_millis(1000 + jitter))
}

fn until<T: Send + 'static>(
    receiver: mpsc::Receiver<T>,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<T, std::convert::Infallible>> + Send {
    futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|item| (Ok(item), receiver))
    })
    .take_until(async move { shutdown.cancelled().await })
    .boxed()
}
