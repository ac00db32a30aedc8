//! What turns hints and listings into environments, and environments into what they should be.
//!
//! `sync` decides which environments exist; `reconcile` makes each of them so. Both are lists of named steps: read, decide (in
//! `domain`), act, publish.

pub mod approvals;
pub mod changes;
mod clients;
pub mod desired;
pub mod diagnoses;
pub mod dispatch;
pub mod errands;
pub mod feedback;
pub mod hosts;
pub mod inbox;
pub mod memory;
pub mod notify;
pub mod orphans;
pub mod outbox;
pub mod patience;
pub mod queue;
pub mod reconcile;
pub mod relay;
pub mod settings;
pub mod sources;
pub mod stores;
pub mod sync;
pub mod witnesses;

pub use settings::Settings;
