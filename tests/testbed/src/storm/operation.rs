//! What can happen, as values that are printed one to a line and read back.

mod text;
mod words;

use std::fmt;
use std::str::FromStr;

pub use words::{FaultKind, Hook, Kind, Place, Target, To};

/// The branches of a storm. Some differ only in what a namespace's name cannot hold.
pub const BRANCHES: [&str; 8] = [
    "feature/a",
    "feature-a",
    "Feature/A",
    "feature_a",
    "fix/b",
    "wip",
    "release/1.0",
    "x",
];

/// The names of the objects that a bundle may have beside those that it always has.
pub const SLOTS: [&str; 4] = ["one", "two", "three", "four"];

impl Target {
    /// Version, kind and name of the object.
    pub fn object(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Settings => ("v1", "ConfigMap", "settings"),
            Self::Keys => ("v1", "Secret", "keys"),
            Self::Web => ("apps/v1", "Deployment", "web"),
            Self::Account => ("v1", "ServiceAccount", "web"),
            Self::Quota => ("v1", "ResourceQuota", "graftling-quota"),
            Self::Binding => ("rbac.authorization.k8s.io/v1", "RoleBinding", "graftling-deployer"),
        }
    }
}

/// One of [`BRANCHES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Branch(pub u8);

/// One of [`SLOTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub u8);

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A push to a branch, which it makes if there is none.
    Push {
        /// The branch.
        branch: Branch,
        /// Where to.
        to: To,
        /// What becomes of the delivery.
        hook: Hook,
    },
    /// One push that makes or moves several branches.
    PushSeveral(Vec<Branch>),
    /// A branch is deleted.
    Delete(Branch, Hook),
    /// Several are deleted by one push.
    DeleteSeveral(Vec<Branch>),
    /// A branch is deleted and made again at once, with a new commit.
    Recreate(Branch, Hook),
    /// A tag with the name of a branch.
    Tag(Branch),
    /// A delivery that was seen once already, some time ago.
    Replay,
    /// The value `greeting` of the Project.
    Values(u32),
    /// The quota of pods in the Project's guardrails.
    Quota(u32),
    /// The Project's domain.
    Domain(u32),
    /// The Project excludes exactly these branches, besides `main`.
    Exclude(Vec<Branch>),
    /// The Project's `maxEnvironments`.
    Limit(Option<u32>),
    /// The Project's `suspend`.
    Suspend(bool),
    /// The bundle gets an object, or another one in place of one.
    Object(Slot, Kind, u32),
    /// The bundle loses an object.
    NoObject(Slot),
    /// A template of the bundle cannot be rendered.
    Break,
    /// It can be again.
    Mend,
    /// Somebody changes a field of a live object.
    Edit(Branch, Target),
    /// Somebody takes our label off a live object.
    Unlabel(Branch, Target),
    /// Somebody deletes a live object.
    Remove(Branch, Target),
    /// Somebody puts a finalizer on ConfigMap `settings`.
    Hold(Branch),
    /// And takes it off.
    Release(Branch),
    /// Somebody deletes an environment's namespace.
    RemoveNamespace(Branch),
    /// Somebody deletes an Environment.
    RemoveEnvironment(Branch),
    /// Somebody puts an object of theirs into an environment's namespace.
    Plant(Branch),
    /// And removes all that they put there, and puts back the labels that were taken off.
    Unplant(Branch),
    /// Somebody makes a namespace with the name that a branch's environment had.
    PlantNamespace(Branch),
    /// And removes it.
    UnplantNamespace(Branch),
    /// Somebody releases what the brake holds.
    ReleaseBrake,
    /// SIGKILL, and another start after so many milliseconds.
    Kill(u32),
    /// SIGTERM, and another start after so many milliseconds.
    Terminate(u32),
    /// The API server is away for so many milliseconds.
    ServerAway(u32),
    /// The Git repository is away for so many milliseconds.
    RepositoryAway(u32),
    /// From now on, this share of these requests fails so, in percent, as the number says which.
    Fault {
        /// How.
        kind: FaultKind,
        /// Which requests.
        place: Place,
        /// What share.
        percent: u32,
        /// For the choice.
        seed: u32,
    },
    /// The connection is good again.
    NoFaults,
    /// Nothing for so many milliseconds.
    Pause(u32),
    /// Nobody does anything until everything is as it must be.
    Quiet,
    /// For proofs that the machine can fail: pauses an Environment, which the model does not know of.
    Sabotage(Branch),
}

/// A line that is no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no operation: {text:?}")]
pub struct Error {
    /// Which line, from one on.
    pub line: usize,
    /// What it says.
    pub text: String,
}

/// One line for each operation.
pub fn print(operations: &[Operation]) -> String {
    operations.iter().map(|operation| format!("{operation}\n")).collect()
}

/// Reads what [`print()`] wrote. Empty lines and lines that begin with `#` count for nothing.
pub fn parse(text: &str) -> Result<Vec<Operation>, Error> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let read = |(index, line): (usize, &str)| {
        line.parse().map_err(|()| Error {
            line: index + 1,
            text: line.to_owned(),
        })
    };
    lines.map(read).collect()
}

impl Branch {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Branch> {
        (0..BRANCHES.len() as u8).map(Branch)
    }

    /// Its name in Git.
    pub fn name(self) -> &'static str {
        BRANCHES[usize::from(self.0) % BRANCHES.len()]
    }
}

impl Slot {
    /// The name of the object.
    pub fn name(self) -> &'static str {
        SLOTS[usize::from(self.0) % SLOTS.len()]
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Branch {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Branch::all().find(|branch| branch.name() == word).ok_or(())
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Slot {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        let found = SLOTS.iter().position(|slot| *slot == word);
        found.map(|index| Slot(index as u8)).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_operation_is_named_and_comments_are_not_read() {
        let text = "# seed 7\n\npush feature/a new lost\n  quiet\n";
        let read = parse(text).expect("all lines are good");
        assert_eq!(read.len(), 2);
        for bad in ["push feature/a", "push nobody new lost", "kill", "limit x", "fly"] {
            let error = parse(&format!("quiet\n{bad}\n")).expect_err(bad);
            assert_eq!((error.line, error.text.as_str()), (2, bad));
        }
    }
}
