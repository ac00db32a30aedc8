//! The whole: a push brings an environment up, a deletion leaves nothing.

mod absence;
mod comeback;
mod crash;
mod figures;
mod forecast;
mod life;
mod replicas;
mod sync;
mod trouble;
mod web;
mod webhooks;
