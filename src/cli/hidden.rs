//! Commands that graftling gives itself, for processes inside limits. They are no part of the command line for people: they come
//! before its parser, the log, any thread and any configuration, as a process that limits itself must not have begun anything.

use std::process::ExitCode;

use crate::render::{exec, worker};

/// Carries out the hidden command that this process was started for, if it was.
pub fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next()?.to_str()? {
        exec::COMMAND => Some(exec::run(arguments).into()),
        worker::COMMAND => Some(worker::run(arguments).into()),
        _ => None,
    }
}
