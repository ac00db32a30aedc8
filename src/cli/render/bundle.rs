//! The bundle that the command line names: a folder, or an archive.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::domain::bundle::archive::{self, ArchiveError, Limits, Selection};
use crate::domain::bundle::{BundleFiles, Layout, Problem};
use crate::domain::name::NameError;
use crate::render::{self, load_directory};

/// The most bytes of an archive.
const MAX_ARCHIVE: u64 = 32 * 1024 * 1024;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be read.
    #[error(transparent)]
    ReadFolder(render::Error),
    /// The archive cannot be opened.
    #[error("cannot read {}", path.display())]
    OpenArchive {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The archive is refused.
    #[error("{} is refused", path.display())]
    ReadArchive {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: ArchiveError,
    },
    /// The root of an archive has no name.
    #[error("the root of the archive cannot be named")]
    NameRoot(#[source] NameError),
    /// There are more or larger files than a bundle may have.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    LimitFiles(Vec<Problem>),
}

/// Reads the bundle at `path`.
///
/// # Errors
/// See [`Error`].
pub fn load(path: &Path) -> Result<BundleFiles, Error> {
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return load_directory(path).map_err(Error::ReadFolder);
    }
    let bytes = read(path).map_err(|source| Error::OpenArchive {
        path: path.to_owned(),
        source,
    })?;
    let root = ".".parse().map_err(Error::NameRoot)?;
    let selection = Selection {
        in_folder: false,
        below: &root,
    };
    let contents = archive::read(&bytes, selection, &Limits::BUNDLE).map_err(|source| Error::ReadArchive {
        path: path.to_owned(),
        source,
    })?;
    let mut files = archive::without_common_folder(contents.files);
    let layout = Layout::of(files.keys().map(String::as_str));
    files.retain(|path, _| layout.includes(path));
    BundleFiles::new(files).map_err(Error::LimitFiles)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_ARCHIVE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0..=MAX_ARCHIVE => Ok(bytes),
        _ => Err(io::Error::other(format!("an archive has at most {MAX_ARCHIVE} bytes"))),
    }
}
