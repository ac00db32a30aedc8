//! Names of hosts that mean this machine for one process, and that a test has not resolve for a while: as when DNS fails. Takes a C
//! compiler, `cc`, and a program that is linked to its C library dynamically.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::clock::compile;

const SHIM: &str = include_str!("../host_names/shim.c");

/// How a name fails to resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// There is no such name.
    Unknown,
    /// The name server cannot say for now.
    Failing,
    /// The name server does not answer: it takes thirty seconds until that is taken for a failure.
    Silent,
}

/// The names of one process, or of several.
#[derive(Debug)]
pub struct HostNames {
    folder: TempDir,
    library: PathBuf,
}

impl HostNames {
    /// Names that all mean this machine.
    ///
    /// # Errors
    ///
    /// There is no C compiler, or no folder to work in.
    pub fn of_this_machine(names: &[&str]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("graftling-names-").tempdir()?;
        let library = compile(SHIM, folder.path())?;
        let names_of = Self { folder, library };
        for name in names {
            names_of.resolve(name)?;
        }
        Ok(names_of)
    }

    /// From now on a name does not resolve.
    ///
    /// # Errors
    ///
    /// The file that says so cannot be written.
    pub fn fail(&self, name: &str, failure: Failure) -> io::Result<()> {
        self.put(
            name,
            match failure {
                Failure::Unknown => "unknown",
                Failure::Failing => "failing",
                Failure::Silent => "silent",
            },
        )
    }

    /// From now on a name means this machine.
    ///
    /// # Errors
    ///
    /// As [`HostNames::fail`].
    pub fn resolve(&self, name: &str) -> io::Result<()> {
        self.put(name, "")
    }

    /// How often somebody asked for a name while it failed.
    pub fn failures(&self, name: &str) -> u64 {
        let count = std::fs::metadata(self.folder.path().join(format!("{name}.failures")));
        count.map_or(0, |metadata| metadata.len())
    }

    /// What the environment of a process has to say for these names to count.
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        [
            ("LD_PRELOAD", self.library.clone().into_os_string()),
            ("GRAFTLING_TESTBED_HOST_NAMES", self.folder.path().into()),
        ]
    }

    fn put(&self, name: &str, content: &str) -> io::Result<()> {
        // By rename: somebody may read at any time.
        let draft = self.folder.path().join("draft");
        std::fs::write(&draft, content)?;
        std::fs::rename(&draft, self.folder.path().join(name))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Whether the name resolves, for a process that lives by `names`.
    fn resolves(names: &HostNames, name: &str) -> bool {
        let mut command = Command::new("getent");
        let output = command.args(["ahosts", name]).envs(names.environment()).output();
        String::from_utf8_lossy(&output.expect("getent runs").stdout).contains("127.0.0.1")
    }

    #[test]
    fn a_name_means_this_machine_or_fails_as_a_test_says() {
        let names = HostNames::of_this_machine(&["git.invalid"]).expect("a C compiler");
        assert!(resolves(&names, "git.invalid"));
        for failure in [Failure::Unknown, Failure::Failing] {
            names.fail("git.invalid", failure).expect("a name");
            assert!(!resolves(&names, "git.invalid"), "{failure:?}");
        }
        assert_eq!(names.failures("git.invalid"), 2);
        names.resolve("git.invalid").expect("a name");
        assert!(resolves(&names, "git.invalid"));
        assert!(!resolves(&names, "other.invalid"));
    }
}
