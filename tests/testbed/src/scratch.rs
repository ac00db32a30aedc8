//! Owns private temporary folders that are removed in every case, even if this process is killed.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// What the janitor does: read pids until we are gone or done, wait (10 s at most) until these have ended, remove.
const JANITOR: &str = r#"
pids=
while read -r pid; do pids="$pids $pid"; done
patience=100
for pid in $pids; do
    while kill -0 "$pid" 2>/dev/null && [ "$patience" -gt 0 ]; do
        sleep 0.1
        patience=$((patience - 1))
    done
done
exec rm -rf -- "$@"
"#;

/// Temporary folders, readable by this user only, and the janitor process that removes them.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    memory: PathBuf,
    janitor: Mutex<Child>,
}

impl Scratch {
    /// Creates a folder, and one in memory (`/dev/shm`) where the platform has it.
    pub(crate) fn create() -> io::Result<Scratch> {
        let folder = private_folder(&std::env::temp_dir())?;
        let memory = private_folder(Path::new("/dev/shm")).unwrap_or_else(|_| folder.join("memory"));
        let janitor = Command::new("sh")
            .args(["-c", JANITOR, "janitor"])
            .args([&folder, &memory])
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let scratch = Scratch {
            folder,
            memory,
            janitor: Mutex::new(janitor),
        };
        std::fs::create_dir_all(&scratch.memory)?;
        Ok(scratch)
    }

    /// The folder on disk.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder in memory, or on disk where there is none in memory.
    pub(crate) fn memory(&self) -> &Path {
        &self.memory
    }

    /// Says that the process `pid` writes to the folders: they are removed only after its end.
    pub(crate) fn used_by(&self, pid: u32) -> io::Result<()> {
        let mut janitor = self.janitor.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut janitor.stdin {
            Some(stdin) => writeln!(stdin, "{pid}"),
            None => Ok(()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let janitor = self.janitor.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(janitor.stdin.take());
        let _ = janitor.wait();
    }
}

fn private_folder(parent: &Path) -> io::Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix("graftling-testbed-").tempdir_in(parent)?.keep())
}
