//! The whole: a push brings an environment up, a deletion leaves nothing.

mod absence;
mod life;
mod sync;
mod web;
mod webhooks;
