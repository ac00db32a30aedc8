//! What the measurements of one contender in one contest amount to.

use super::super::record::{Load, Record, Used};
use super::super::statistics::{Summary, median, summary};
use super::super::task::Name;

/// What one contender did in one contest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Who.
    pub contender: Name,
    /// Wall time in milliseconds, where something was waited for.
    pub wall: Option<Summary>,
    /// Environments per second, where many were made at once.
    pub rate: Option<f64>,
    /// Medians for each environment: milliseconds of the contender's processor and of the server's.
    pub contender_cpu: Option<f64>,
    /// The same of the server.
    pub server_cpu: Option<f64>,
    /// Median requests for each environment.
    pub requests: Option<f64>,
    /// Median writes for each environment.
    pub writes: Option<f64>,
    /// Median of the most memory, in MiB.
    pub peak: Option<f64>,
    /// Median of the memory at the end, in KiB, of what runs all along.
    pub resident: Option<f64>,
    /// Median of requests in a second, where nothing was to be done.
    pub request_rate: Option<f64>,
}

pub(super) fn row(contender: Name, load: Load, records: &[Record]) -> Row {
    // The record of the whole stands beside those of its parts, and says what was used.
    let parts = matches!(load, Load::Steady { .. } | Load::Quiet { .. });
    let walls = records.iter().filter(|record| !parts || record.used.is_none());
    let wall = summary(walls.filter_map(|record| record.wall_ms));
    let each = |part: fn(&Used) -> f64| {
        let values = records
            .iter()
            .filter_map(|record| Some(part(record.used.as_ref()?) / f64::from(record.environments.max(1))));
        median(values)
    };
    let many = records.iter().filter(|record| record.environments > 1);
    let rates = many.filter_map(|record| Some(f64::from(record.environments) * 1000.0 / record.wall_ms?));
    let whole = |part: &dyn Fn(&Used) -> f64| median(records.iter().filter_map(|record| Some(part(record.used.as_ref()?))));
    Row {
        contender,
        wall,
        rate: median(rates),
        contender_cpu: each(|used| used.contender_cpu_ms),
        server_cpu: each(|used| used.server_cpu_ms),
        requests: each(|used| f64::from(used.requests)),
        writes: each(|used| f64::from(used.writes)),
        peak: whole(&|used| used.peak_kib as f64 / 1024.0),
        resident: whole(&|used| used.resident_kib as f64).filter(|resident| *resident > 0.0),
        request_rate: match load {
            Load::Idle { .. } => whole(&|used| f64::from(used.requests) * 1000.0 / used.until_quiet_ms),
            _ => None,
        },
    }
}
