//! The whole: a push brings an environment up, a deletion leaves nothing.

mod figures;
mod forecast;
mod life;
mod web;
