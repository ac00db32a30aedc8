//! The whole: a push brings an environment up, a deletion leaves nothing.

mod absence;
mod chart;
mod comeback;
mod command;
mod crash;
mod drift;
mod figures;
mod forecast;
mod hostile;
mod life;
mod obstacles;
mod proof;
mod refusal;
mod replicas;
mod rights;
mod scene;
mod sources;
mod sync;
mod teardown;
mod trouble;
mod update;
mod web;
mod webhooks;
