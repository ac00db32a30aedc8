//! Why a bundle could not be read or rendered, in words for whoever wrote it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::RenderLimits;
use crate::domain::bundle::Problem;
use crate::domain::render::RenderErrors;

/// Why a bundle could not be read or rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory of the bundle could not be listed.
    #[error("cannot list {}", path.display())]
    ListDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of the bundle could not be read.
    #[error("cannot read {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something of the bundle is no file.
    #[error("{} is not a regular file: a bundle holds no links, and no folders below templates", path.display())]
    CheckFile {
        /// What is not a file.
        path: PathBuf,
    },
    /// The directory is too large for a bundle.
    #[error("{} is too large: {limit}", path.display())]
    LimitBundle {
        /// The file or the directory.
        path: PathBuf,
        /// The limit that it exceeds.
        limit: String,
    },
    /// The files are no bundle.
    #[error("the bundle has {} problem(s):\n{}", problems.len(), lines(problems))]
    ParseBundle {
        /// All of them.
        problems: Vec<Problem>,
    },
    /// The templates failed.
    #[error("the bundle cannot be rendered:\n{0}")]
    RenderBundle(RenderErrors),
    /// The branch's own file is refused.
    #[error("the branch's own file has {} problem(s):\n{}", problems.len(), lines(problems))]
    ReadBranchFile {
        /// All of them.
        problems: Vec<Problem>,
    },
    /// The bundle used more than a rendering may.
    #[error("{}", excess(*limit, limits))]
    Exceed {
        /// What it used too much of.
        limit: Limit,
        /// All limits.
        limits: RenderLimits,
    },
    /// Every worker was busy for too long.
    #[error("no worker was free to render for {}: other bundles keep them busy", seconds(*patience))]
    AwaitWorker {
        /// How long was waited.
        patience: Duration,
    },
    /// The bundle names a chart, and there is no helm.
    #[error("this bundle is a Helm chart, and {}", lack(program.as_deref()))]
    FindHelm {
        /// Where it should be; `None`: anywhere in `PATH`.
        program: Option<PathBuf>,
    },
    /// The chart could not be written for helm.
    #[error("cannot write the chart for helm")]
    WriteChart(#[source] io::Error),
    /// helm could not run to its end.
    #[error("helm cannot render the chart")]
    RunHelm(#[source] super::sandbox::Error),
    /// A worker ended without an answer, and for no limit that we know.
    #[error("the rendering process has ended without an answer: {ending}")]
    EndWorker {
        /// How it ended.
        ending: String,
    },
    /// A worker could not be started.
    #[error("cannot start a rendering process from {}", program.display())]
    StartWorker {
        /// The program.
        program: PathBuf,
        /// What the system says, or what the program did.
        #[source]
        source: io::Error,
    },
}

/// What a rendering can use too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Time on a processor.
    Cpu,
    /// Time that passes.
    Wall,
    /// Memory.
    Memory,
    /// The stack: nesting.
    Stack,
    /// The size of the answer.
    Answer,
}

/// A duration in whole seconds, in words.
pub(super) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        1 => "1 second".to_owned(),
        count => format!("{count} seconds"),
    }
}

fn excess(limit: Limit, limits: &RenderLimits) -> String {
    let used = match limit {
        Limit::Cpu => format!("{} of processor time", seconds(limits.cpu)),
        Limit::Wall => seconds(limits.wall),
        Limit::Memory => format!("{} MiB of memory", limits.memory >> 20),
        Limit::Answer => format!("{} MiB for its documents", limits.answer >> 20),
        Limit::Stack => return "reading or rendering the bundle nests too deeply: does it nest blocks or values without end?".to_owned(),
    };
    format!("reading and rendering the bundle used more than {used}: does it have large loops?")
}

fn lack(program: Option<&Path>) -> String {
    match program {
        Some(program) => format!("there is no helm binary at {}: mend --helm (GRAFTLING_HELM)", program.display()),
        None => "no helm binary is configured: give its path with --helm (GRAFTLING_HELM), or put helm into PATH".to_owned(),
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem:#}")).collect::<Vec<_>>().join("\n")
}
