//! A copy of all that a Gitea holds, and its return to that.

use std::process::Command;

use super::Gitea;

/// What it holds: the repositories, and the database with what SQLite keeps beside it.
const KEEP: &str = "rm -rf copy && mkdir copy && cp -a repos gitea.db* copy/";
const RETURN: &str = "rm -rf repos gitea.db* && cp -a copy/. .";

impl Gitea {
    /// Keeps a copy of all that it holds. It must not run meanwhile.
    ///
    /// # Panics
    ///
    /// When the copy fails.
    pub fn back_up(&self) {
        self.shell(KEEP);
    }

    /// Makes it hold what it held at the last [`Gitea::back_up`], and nothing since. It must not run meanwhile.
    ///
    /// # Panics
    ///
    /// When the copy fails.
    pub fn restore(&self) {
        self.shell(RETURN);
    }

    fn shell(&self, script: &str) {
        let mut command = Command::new("sh");
        let done = command.args(["-ec", script]).current_dir(self.scratch.folder()).output();
        let done = done.unwrap_or_else(|error| panic!("`{script}` cannot run: {error}"));
        assert!(
            done.status.success(),
            "`{script}` failed: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}
