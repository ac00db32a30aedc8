//! Real Git repositories: a bare one, as a host serves it, and a clone that pushes to it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::binaries::on_path;

/// The branch every repository begins with.
pub const DEFAULT_BRANCH: &str = "main";

/// Name and address of who commits.
const AUTHOR: (&str, &str) = ("Test Author", "author@example.com");

/// By its whole path: a command whose environment is not ours is looked for in `PATH` by a copy of this process, and copying the memory of
/// hundreds of tests takes longer than Git does.
static GIT: LazyLock<PathBuf> = LazyLock::new(|| on_path("git").unwrap_or_else(|| "git".into()));

/// A bare repository with a working clone beside it, in a temporary folder that goes with this value.
///
/// Git runs with an environment of its own: no configuration of the user or the machine, a fixed author. Every change is
/// pushed, so hooks really run. Its methods block for some milliseconds each.
#[derive(Debug)]
pub struct Repository {
    folder: TempDir,
}

/// Why a Git operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be created, written or removed.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// No `git` on PATH.
    #[error("cannot run git")]
    RunGit(#[source] io::Error),
    /// Git refused.
    #[error("`git {command}` failed; it said:\n{output}")]
    Git {
        /// The arguments.
        command: String,
        /// What it printed.
        output: String,
    },
}

impl Repository {
    /// Creates a repository with one commit on [`DEFAULT_BRANCH`].
    pub fn create() -> Result<Repository, Error> {
        let temporary = std::env::temp_dir();
        let folder = tempfile::Builder::new().prefix("graftling-repository-").tempdir();
        let repository = Repository {
            folder: folder.map_err(|source| Error::Write { path: temporary, source })?,
        };
        let (bare, clone) = (repository.path(), repository.clone_path());
        let branch = format!("--initial-branch={DEFAULT_BRANCH}");
        repository.run(
            Path::new("/"),
            [OsStr::new("init"), "--bare".as_ref(), branch.as_ref(), bare.as_ref()],
        )?;
        repository.run(Path::new("/"), [OsStr::new("init"), branch.as_ref(), clone.as_ref()])?;
        repository.git(["remote", "add", "origin", &bare.to_string_lossy()])?;
        repository.commit(DEFAULT_BRANCH, &[("README.md", "A repository of a test.\n")])?;
        Ok(repository)
    }

    /// The bare repository, `<name>.git`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("repository.git")
    }

    /// The bare repository as a `file://` URL.
    pub fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    /// Commits files (path and content; parent folders are created) on top of `branch`, pushes, and returns the full
    /// revision. A branch that is new begins at [`DEFAULT_BRANCH`]. Without files the commit is empty.
    pub fn commit(&self, branch: &str, files: &[(&str, &str)]) -> Result<String, Error> {
        self.commit_without(branch, files, &[])
    }

    /// Commits as [`Repository::commit`] does, and removes these files in the same commit.
    pub fn commit_without(&self, branch: &str, files: &[(&str, &str)], removed: &[&str]) -> Result<String, Error> {
        let revision = self.commit_locally(branch, files, removed)?;
        self.push([format!("{revision}:refs/heads/{branch}")])?;
        Ok(revision)
    }

    /// Commits to several branches as [`Repository::commit`] does and sends all of them in one push.
    pub fn push_many(&self, commits: &[(&str, &[(&str, &str)])]) -> Result<Vec<String>, Error> {
        let mut revisions = Vec::new();
        for (branch, files) in commits {
            revisions.push(self.commit_locally(branch, files, &[])?);
        }
        let updates = commits
            .iter()
            .zip(&revisions)
            .map(|((branch, _), revision)| format!("{revision}:refs/heads/{branch}"));
        self.push(updates)?;
        Ok(revisions)
    }

    /// Sets a branch to any revision that was pushed before.
    pub fn force_push(&self, branch: &str, revision: &str) -> Result<(), Error> {
        self.push([format!("+{revision}:refs/heads/{branch}")])
    }

    /// Deletes branches in one push.
    pub fn delete_branches(&self, branches: &[&str]) -> Result<(), Error> {
        self.push(branches.iter().map(|branch| format!(":refs/heads/{branch}")))
    }

    /// Creates a branch under a new name and deletes the old one, in one push, as hosts do when a branch is renamed.
    pub fn rename_branch(&self, from: &str, to: &str) -> Result<(), Error> {
        self.fetch()?;
        self.push([format!("refs/remotes/origin/{from}:refs/heads/{to}"), format!(":refs/heads/{from}")])
    }

    /// Creates a lightweight tag at a revision.
    pub fn tag(&self, name: &str, revision: &str) -> Result<(), Error> {
        self.push([format!("{revision}:refs/tags/{name}")])
    }

    /// Deletes a tag.
    pub fn delete_tag(&self, name: &str) -> Result<(), Error> {
        self.push([format!(":refs/tags/{name}")])
    }

    /// The full revision of a branch in the bare repository, if it exists.
    pub fn head(&self, branch: &str) -> Result<Option<String>, Error> {
        let reference = format!("refs/heads/{branch}");
        let listed = self.run(&self.path(), ["for-each-ref", "--format=%(objectname) %(refname)", &reference])?;
        let line = listed.lines().find_map(|line| line.strip_suffix(&format!(" {reference}")));
        Ok(line.map(str::to_owned))
    }

    /// Writes all refs into one file, as the housekeeping of a host does from time to time.
    pub fn pack_refs(&self) -> Result<(), Error> {
        self.run(&self.path(), ["pack-refs", "--all"]).map(drop)
    }

    /// Installs a shell script as the hook that runs after each push, with `old new ref` lines on its standard input.
    ///
    /// The push waits for it and shows what it prints. The hook runs with our clean environment in the bare repository.
    pub fn install_post_receive(&self, script: &str) -> Result<(), Error> {
        let hooks = self.path().join("hooks");
        fs::create_dir_all(&hooks).map_err(|source| Error::Write {
            path: hooks.clone(),
            source,
        })?;
        let path = hooks.join("post-receive");
        let script = if script.starts_with("#!") {
            script.to_owned()
        } else {
            format!("#!/bin/sh\n{script}\n")
        };
        let written = fs::write(&path, script).and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)));
        written.map_err(|source| Error::Write { path, source })
    }

    /// Runs any Git command in the clone and returns what it printed on standard output.
    pub fn git<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String, Error> {
        self.run(&self.clone_path(), arguments)
    }

    fn commit_locally(&self, branch: &str, files: &[(&str, &str)], removed: &[&str]) -> Result<String, Error> {
        self.fetch()?;
        self.check_out(branch)?;
        for (path, content) in files {
            self.write(path, content)?;
        }
        for path in removed {
            let path = self.clone_path().join(path);
            fs::remove_file(&path).map_err(|source| Error::Write { path, source })?;
        }
        self.git(["add", "--all"])?;
        let subject = files.iter().map(|(path, _)| *path).collect::<Vec<_>>().join(", ");
        // The branch makes equal changes to two branches within a second different commits.
        let message = format!("Change {} on {branch}", if subject.is_empty() { "nothing" } else { &subject });
        self.git(["commit", "--quiet", "--allow-empty", "--message", &message])?;
        Ok(self.git(["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Checks out what was fetched, from wherever `origin` is: the branch, else the default branch, else nothing at all.
    fn check_out(&self, branch: &str) -> Result<(), Error> {
        for start in [branch, DEFAULT_BRANCH] {
            let reference = format!("refs/remotes/origin/{start}");
            if self.git(["rev-parse", "--verify", "--quiet", &reference]).is_ok() {
                self.git(["checkout", "--quiet", "--force", "--detach", &reference])?;
                return Ok(());
            }
        }
        Ok(())
    }

    fn write(&self, path: &str, content: &str) -> Result<(), Error> {
        let path = self.clone_path().join(path);
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        parent
            .and_then(|()| fs::write(&path, content))
            .map_err(|source| Error::Write { path, source })
    }

    fn fetch(&self) -> Result<(), Error> {
        self.git(["fetch", "--quiet", "--prune", "origin"]).map(drop)
    }

    fn push(&self, updates: impl IntoIterator<Item = String>) -> Result<(), Error> {
        let updates: Vec<String> = updates.into_iter().collect();
        let arguments = ["push", "--quiet", "origin"].into_iter().chain(updates.iter().map(String::as_str));
        self.git(arguments).map(drop)
    }

    fn clone_path(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    fn run(&self, folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String, Error> {
        let mut command = Command::new(&*GIT);
        command.args(arguments).current_dir(folder).env_clear().envs(self.environment());
        let output = command.output().map_err(Error::RunGit)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        Err(Error::Git {
            command: words.join(" "),
            output: text(&output.stdout) + &text(&output.stderr),
        })
    }

    /// Nothing of the user's, except where programs are. A fixed identity, and no collection of garbage behind our back.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("HOME", self.folder.path().into()),
            ("PATH", std::env::var_os("PATH").unwrap_or_default()),
            ("LC_ALL", "C".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_AUTHOR_NAME", AUTHOR.0.into()),
            ("GIT_AUTHOR_EMAIL", AUTHOR.1.into()),
            ("GIT_COMMITTER_NAME", AUTHOR.0.into()),
            ("GIT_COMMITTER_EMAIL", AUTHOR.1.into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_CONFIG_COUNT", "2".into()),
            ("GIT_CONFIG_KEY_0", "protocol.file.allow".into()),
            ("GIT_CONFIG_VALUE_0", "always".into()),
            ("GIT_CONFIG_KEY_1", "gc.auto".into()),
            ("GIT_CONFIG_VALUE_1", "0".into()),
        ]
    }
}
