//! The machine: what it is, whether it is quiet enough to measure on, and which processors there are.

use std::fs;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// How long the busy loop runs.
const SPIN: Duration = Duration::from_millis(500);

/// Less than this of the processors, and others work here.
const ENOUGH: f64 = 0.97;

/// So long others are watched before a run. Not the load average: that of the last minute tells of what was measured just before.
const WATCHED: Duration = Duration::from_secs(3);

/// More than this of the processors in use meanwhile, and others work here.
const MOST_USED: f64 = 0.1;

/// The processors that this process may use.
pub fn processors() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count())
        .filter(|processor| set.is_set(*processor).unwrap_or(false))
        .collect()
}

/// How much of the processors a busy loop on each of them gets, from 0 to 1. Blocks for half a second.
pub fn spin() -> f64 {
    let threads: Vec<_> = processors().iter().map(|_| std::thread::spawn(spin_once)).collect();
    let count = threads.len().max(1);
    let got: f64 = threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum();
    got / count as f64
}

fn spin_once() -> f64 {
    let used = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
    let (begin, before) = (Instant::now(), used());
    let mut number = 0u64;
    while begin.elapsed() < SPIN {
        for _ in 0..10_000 {
            number = std::hint::black_box(number.wrapping_add(1));
        }
    }
    (used() - before).as_secs_f64() / begin.elapsed().as_secs_f64()
}

/// Why nothing should be measured here now, if so. Blocks for a few seconds.
pub fn busy() -> Option<String> {
    let times = || fs::read_to_string("/proc/stat").ok().as_deref().and_then(parse_times);
    let before = times();
    std::thread::sleep(WATCHED);
    let used = before.zip(times()).map(|(before, after)| used(before, after));
    reason(used, spin())
}

/// Times of the processors since the machine started, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    idle: u64,
    all: u64,
}

/// Reads the times of all processors together from `/proc/stat`. Waiting for a disk is idleness, and what a hypervisor gives to others is not.
pub fn parse_times(text: &str) -> Option<Times> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // The guests of a hypervisor, which come last, are part of what is told before.
    let ticks = line.split_whitespace().take(8).map(|field| field.parse().ok());
    let ticks: Vec<u64> = ticks.collect::<Option<_>>()?;
    Some(Times {
        idle: ticks.get(3)? + ticks.get(4)?,
        all: ticks.iter().sum(),
    })
}

/// How much of the processors was in use in between, from 0 to 1.
fn used(before: Times, after: Times) -> f64 {
    let all = after.all.saturating_sub(before.all).max(1);
    1.0 - after.idle.saturating_sub(before.idle) as f64 / all as f64
}

fn reason(used: Option<f64>, spin: f64) -> Option<String> {
    if spin < ENOUGH {
        return Some(format!("a busy loop got only {:.0} % of the processors", spin * 100.0));
    }
    let used = used?;
    (used > MOST_USED).then(|| format!("others use {:.0} % of the processors", used * 100.0))
}

/// The machine in words.
pub fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unknown processor", |(_, model)| model.trim());
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = super::processes::parse_memory(&meminfo, "MemTotal").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} × {model}, {:.0} GiB, Linux {}",
        processors().len(),
        memory as f64 / (1024.0 * 1024.0),
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_busy_by_what_others_use_or_by_what_a_loop_gets() {
        assert_eq!(reason(Some(0.05), 0.99), None);
        assert_eq!(reason(None, 0.99), None);
        assert!(reason(Some(0.3), 0.99).is_some_and(|reason| reason.contains("others use 30 %")));
        assert!(reason(Some(0.0), 0.5).is_some_and(|reason| reason.contains("50 %")));
    }

    #[test]
    fn what_is_used_is_what_is_not_idle_of_all_processors_together() {
        let at = |line: &str| parse_times(&format!("{line}\ncpu0 1 2 3 4 5 6 7 8 9 10\n"));
        let before = at("cpu  100 0 100 700 100 0 0 0 50 0").unwrap_or(Times { idle: 0, all: 0 });
        let after = at("cpu  130 0 120 740 105 0 0 5 90 0").unwrap_or(Times { idle: 0, all: 0 });
        assert_eq!((before.idle, before.all), (800, 1_000));
        assert!((used(before, after) - 0.55).abs() < 0.001, "{}", used(before, after));
        assert_eq!(parse_times("intr 1 2 3"), None);
    }

    #[test]
    fn there_is_a_processor_and_a_loop_gets_some_of_it() {
        assert!(!processors().is_empty());
        let spin = spin();
        assert!(spin > 0.0 && spin <= 1.01, "{spin}");
    }
}
