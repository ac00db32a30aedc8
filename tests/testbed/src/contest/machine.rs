//! The machine: what it is, whether it is quiet enough to measure on, and which processors there are.

use std::fs;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::random::Seeded;

/// How long the busy loop runs.
const SPIN: Duration = Duration::from_millis(500);

/// Less than this of the processors, and others work here.
const ENOUGH: f64 = 0.97;

/// The memory that is walked through, in bytes: more than a processor keeps for itself.
const WALKED: usize = 64 * 1024 * 1024;

/// So many steps are timed.
const STEPS: usize = 1_000_000;

/// A step that takes longer, in nanoseconds, and others work with the same memory. A processor of its own takes about 100.
const LONGEST_STEP: f64 = 200.0;

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

/// How long a step through memory takes that no cache foresees, in nanoseconds. On a machine that is shared it can take several times as
/// long as on one that is not, however much of the processors a busy loop gets: then all that is measured takes several times as long.
/// Blocks for about a second.
pub fn step() -> f64 {
    let next = walk(WALKED / size_of::<Place>());
    let begin = Instant::now();
    let last = (0..STEPS).fold(0, |place, _| next[place as usize].0);
    std::hint::black_box(last);
    begin.elapsed().as_nanos() as f64 / STEPS as f64
}

/// The number of the next place. It fills a line of the cache, so that each step is to another.
#[repr(align(64))]
struct Place(u32);

/// A way through all places and back to the first, in an order that nothing foresees (Sattolo's).
fn walk(places: usize) -> Vec<Place> {
    let mut next: Vec<Place> = (0..places).map(|number| Place(number as u32)).collect();
    let mut random = Seeded::new(0);
    for last in (1..places).rev() {
        next.swap(last, random.below(last));
    }
    next
}

/// Why nothing should be measured here now, if so. Blocks for a few seconds.
pub fn busy() -> Option<String> {
    let times = || fs::read_to_string("/proc/stat").ok().as_deref().and_then(parse_times);
    let before = times();
    std::thread::sleep(WATCHED);
    let used = before.zip(times()).map(|(before, after)| used(before, after));
    reason(used, spin(), step())
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

fn reason(used: Option<f64>, spin: f64, step: f64) -> Option<String> {
    if spin < ENOUGH {
        return Some(format!("a busy loop got only {:.0} % of the processors", spin * 100.0));
    }
    if step > LONGEST_STEP {
        return Some(format!("a step through memory takes {step:.0} ns, as others work with it"));
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
    fn a_machine_is_busy_by_what_others_use_by_what_a_loop_gets_and_by_how_long_memory_takes() {
        let told = |used, spin, step| reason(used, spin, step).unwrap_or_default();
        assert_eq!(told(Some(0.05), 0.99, 100.0), "");
        assert_eq!(told(None, 0.99, 100.0), "");
        assert!(told(Some(0.3), 0.99, 100.0).contains("others use 30 %"));
        assert!(told(Some(0.0), 0.5, 100.0).contains("50 %"));
        assert!(told(Some(0.0), 0.99, 300.0).contains("300 ns"));
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

    #[test]
    fn a_walk_comes_by_every_place_before_it_is_back() {
        let next = walk(1_000);
        let places = std::iter::successors(Some(0), |place: &usize| Some(next[*place].0 as usize));
        let until_back = 1 + places.skip(1).take_while(|place| *place != 0).take(2_000).count();
        assert_eq!(until_back, 1_000);
    }
}
