//! What can be asked for, and which loads that makes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use testbed::contest::guest::Guest;
use testbed::contest::record::Load;
use testbed::contest::task::Name;

/// Measure graftling against the floor and against what people would use instead
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Order,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// How loads are measured.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Contenders, separated by commas [default: all that can take part]
    #[arg(long, global = true, value_delimiter = ',')]
    pub(crate) contenders: Vec<Name>,
    /// Who is to take part as well, separated by commas: flux and argocd, which are built first where they are missing
    #[arg(long, global = true, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) with: Vec<Guest>,
    /// Rounds; deliveries and loads with a thousand environments take at most three, idle ones one
    #[arg(long, global = true, default_value_t = 10)]
    pub(crate) rounds: u32,
    /// Only with the control plane and the contender on a processor each
    #[arg(long, global = true, conflicts_with = "free")]
    pub(crate) pinned: bool,
    /// Only with everybody on all processors
    #[arg(long, global = true)]
    pub(crate) free: bool,
    /// How many further definitions of custom resources there are, separated by commas
    #[arg(long, global = true, value_delimiter = ',', default_value = "0")]
    pub(crate) crds: Vec<u32>,
    /// Seed of the order of cells [default: the time]
    #[arg(long, global = true)]
    pub(crate) seed: Option<u64>,
    /// Measure on a busy machine too; the report says so
    #[arg(long, global = true)]
    pub(crate) force: bool,
    /// The graftling to measure [default: built as this program was]
    #[arg(long, global = true, value_name = "PROGRAM")]
    pub(crate) graftling: Option<PathBuf>,
    /// File that takes each request of each measurement, with its time: to see where they go
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) requests: Option<PathBuf>,
    /// Folder of raw data [default: contest-data, beside this program]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Order {
    /// One environment after the other on an idle server
    One(Samples),
    /// One more environment beside many
    Beside(SizeAndSamples),
    /// Many environments at once
    Burst(Sizes),
    /// Pushes at a steady pace
    Steady {
        /// How many in a second
        #[arg(long, default_value_t = 10)]
        per_second: u32,
        /// For how long
        #[arg(long, default_value_t = 30)]
        seconds: u32,
    },
    /// The same delivery again
    Repeat(Samples),
    /// One object of an environment changes
    Change(Samples),
    /// Running environments go
    Teardown(Sizes),
    /// Nothing happens
    Idle {
        /// How many environments there are, separated by commas; memory is compared between them, and none is one of them
        #[arg(long, value_delimiter = ',', default_value = "0,100,1000")]
        size: Vec<u32>,
        /// For how many seconds
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// The server is killed and started anew
    Restart {
        /// How many environments there are, separated by commas
        #[arg(long, value_delimiter = ',', default_value = "1000")]
        size: Vec<u32>,
    },
    /// One environment changes while many others go
    Quiet(SizeAndSamples),
    /// Deliveries that are valid, mis-signed, replayed and too large, with the API server and without it
    Webhook {
        /// How many valid ones in a second where they come at a steady rate
        #[arg(long, default_value_t = 1000)]
        per_second: u32,
        /// For how long each
        #[arg(long, default_value_t = 5)]
        seconds: u32,
    },
    /// Every load in its full size, one after the other: hours
    All,
    /// Write the report and the picture from all raw data
    Report {
        /// Where to
        #[arg(long, value_name = "FILE", default_value = "tests/reports/contest.md")]
        output: PathBuf,
    },
    /// Count what no noise of a machine changes, and compare it with tests/reports/baseline.json
    Figures {
        /// What to do about it
        what: What,
    },
    /// Measure one cell, given as JSON
    #[command(hide = true)]
    Cell {
        /// The cell
        cell: String,
    },
    /// Be the generator of deliveries
    #[command(hide = true)]
    Deliver {
        /// What to send, as JSON
        order: String,
    },
    /// Be the raw writer
    #[command(hide = true)]
    Floor {
        /// Whom to write as
        kubeconfig: PathBuf,
    },
}

/// What is done with figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Fail if one has grown by more than a tenth
    Check,
    /// Accept all as they are
    Write,
}

#[derive(Debug, Args)]
pub(crate) struct Samples {
    /// How many in each round
    #[arg(long, default_value_t = 5)]
    pub(crate) samples: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Sizes {
    /// How many at once, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "10,100")]
    pub(crate) size: Vec<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct SizeAndSamples {
    /// How many others there are
    #[arg(long, default_value_t = 100)]
    pub(crate) size: u32,
    /// How many in each round
    #[arg(long, default_value_t = 5)]
    pub(crate) samples: u32,
}

/// What a sub-command measures.
pub(crate) fn loads(order: &Order) -> Vec<Load> {
    match order {
        Order::One(Samples { samples }) => vec![Load::One { samples: *samples }],
        Order::Beside(SizeAndSamples { size, samples }) => vec![Load::Beside {
            size: *size,
            samples: *samples,
        }],
        Order::Burst(sizes) => sizes.size.iter().map(|size| Load::Burst { size: *size }).collect(),
        Order::Steady { per_second, seconds } => vec![Load::Steady {
            per_second: *per_second,
            seconds: *seconds,
        }],
        Order::Repeat(Samples { samples }) => vec![Load::Repeat { samples: *samples }],
        Order::Change(Samples { samples }) => vec![Load::Change { samples: *samples }],
        Order::Teardown(sizes) => sizes.size.iter().map(|size| Load::Teardown { size: *size }).collect(),
        Order::Idle { size, seconds } => {
            let idle = |size: &u32| Load::Idle {
                size: *size,
                seconds: *seconds,
            };
            size.iter().map(idle).collect()
        }
        Order::Restart { size } => size.iter().map(|size| Load::Restart { size: *size }).collect(),
        Order::Quiet(SizeAndSamples { size, samples }) => vec![Load::Quiet {
            size: *size,
            samples: *samples,
        }],
        Order::Webhook { per_second, seconds } => vec![Load::Webhook {
            per_second: *per_second,
            seconds: *seconds,
        }],
        Order::All => everything(),
        Order::Report { .. } | Order::Figures { .. } | Order::Cell { .. } | Order::Floor { .. } | Order::Deliver { .. } => Vec::new(),
    }
}

/// The loads of the full measurement.
fn everything() -> Vec<Load> {
    let mut loads = vec![
        Load::One { samples: 5 },
        Load::Change { samples: 5 },
        Load::Repeat { samples: 3 },
        Load::Steady {
            per_second: 10,
            seconds: 30,
        },
    ];
    loads.extend([10, 100, 1000].map(|size| Load::Burst { size }));
    loads.extend([100, 1000].map(|size| Load::Beside { size, samples: 5 }));
    loads.extend([1, 10, 100].map(|size| Load::Teardown { size }));
    loads.extend([
        Load::Quiet { size: 100, samples: 10 },
        Load::Webhook {
            per_second: 1000,
            seconds: 5,
        },
        Load::Restart { size: 1000 },
        Load::Idle { size: 0, seconds: 60 },
        Load::Idle { size: 100, seconds: 60 },
        Load::Idle { size: 1000, seconds: 600 },
    ]);
    loads
}
