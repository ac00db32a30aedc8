//! Which environment is worked on when: triggers in, passes out, never two passes over one environment at a time.

mod lanes;

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use kube::ResourceExt;
use kube::runtime::controller::{self, Action, Config, applier};
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::lanes::{Direction, Lanes};
use super::reconcile::{Error, Reconciler};
use crate::api::Environment;
use crate::cluster::error::chain;

/// Works on environments until `shutdown`, then finishes the passes under way.
pub async fn run(reconciler: Arc<Reconciler>, triggers: mpsc::Receiver<ObjectRef<Environment>>, shutdown: CancellationToken) {
    let store = reconciler.stores.environments.clone();
    let lanes = Lanes::new(usize::from(reconciler.settings.concurrency));
    let entered = lanes.clone();
    let passes = applier(
        move |environment, reconciler: Arc<Reconciler>| Box::pin(pass(environment, reconciler, entered.clone())),
        back_off,
        reconciler,
        store,
        stream::select(until(triggers, shutdown.clone()), called(lanes.clone(), shutdown)),
        // The lanes are the bound.
        Config::default(),
    );
    passes
        .for_each(|pass| {
            settle(pass, &lanes);
            std::future::ready(())
        })
        .await;
}

/// Tells what came of a pass.
fn settle(pass: Result<(ObjectRef<Environment>, Action), controller::Error<Error, std::convert::Infallible>>, lanes: &Lanes<Key>) {
    match pass {
        Ok(_) => {}
        // Gone before its turn came.
        Err(controller::Error::ObjectNotFound(reference)) => lanes.forget(&place(&reference.name, reference.namespace.as_deref())),
        Err(controller::Error::ReconcilerFailed(error, reference)) => {
            tracing::warn!(environment = %reference.name, error = %chain(&error), "pass failed; it is repeated");
        }
        Err(error) => tracing::error!(error = %chain(&error), "the queue failed"),
    }
}

/// An environment by its namespace and name.
type Key = (String, String);

fn place(name: &str, namespace: Option<&str>) -> Key {
    (namespace.unwrap_or_default().to_owned(), name.to_owned())
}

/// A pass, if there is a place in its lane; else it is triggered again when there is.
async fn pass(environment: Arc<Environment>, reconciler: Arc<Reconciler>, lanes: Lanes<Key>) -> Result<Action, Error> {
    let direction = match environment.metadata.deletion_timestamp {
        Some(_) => Direction::Teardown,
        None => Direction::Deployment,
    };
    let key = place(&environment.name_any(), environment.namespace().as_deref());
    let Some(_place) = lanes.enter(&key, direction) else {
        tracing::debug!(environment = %key.1, ?direction, "waits for a place in its lane");
        return Ok(Action::await_change());
    };
    reconciler.reconcile(environment).await
}

/// The environments that a place became free for.
fn called(
    lanes: Lanes<Key>,
    shutdown: CancellationToken,
) -> impl Stream<Item = Result<ObjectRef<Environment>, std::convert::Infallible>> + Send {
    stream::unfold(lanes, |lanes| async move {
        let (namespace, name) = lanes.next().await;
        Some((Ok(ObjectRef::new(&name).within(&namespace)), lanes))
    })
    .take_until(async move { shutdown.cancelled().await })
    .boxed()
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
