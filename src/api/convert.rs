//! From what is serialised to what the domain works with, and back.

pub mod activity;
pub mod condition;
pub mod ended;
pub mod environment;
pub mod first_deploy;
pub mod grace;
mod history;
pub mod inventory;
pub mod project;
pub mod receipt;
pub mod references;
pub mod removal;
pub mod requests;
pub mod run;
pub mod size;
