//! The folder that helm sees: the chart, its values and an empty home, for nobody else to read, and gone afterwards.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::bundle::BundleFiles;
use crate::domain::render::Release;

/// A folder for one run.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Writes the chart and the values. It blocks.
    pub(super) fn new(files: &BundleFiles, release: &Release) -> io::Result<Self> {
        let folder = Self { path: create()? };
        let prefix = release.settings.file("");
        for (path, bytes) in files.files() {
            let Some(inside) = path.strip_prefix(&prefix).filter(|inside| !inside.is_empty()) else {
                continue;
            };
            if inside.split('/').any(|part| matches!(part, "" | "." | "..")) || inside.contains('\0') {
                return Err(io::Error::other(format!("{path:?} is not a path inside a chart")));
            }
            write(&folder.chart().join(inside), bytes)?;
        }
        let values = serde_json::to_vec(&release.values).map_err(io::Error::other)?;
        write(&folder.values(), &values)?;
        fs::create_dir(folder.home())?;
        Ok(folder)
    }

    /// Where the chart is.
    pub(super) fn chart(&self) -> PathBuf {
        self.path.join("chart")
    }

    /// The file with the values.
    pub(super) fn values(&self) -> PathBuf {
        self.path.join("values.json")
    }

    /// A folder that helm may write to.
    pub(super) fn home(&self) -> PathBuf {
        self.path.join("home")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is readable by nobody else.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A new folder: the system refuses one that is there already, a link included.
fn create() -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let unique = aws_lc_rs::rand::generate::<[u8; 8]>(&aws_lc_rs::rand::SystemRandom::new())
        .map_err(|_| io::Error::other("the system gives no random bytes"))?
        .expose();
    let name = format!("graftling-chart-{number}-{:016x}", u64::from_be_bytes(unique));
    let path = std::env::temp_dir().join(name);
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)
}
