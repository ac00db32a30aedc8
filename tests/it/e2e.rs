//! The whole: a push brings an environment up, a deletion leaves nothing.

mod chart;
mod command;
mod drift;
mod figures;
mod forecast;
mod hostile;
mod life;
mod obstacles;
mod proof;
mod refusal;
mod rights;
mod scene;
mod teardown;
mod update;
mod web;
