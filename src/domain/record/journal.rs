//! What became of a run: the last lines that its jobs wrote and what they handed on, kept when their pods are gone.

use serde::{Deserialize, Serialize};

use super::Mask;
use super::packing::{pack, unpack};
use super::secrets::MAX_JOURNAL;
use crate::domain::stage::outputs::Outputs;

/// The most lines that are kept of a container.
pub const MAX_LINES: usize = 200;
/// The most bytes that are kept of a container.
pub const MAX_LOG: usize = 64 * 1024;

/// What is kept of a run beside its contents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// What containers wrote, in the order in which they were kept.
    #[serde(default)]
    pub logs: Vec<ContainerLog>,
    /// What its stages handed on.
    #[serde(default, skip_serializing_if = "Outputs::is_empty")]
    pub outputs: Outputs,
    /// How many logs had to go to make room for later ones.
    #[serde(default)]
    pub dropped: usize,
}

/// The last lines of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerLog {
    /// The stage.
    pub stage: String,
    /// Which try of the stage, counted from 1.
    pub attempt: u32,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// With what it ended, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The lines, without what is secret.
    pub lines: Vec<String>,
    /// Whether there were more lines before them.
    #[serde(default)]
    pub cut: bool,
    /// Why there are none, if they could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

impl ContainerLog {
    /// Takes the end of what a container wrote, with what is secret hidden.
    #[must_use]
    pub fn with_text(self, text: &str, mask: &Mask) -> Self {
        // First the mask: what is cut could else leave the end of a secret.
        let masked = mask.apply(text);
        let all: Vec<&str> = masked.lines().collect();
        let mut size = 0;
        let fits = |line: &&&str| {
            size += line.len() + 1;
            size <= MAX_LOG
        };
        let mut lines: Vec<String> = all
            .iter()
            .rev()
            .take(MAX_LINES)
            .take_while(fits)
            .map(|line| readable(line))
            .collect();
        lines.reverse();
        if let (true, Some(last)) = (lines.is_empty(), all.last()) {
            lines.push(end_of(last, MAX_LOG).to_owned());
        }
        let cut = self.cut || lines.len() < all.len();
        Self { lines, cut, ..self }
    }
}

impl Journal {
    /// Adds logs; one of the same stage, try and container takes the place of the other. Older ones go while there is no room.
    pub fn add(&mut self, logs: impl IntoIterator<Item = ContainerLog>) {
        for log in logs {
            let id = |log: &ContainerLog| (log.stage.clone(), log.attempt, log.pod.clone(), log.container.clone());
            self.logs.retain(|kept| id(kept) != id(&log));
            self.logs.push(log);
        }
        while self.pack().len() > MAX_JOURNAL && self.logs.len() > 1 {
            self.logs.remove(0);
            self.dropped += 1;
        }
    }

    /// The bytes as they are stored.
    pub fn pack(&self) -> Vec<u8> {
        pack(self)
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8], limit: u64) -> Result<Self, String> {
        unpack(bytes, limit)
    }
}

/// A line without control characters: it is shown on terminals.
fn readable(line: &str) -> String {
    line.chars()
        .filter(|character| !character.is_control() || *character == '\t')
        .collect()
}

/// The last `size` bytes of a text, at the boundary of a character.
fn end_of(text: &str, size: usize) -> &str {
    let mut start = text.len().saturating_sub(size);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
