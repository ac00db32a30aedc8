//! The table of an environment's runs.

use jiff::Timestamp;

use super::told::{Told, took};
use crate::cli::table::{age, table};

/// One line for each run.
pub fn table_of(runs: &[Told], now: Timestamp) -> String {
    let rows = runs.iter().map(|run| {
        let number = run.run.map_or_else(|| "-".to_owned(), |number| number.to_string());
        vec![
            number,
            run.revision.chars().take(8).collect(),
            run.result.clone(),
            age(run.started.or(run.ended), now),
            took(run.started, run.ended, now),
            run.changed.to_string(),
            run.summary.clone().unwrap_or_default(),
        ]
    });
    table(&["RUN", "REVISION", "RESULT", "AGE", "TOOK", "CHANGED", "STAGES"], rows)
}
