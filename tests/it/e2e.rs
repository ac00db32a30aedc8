//! The whole: a push brings an environment up, a deletion leaves nothing.

mod drift;
mod figures;
mod forecast;
mod life;
mod obstacles;
mod plan;
mod proof;
mod refusal;
mod rights;
mod scene;
mod teardown;
mod update;
mod web;
