//! Random operations: a machine that does to a running graftling what people, Git hosts and clusters do, thousands of times in an order
//! that a seed gives, and a model that says after each quiet point what must exist.
//!
//! A storm is a list of [`Operation`]s, which can be printed, read back and cut into pieces. The [`Model`] is pure: it knows the operations
//! and what came of each, never the cluster. The [`machine`] carries operations out on a [`Subject`](crate::subject), and hands what it
//! finds at quiet points to the model. A list that fails is shrunk to the few operations that are needed ([`shrink`]).

pub mod generate;
pub mod machine;
pub mod model;
pub mod observed;
pub mod operation;
pub mod report;
pub mod shrink;

pub use model::{Effect, Model};
pub use observed::Observed;
pub use operation::{Branch, Operation, parse, print};
