//! Kubernetes: where decisions become requests, and answers become values.
//!
//! Everything in here is a thin shell. What to write is decided in `domain::plan`; what an answer means, in `domain::outcome`.

pub mod adoption;
pub mod apply;
pub mod approvals;
pub mod backoff;
pub mod checkout;
pub mod claims;
pub mod clock;
pub mod comments;
pub mod connection;
pub mod diagnosis;
pub mod election;
pub mod environments;
pub mod error;
pub mod exec;
pub mod kinds;
pub mod live;
pub mod logs;
pub mod observe;
mod outputs;
pub mod publish;
pub mod recent;
pub mod records;
pub mod references;
pub mod relist;
pub mod residue;
pub mod retain;
pub mod scope;
pub mod services;
pub mod signing;
pub mod stuck;
pub mod teardown;
pub mod tokens;
pub mod told;
pub mod workloads;

pub use connection::Connection;
pub use error::Error;

use crate::api::keys;
use crate::domain::observed::Marks;

/// The keys under which graftling finds itself on live objects.
pub(crate) const MARKS: Marks<'static> = Marks {
    field_manager: keys::FIELD_MANAGER,
    environment_label: keys::ENVIRONMENT_LABEL,
    environment_uid_annotation: keys::ENVIRONMENT_UID_ANNOTATION,
};
