//! A clock on the wall that a test sets for one process, also while it runs: as when somebody, or a broken time server, sets the clock of
//! its machine. Takes a C compiler, `cc`, and a program that is linked to its C library dynamically.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const SHIM: &str = include_str!("../clock/shim.c");

/// The clock of one process, or of several that are to agree.
#[derive(Debug)]
pub struct WallClock {
    folder: TempDir,
    library: PathBuf,
}

impl WallClock {
    /// A clock that is right, for now.
    ///
    /// # Errors
    ///
    /// There is no C compiler, or no folder to work in.
    pub fn right() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("graftling-clock-").tempdir()?;
        let library = compile(SHIM, folder.path())?;
        let clock = Self { folder, library };
        std::fs::write(clock.offset(), 0_i64.to_ne_bytes())?;
        Ok(clock)
    }

    /// A clock that is off by so many seconds from the start.
    ///
    /// # Errors
    ///
    /// As [`WallClock::right`].
    pub fn off_by(seconds: i64) -> io::Result<Self> {
        let clock = Self::right()?;
        clock.jump_to(seconds)?;
        Ok(clock)
    }

    /// From now on the clock is off by so many seconds, ahead if they are positive.
    ///
    /// # Errors
    ///
    /// The file that says so cannot be written.
    pub fn jump_to(&self, seconds: i64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        // In place and in one piece: the process has the file mapped and reads it at any time.
        let file = std::fs::OpenOptions::new().write(true).open(self.offset())?;
        file.write_all_at(&seconds.to_ne_bytes(), 0)
    }

    /// What the environment of a process has to say for it to live by this clock.
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        [
            ("LD_PRELOAD", self.library.clone().into_os_string()),
            ("GRAFTLING_TESTBED_CLOCK", self.offset().into_os_string()),
        ]
    }

    fn offset(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// Compiles what is loaded into a process to change what it sees.
pub(crate) fn compile(shim: &str, folder: &Path) -> io::Result<PathBuf> {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, shim)?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("a C compiler, cc, is needed to change what a process sees: {error}"),
            )
        })?;
    if output.status.success() {
        Ok(library)
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The year by `date`, in a process that lives by `clock`.
    fn year(clock: &WallClock) -> i64 {
        let output = Command::new("date").args(["-u", "+%Y"]).envs(clock.environment()).output();
        let text = String::from_utf8(output.expect("date runs").stdout).expect("a number");
        text.trim().parse().expect("a year")
    }

    #[test]
    fn a_process_lives_by_the_clock_that_a_test_sets() {
        let clock = WallClock::right().expect("a C compiler");
        let now = year(&clock);
        clock.jump_to(2 * 366 * 24 * 60 * 60).expect("a clock that can be set");
        assert!((2..=3).contains(&(year(&clock) - now)));
        let behind = WallClock::off_by(-2 * 366 * 24 * 60 * 60).expect("a C compiler");
        assert!((-3..=-2).contains(&(year(&behind) - now)));
    }
}
