//! The whole: a push brings an environment up, a deletion leaves nothing.

mod absence;
mod bundles;
mod chart;
mod comeback;
mod command;
mod crash;
mod drift;
mod figures;
mod forecast;
mod helm;
mod hostile;
mod life;
mod obstacles;
mod proof;
mod refusal;
mod replicas;
mod rights;
mod scene;
mod sync;
mod teardown;
mod trouble;
mod update;
mod values;
mod web;
mod webhooks;
