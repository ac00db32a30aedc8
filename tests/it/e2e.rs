//! The whole: a push brings an environment up, a deletion leaves nothing.

mod absence;
mod comeback;
mod figures;
mod forecast;
mod life;
mod sync;
mod trouble;
mod web;
mod webhooks;
