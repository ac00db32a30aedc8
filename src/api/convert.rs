//! From what is serialised to what the domain works with, and back.

pub mod activity;
pub mod brake;
pub mod condition;
pub mod ended;
pub mod environment;
pub mod feedback;
pub mod first_deploy;
pub mod forks;
pub mod githost;
pub mod grace;
mod history;
pub mod inventory;
pub mod notification;
pub mod progress;
pub mod project;
mod pull_requests;
pub mod receipt;
pub mod references;
pub mod removal;
pub mod requests;
pub mod run;
pub mod size;
