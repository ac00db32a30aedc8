//! A real bare repository in a directory of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// `<root>/shop.git`, whose HEAD points to `main`; it has no branches at first.
pub(super) struct Scratch {
    root: TempDir,
    directory: PathBuf,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let root = TempDir::new().expect("a temporary directory can be made");
        let directory = root.path().join("shop.git");
        let scratch = Self { root, directory };
        let place = scratch.directory.to_str().expect("the path is text");
        run(
            Command::new("git").args(["init", "--quiet", "--bare", "--initial-branch=main", place]),
            "",
        );
        scratch
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A commit of an empty tree, without any ref to it.
    pub(super) fn commit(&self, message: &str) -> String {
        let tree = self.git(&["mktree"], "");
        self.git(&["commit-tree", &tree, "-m", message], "")
    }

    /// A commit of files by path, mode and content, without any ref to it.
    pub(super) fn tree(&self, files: &[(&str, &str, &str)]) -> String {
        self.git(&["read-tree", "--empty"], "");
        for (path, mode, content) in files {
            let id = self.git(&["hash-object", "-w", "--stdin"], content);
            self.git(&["update-index", "--add", "--cacheinfo", &format!("{mode},{id},{path}")], "");
        }
        let tree = self.git(&["write-tree"], "");
        self.git(&["commit-tree", &tree, "-m", "files"], "")
    }

    /// Sets full refs to a commit, all at once.
    pub(super) fn set(&self, commit: &str, full_refs: &[&str]) {
        let script: String = full_refs.iter().map(|name| format!("update {name} {commit}\n")).collect();
        self.git(&["update-ref", "--stdin"], &script);
    }

    pub(super) fn delete(&self, full_ref: &str) {
        self.git(&["update-ref", "-d", full_ref], "");
    }

    pub(super) fn git(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.directory).args(arguments);
        command.envs([("GIT_AUTHOR_NAME", "Mona"), ("GIT_COMMITTER_NAME", "Mona")]);
        command.envs([
            ("GIT_AUTHOR_EMAIL", "mona@example.com"),
            ("GIT_COMMITTER_EMAIL", "mona@example.com"),
        ]);
        run(&mut command, input)
    }
}

fn run(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("git is installed");
    let mut stdin = child.stdin.take().expect("the input is piped");
    stdin.write_all(input.as_bytes()).expect("git reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("git writes text").trim_end().to_owned()
}
