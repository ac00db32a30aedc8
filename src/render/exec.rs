//! The hidden command `sandbox-exec`: it limits itself, and turns into another program.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::str::FromStr;

use nix::sys::prctl;
use nix::sys::resource::Resource;

use super::sandbox::Limits;
use super::{confine, filter};

/// The name of the command.
pub const COMMAND: &str = "sandbox-exec";

/// How the command exits when it could not turn into the program.
pub(super) const CANNOT_START: i32 = 125;
/// What it then says first.
pub(super) const COMPLAINT: &str = "graftling sandbox: ";

/// The command line up to the program.
pub(super) fn arguments(limits: &Limits) -> Vec<OsString> {
    let numbers = [
        limits.cpu.as_secs().max(1),
        limits.memory,
        limits.files,
        limits.file_size,
        u64::from(limits.may_fork),
    ];
    let numbers = numbers.iter().map(|number| number.to_string().into());
    [OsString::from(COMMAND)]
        .into_iter()
        .chain(numbers)
        .chain([OsString::from("--")])
        .collect()
}

/// Carries the command out with what follows its name. It returns only when it has failed: with the exit code.
pub fn run(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let error = match confined(&mut arguments) {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    };
    eprintln!("{COMPLAINT}{error}");
    u8::try_from(CANNOT_START).unwrap_or(u8::MAX)
}

fn confined(arguments: &mut impl Iterator<Item = OsString>) -> io::Result<Command> {
    let [cpu, memory, files, file_size, may_fork] = numbers(arguments)?;
    let program = arguments.nth(1).ok_or_else(usage)?;
    let mut command = Command::new(program);
    command.args(arguments);
    confine::close_descriptors();
    prctl::set_no_new_privs()?;
    confine::limit(Resource::RLIMIT_CORE, 0)?;
    confine::limit_softly(Resource::RLIMIT_CPU, cpu, cpu + 1)?;
    confine::limit(Resource::RLIMIT_NOFILE, files)?;
    confine::limit(Resource::RLIMIT_FSIZE, file_size)?;
    confine::limit(Resource::RLIMIT_AS, memory)?;
    // Without the filter nothing runs: a program in the sandbox must not reach a network.
    filter::forbid_escapes(may_fork == 1)?;
    Ok(command)
}

fn numbers<const COUNT: usize>(arguments: &mut impl Iterator<Item = OsString>) -> io::Result<[u64; COUNT]> {
    let mut numbers = [0; COUNT];
    for number in &mut numbers {
        let text = arguments.next().and_then(|text| text.into_string().ok());
        *number = text.and_then(|text| u64::from_str(&text).ok()).ok_or_else(usage)?;
    }
    Ok(numbers)
}

fn usage() -> io::Error {
    io::Error::other("this command is for graftling itself")
}
