//! What processes have used, as `/proc` and their clocks tell: time of the processor, memory, children.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// So many ticks are a second in `/proc`, on every Linux.
const TICKS: u64 = 100;

/// The fields of `/proc/<pid>/stat` that count here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The parent.
    pub parent: u32,
    /// Time of the processor that children had which have ended and were waited for.
    pub children: Duration,
}

/// Reads a line of `/proc/<pid>/stat`. The name of the program stands in parentheses and may hold any character.
pub fn parse_stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    // The first field after the name is the third of all.
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let children = ticks(16)? + ticks(17)?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        children: Duration::from_millis(children * (1000 / TICKS)),
    })
}

/// Reads an amount of memory in KiB from `/proc/<pid>/status`, such as `VmRSS`.
pub fn parse_memory(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The processes that descend from `roots`, these included, by the parent of each process.
pub fn family(parents: &HashMap<u32, u32>, roots: &[u32]) -> Vec<u32> {
    let mut family: Vec<u32> = roots.to_vec();
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        let children = parents.iter().filter(|(_, of)| **of == parent).map(|(child, _)| *child);
        let new: Vec<u32> = children.filter(|child| !family.contains(child)).collect();
        family.extend(new);
        next += 1;
    }
    family
}

/// The parent of every process there is.
pub fn parents() -> HashMap<u32, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?.parent))).collect()
}

/// Time of the processor that some processes and their descendants have had, those included that have ended.
pub fn cpu(roots: &[u32]) -> Duration {
    family(&parents(), roots).into_iter().map(cpu_of).sum()
}

/// Time of the processor that this process's children have had which have ended.
pub fn cpu_of_ended_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    usage.map_or(Duration::ZERO, |usage| {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    })
}

/// Resident memory of some processes and their descendants, in KiB. What several of them share, such as their program, counts once, as it
/// does where a container's memory is counted.
pub fn resident(roots: &[u32]) -> u64 {
    family(&parents(), roots).into_iter().filter_map(resident_of).sum()
}

/// The share of a process. Without the right to know it, all that it has.
fn resident_of(pid: u32) -> Option<u64> {
    let shares = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    let share = shares.and_then(|shares| parse_memory(&shares, "Pss"));
    share.or_else(|| memory(pid, "VmRSS"))
}

/// Lets all threads of some processes run on these processors alone.
///
/// # Errors
/// When the kernel refuses. A thread that has ended meanwhile is no error.
pub fn pin(pids: &[u32], processors: &[usize]) -> io::Result<()> {
    let set = set(processors)?;
    // Twice: a thread that an unpinned one made meanwhile inherits that one's processors.
    for _ in 0..2 {
        for pid in pids {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            for task in tasks.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
                match sched_setaffinity(Pid::from_raw(task), &set) {
                    Ok(()) | Err(nix::Error::ESRCH) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(())
}

/// Lets this thread, and what it starts, run on these processors alone.
///
/// # Errors
/// When the kernel refuses.
pub fn pin_this_thread(processors: &[usize]) -> io::Result<()> {
    Ok(sched_setaffinity(Pid::from_raw(0), &set(processors)?)?)
}

fn set(processors: &[usize]) -> io::Result<CpuSet> {
    let mut set = CpuSet::new();
    for processor in processors {
        set.set(*processor)?;
    }
    Ok(set)
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn memory(pid: u32, field: &str) -> Option<u64> {
    parse_memory(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, field)
}

/// Of one process: its own to the nanosecond, that of its ended children by ticks.
fn cpu_of(pid: u32) -> Duration {
    let clock = i32::try_from(pid).ok().and_then(|pid| clock_getcpuclockid(Pid::from_raw(pid)).ok());
    let own = clock
        .and_then(|clock| clock_gettime(clock).ok())
        .map_or(Duration::ZERO, Duration::from);
    own + stat(pid).map_or(Duration::ZERO, |stat| stat.children)
}

/// Begins anew to note the most memory that some processes and their descendants take.
pub fn forget_peak(roots: &[u32]) {
    for pid in family(&parents(), roots) {
        // Without the right to it, the most is that of its whole life.
        let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
    }
}

/// The most memory that some processes and their descendants took, each by itself, in KiB. Those that have ended do not count.
pub fn peak(roots: &[u32]) -> u64 {
    family(&parents(), roots).into_iter().filter_map(|pid| memory(pid, "VmHWM")).sum()
}

/// The most memory that one of this process's children took which have ended, in KiB.
pub fn peak_of_ended_children() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN);
    usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_parentheses_and_spaces_in_its_name_is_read() {
        let line = "4711 (a (b) c) S 12 4711 4711 0 -1 4194560 100 200 0 0 5 6 70 8 20 0 1 0 12345 1000 100 18446744073709551615";
        let stat = parse_stat(line).unwrap();
        assert_eq!(stat.parent, 12);
        assert_eq!(stat.children, Duration::from_millis(780));
        assert_eq!(parse_stat("4711 (sh) S"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn memory_is_read_by_the_whole_name_of_its_field() {
        let status = "Name:\tsh\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(parse_memory(status, "VmRSS"), Some(1024));
        assert_eq!(parse_memory(status, "VmHWM"), Some(2048));
        assert_eq!(parse_memory(status, "Vm"), None);
        assert_eq!(parse_memory("Name:\tkthreadd\n", "VmRSS"), None);
    }

    #[test]
    fn a_family_has_grandchildren_and_no_strangers() {
        let parents = HashMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 6)]);
        let mut family = family(&parents, &[2, 6]);
        family.sort_unstable();
        assert_eq!(family, [2, 3, 4, 6]);
    }

    #[test]
    fn work_of_this_process_and_of_its_ended_children_is_counted() {
        let own = [std::process::id()];
        let before = cpu(&own);
        let children = cpu_of_ended_children();
        let mut number = 0u64;
        while cpu(&own) < before + Duration::from_millis(20) {
            number = std::hint::black_box(number.wrapping_add(1));
        }
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done";
        std::process::Command::new("sh").args(["-c", script]).status().unwrap();
        assert!(cpu_of_ended_children() > children);
    }

    #[test]
    fn memory_is_seen_of_those_that_live_and_of_those_that_have_ended() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        forget_peak(&[child.id()]);
        assert!(peak(&[child.id()]) > 100);
        assert!(resident(&[std::process::id()]) > resident(&[child.id()]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(resident(&[child.id()]), 0);
        assert!(peak_of_ended_children() > 100);
    }
}
