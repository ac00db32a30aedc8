//! What a process does to itself before it touches anything from outside: close what it inherited, and take limits that it cannot
//! lift again.
//!
//! A child sets its own limits, first thing in its life, because nothing can be run between fork and exec without unsafe code.
//! Until then it has read no byte from outside.

use std::fs;
use std::io;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::unistd;

/// Closes every descriptor but standard input, output and error.
pub(super) fn close_descriptors() {
    for descriptor in open_descriptors().into_iter().filter(|descriptor| *descriptor > 2) {
        // The one by which the directory was listed is closed already.
        let _ = unistd::close(descriptor);
    }
}

/// The descriptors that this process has, or all that it could have where nobody says.
fn open_descriptors() -> Vec<i32> {
    match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect(),
        Err(_) => (0..4096).collect(),
    }
}

/// Limits this process for good. What is stricter already stays so.
pub(super) fn limit(resource: Resource, most: rlim_t) -> io::Result<()> {
    limit_softly(resource, most, most)
}

/// As [`limit`], with a soft limit below the hard one.
pub(super) fn limit_softly(resource: Resource, soft: rlim_t, hard: rlim_t) -> io::Result<()> {
    let (_, present) = getrlimit(resource)?;
    let hard = hard.min(present);
    Ok(setrlimit(resource, soft.min(hard), hard)?)
}

/// The address space of this process in bytes, as far as the system tells.
pub(super) fn address_space() -> u64 {
    const PAGE: u64 = 4096;
    let statistics = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = statistics.split(' ').next().and_then(|pages| pages.parse().ok());
    pages.unwrap_or(64 * 1024) * PAGE
}
