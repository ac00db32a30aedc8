//! Any plain Git remote: refs by the Git protocol, hints from our own post-receive hook.

pub mod payload;
