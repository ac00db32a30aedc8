//! What ends a server.

use crate::app::lead::Leadership;

/// The lead is another's, after it was ours.
pub(super) async fn lost_lead(mut leadership: Leadership) {
    leadership.gained().await;
    leadership.lost().await;
}

/// SIGTERM from Kubernetes, Ctrl-C from a person.
pub(super) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        tracing::error!("SIGTERM cannot be received");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
