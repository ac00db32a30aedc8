//! The raw data: one line of JSON for each measurement, whatever was measured.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use super::deliveries::{Answers, Kind};
use super::task::Name;

/// Who may use which processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Series {
    /// The control plane has one processor, the contender another.
    Pinned,
    /// Everybody may use all.
    Free,
}

/// What is asked of a contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "load")]
pub enum Load {
    /// One environment after the other on an idle server.
    One {
        /// How many.
        samples: u32,
    },
    /// Many at once.
    Burst {
        /// How many.
        size: u32,
    },
    /// Pushes at a steady pace.
    Steady {
        /// How many in a second.
        per_second: u32,
        /// For how long.
        seconds: u32,
    },
    /// The same delivery again, when there is nothing to do.
    Repeat {
        /// How often.
        samples: u32,
    },
    /// One object of an environment changes.
    Change {
        /// How often.
        samples: u32,
    },
    /// Running environments go.
    Teardown {
        /// How many at once.
        size: u32,
    },
    /// Nothing happens.
    Idle {
        /// How many environments there are.
        size: u32,
        /// For how long.
        seconds: u32,
    },
    /// The contender's server is killed and started anew.
    Restart {
        /// How many environments there are.
        size: u32,
    },
    /// One environment changes, while many others go.
    Quiet {
        /// How many go.
        size: u32,
        /// How often it changes.
        samples: u32,
    },
    /// One more environment beside many.
    Beside {
        /// How many there are.
        size: u32,
        /// How many more, one after the other.
        samples: u32,
    },
    /// Deliveries that change nothing: of each kind as many as are answered, and valid ones at a steady rate.
    Webhook {
        /// The steady rate.
        per_second: u32,
        /// How long each takes.
        seconds: u32,
    },
}

/// One cell: a contender with a load, on a control plane of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Who.
    pub contender: Name,
    /// With what.
    #[serde(flatten)]
    pub load: Load,
    /// On which processors.
    pub series: Series,
    /// In which round.
    pub round: u32,
    /// How many definitions of custom resources there are beside those that are needed.
    pub crds: u32,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Where it was taken.
    #[serde(flatten)]
    pub cell: Cell,
    /// Which of the cell.
    pub sample: u32,
    /// How many environments it is about.
    pub environments: u32,
    /// From the start to the moment when the clock saw all of it.
    pub wall_ms: Option<f64>,
    /// What was used meanwhile, and until it was quiet again; nothing where others shared it.
    pub used: Option<Used>,
    /// The deliveries that it is about, of the webhook load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<Deliveries>,
}

/// Deliveries, and how they were answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deliveries {
    /// Which.
    pub kind: Kind,
    /// How many in a second; without, as many as were answered.
    pub per_second: Option<u32>,
    /// Whether there was an API server.
    pub api_server: bool,
    /// What came of them.
    #[serde(flatten)]
    pub answers: Answers,
}

/// What a measurement cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Time of the processor that the contender had.
    pub contender_cpu_ms: f64,
    /// Time that API server and store had, less what they need when idle.
    pub server_cpu_ms: f64,
    /// The same with what they need when idle.
    pub server_cpu_gross_ms: f64,
    /// Requests of the contender.
    pub requests: u32,
    /// Those of them that were to change something.
    pub writes: u32,
    /// Those of everybody but the clock, controllers included.
    pub all_requests: u32,
    /// The most memory that the contender took: all of what runs all along, or the largest process that it started.
    pub peak_kib: u64,
    /// Memory that it takes at the end.
    pub resident_kib: u64,
    /// How long it took until it was quiet.
    pub until_quiet_ms: f64,
}

/// A line of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "line")]
pub enum Line {
    /// Begins a run.
    Run(Run),
    /// How quiet the machine was at the begin of a round.
    Round {
        /// Which round.
        round: u32,
        /// How much of the processors a busy loop got, from 0 to 1.
        spin: f64,
        /// How long a step through memory took, in nanoseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<f64>,
    },
    /// A measurement.
    Sample(Record),
    /// A cell without a result.
    Failure {
        /// Which.
        #[serde(flatten)]
        cell: Cell,
        /// Why.
        reason: String,
    },
}

/// Where and how a run was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// When it began.
    pub at: String,
    /// The machine, in words.
    pub machine: String,
    /// `release` or `debug`.
    pub profile: String,
    /// The seed of the orders.
    pub seed: u64,
    /// How many rounds were to be made.
    pub rounds: u32,
    /// Why it would have been refused, where it was forced.
    pub forced: Option<String>,
    /// Who was to take part and could not, and why.
    pub absent: Vec<String>,
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Series::Pinned => "pinned",
            Series::Free => "free",
        })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Load::One { .. } => write!(formatter, "one environment"),
            Load::Burst { size } => write!(formatter, "burst of {size}"),
            Load::Steady { per_second, .. } => write!(formatter, "{per_second} pushes per second"),
            Load::Repeat { .. } => write!(formatter, "repeated delivery"),
            Load::Change { .. } => write!(formatter, "one changed object"),
            Load::Teardown { size } => write!(formatter, "teardown of {size}"),
            Load::Idle { size, seconds } => write!(formatter, "{size} idle environments for {seconds} s"),
            Load::Restart { size } => write!(formatter, "restart with {size}"),
            Load::Quiet { size, .. } => write!(formatter, "one changed object while {size} are torn down"),
            Load::Beside { size, .. } => write!(formatter, "one environment beside {size}"),
            Load::Webhook { .. } => write!(formatter, "deliveries"),
        }
    }
}

impl Load {
    /// How many rounds of it are enough: with a thousand environments each takes minutes, and there are a thousand measurements in one.
    pub fn most_rounds(self) -> u32 {
        match self {
            Load::Idle { .. } => 1,
            // Each has thousands of measurements.
            Load::Webhook { .. } => 3,
            Load::Burst { size } | Load::Beside { size, .. } | Load::Restart { size } if size >= 1000 => 3,
            _ => u32::MAX,
        }
    }

    /// The same load, however many samples are taken of it in a round.
    pub(super) fn whatever_samples(self) -> Load {
        match self {
            Load::One { .. } => Load::One { samples: 0 },
            Load::Repeat { .. } => Load::Repeat { samples: 0 },
            Load::Change { .. } => Load::Change { samples: 0 },
            Load::Quiet { size, .. } => Load::Quiet { size, samples: 0 },
            Load::Beside { size, .. } => Load::Beside { size, samples: 0 },
            Load::Webhook { .. } => Load::Webhook { per_second: 0, seconds: 0 },
            other => other,
        }
    }

    /// Who can take part.
    pub fn admits(self, contender: Name) -> bool {
        let deletes = matches!(
            contender,
            Name::Graftling | Name::Kubectl | Name::FloorApply | Name::WebhookScript | Name::Flux | Name::Argocd
        );
        match self {
            Load::One { .. } | Load::Burst { .. } | Load::Steady { .. } | Load::Beside { .. } => true,
            // What is there cannot be posted or installed.
            Load::Repeat { .. } => !matches!(contender, Name::FloorPost | Name::HelmInstall),
            Load::Change { .. } => contender != Name::FloorPost,
            Load::Teardown { .. } | Load::Quiet { .. } => deletes,
            // Nobody else does anything then.
            Load::Idle { .. } | Load::Restart { .. } | Load::Webhook { .. } => contender == Name::Graftling,
        }
    }
}

/// Appends a line to a file of data.
pub fn append(path: &Path, line: &Line) -> Result<(), Error> {
    let text = serde_json::to_string(line).map_err(|error| Error::Understand(error.to_string()))?;
    let file = File::options().create(true).append(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{text}"));
    written.map_err(Error::io("write", path))
}

/// Reads a text of data.
pub fn parse(text: &str) -> Result<Vec<Line>, Error> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, line)| serde_json::from_str(line).map_err(|error| Error::Understand(format!("line {}: {error}", number + 1)));
    lines.map(read).collect()
}

/// The lines of all runs in a folder, in the order of the files' names.
pub fn read(folder: &Path) -> Result<Vec<Line>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut lines = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).map_err(Error::io("read", file))?;
        lines.extend(parse(&text)?);
    }
    Ok(lines)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a line that cannot be read is the test's failure")]
mod tests {
    use super::*;

    fn cell() -> Cell {
        Cell {
            contender: Name::Graftling,
            load: Load::Burst { size: 10 },
            series: Series::Pinned,
            round: 3,
            crds: 250,
        }
    }

    #[test]
    fn every_line_is_read_as_it_was_written() {
        let used = Used {
            contender_cpu_ms: 1.5,
            server_cpu_ms: 2.5,
            server_cpu_gross_ms: 3.5,
            requests: 17,
            writes: 15,
            all_requests: 40,
            peak_kib: 2048,
            resident_kib: 1024,
            until_quiet_ms: 4.5,
        };
        let record = Record {
            cell: cell(),
            sample: 1,
            environments: 10,
            wall_ms: Some(20.25),
            used: Some(used),
            deliveries: None,
        };
        let failure = Line::Failure {
            cell: cell(),
            reason: "a reason\nof two lines".to_owned(),
        };
        let round = Line::Round {
            round: 1,
            spin: 0.5,
            step: Some(90.5),
        };
        let lines = vec![Line::Sample(record), failure, round];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.jsonl");
        lines.iter().for_each(|line| append(&path, line).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(parse(&text).unwrap(), lines);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let error = parse("\n{\"line\":\"other\"}\n").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn who_cannot_delete_is_not_asked_to() {
        assert!(Load::Teardown { size: 1 }.admits(Name::Kubectl));
        assert!(!Load::Teardown { size: 1 }.admits(Name::HelmTemplate));
        assert!(Name::GUESTS.into_iter().all(|name| Load::Teardown { size: 1 }.admits(name)));
        assert!(!Load::Restart { size: 1 }.admits(Name::Kubectl));
        assert!(Name::ALL.into_iter().all(|name| Load::One { samples: 1 }.admits(name)));
    }
}
