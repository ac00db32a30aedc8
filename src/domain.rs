//! What graftling knows and decides, without any input or output.
//!
//! Everything below is synchronous and deterministic: the clock, the cluster and the Git host reach these functions only as
//! values. That is what makes a decision printable before it is carried out, and testable without a server.

pub mod adoption;
pub mod bundle;
pub mod claims;
pub mod comment;
pub mod deadline;
pub mod difference;
pub mod drift;
pub mod election;
pub mod errand;
pub mod event;
pub mod feedback;
pub mod git;
pub mod guardrails;
pub mod health;
pub mod inventory;
pub mod manifest;
pub mod mirror;
pub mod name;
pub mod notification;
pub mod observed;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod readiness;
pub mod record;
pub mod removal;
pub mod render;
pub mod report;
pub mod residue;
pub mod retention;
pub mod roster;
pub mod run;
pub mod setup;
pub mod signature;
pub mod stage;
pub mod status;
pub mod why;
