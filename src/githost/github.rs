//! GitHub and GitHub Enterprise Server.

pub(super) mod payload;
