//! The last look over the cluster, what it finds and what it costs, and the receipt that is signed over it.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

mod command;
mod look;
mod signing;
mod volumes;

use graftling::api::Environment;
use graftling::api::receipt::FullReceipt;

use super::scene::Scene;

/// The receipt of an environment that is gone.
async fn receipt(scene: &Scene, environment: &Environment) -> FullReceipt {
    serde_saphyr::from_str(&scene.world.receipt(environment).await).unwrap()
}
