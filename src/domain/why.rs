//! Why an environment is not ready, in one sentence for people who know no Kubernetes word, and what to do next.
//!
//! [`explain`] looks at what was read of a namespace, [`of_refusal`] at what the API server said when it refused an object,
//! [`next_step`] at the reason that a status has already. Each gives a class from a closed set, which stays the same when words change.
//!
//! Messages of others are data here: they are searched, never trusted, and what is shown of them is masked and cut.

mod class;
mod container;
mod image;
mod mask;
mod placement;
mod ports;
mod probe;
mod quantity;
mod refusal;
mod scene;
mod standing;
mod workload;

use serde::Serialize;

pub use class::Class;
pub use mask::{MAX_EVIDENCE_LINE, MAX_LINE, masked, masked_evidence};
pub(super) use quantity::value as quantity;
pub use refusal::of_refusal;
pub use scene::{LogTail, Scene, Subject, crashed_container};
pub use standing::{is_wait, next_step};

/// What is wrong with one thing of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Which class of trouble it is.
    #[serde(rename = "reason")]
    pub class: Class,
    /// The object as Kubernetes calls it: `Deployment web`.
    pub object: String,
    /// One sentence without a full stop, in plain words.
    pub sentence: String,
    /// What to do, in the imperative, without a full stop. It names object and field.
    pub next: String,
    /// What it was concluded from: masked, at most [`MAX_EVIDENCE`] lines of [`MAX_EVIDENCE_LINE`] characters.
    pub evidence: Vec<String>,
}

/// How many lines of evidence an explanation has at most.
pub const MAX_EVIDENCE: usize = 6;

/// What to say first of everything that is wrong; the rest follows, most telling first. Empty if nothing is known to be wrong.
///
/// A cause comes before what follows from it: an image that is not there before the health check of what needs it.
pub fn explain(scene: &Scene) -> Vec<Explanation> {
    let mut found: Vec<Explanation> = Vec::new();
    for pod in scene.pods() {
        found.extend(of_pod(&pod, scene));
    }
    found.extend(workload::explain(scene));
    found.extend(placement::of_claims(scene));
    found.extend(ports::of_services(scene));
    found.sort_by(|left, right| left.class.cmp(&right.class).then_with(|| left.object.cmp(&right.object)));
    found.dedup_by(|later, earlier| later.class == earlier.class && later.object == earlier.object);
    found
}

/// A pod has one trouble at a time; the first that fits is it.
fn of_pod(pod: &scene::Pod<'_>, scene: &Scene) -> Option<Explanation> {
    placement::of_pod(pod, scene)
        .or_else(|| image::of_pod(pod, scene))
        .or_else(|| container::of_pod(pod, scene))
        .or_else(|| probe::of_pod(pod, scene))
}

// === impl Explanation ===

impl Explanation {
    fn new(class: Class, subject: &Subject, sentence: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            class,
            object: subject.formal(),
            sentence: sentence.into(),
            next: next.into(),
            evidence: Vec::new(),
        }
    }

    fn with_evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        for line in lines {
            let line = mask::masked_evidence(&line);
            if self.evidence.len() < MAX_EVIDENCE && !line.is_empty() && !self.evidence.contains(&line) {
                self.evidence.push(line);
            }
        }
        self
    }

    /// Sentence and next step, as a status tells them.
    pub fn message(&self) -> String {
        format!("{}; {}", self.sentence, self.next)
    }
}
