//! Rendering off the async threads, and bundles from the disk.
//!
//! This is the narrow place behind which rendering moves into a process of its own. Until then, its limits are these: the pure
//! function bounds nesting, loops and output; here the wall clock bounds how long anybody waits for it, and the number of
//! renderings at one time is bounded. A thread cannot be killed: a rendering that has exceeded its time goes on until it ends by
//! itself, and keeps its place until then.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::bundle::{Bundle, MAX_BUNDLE, MAX_FILE, MAX_FILES, Layout, Problem};
use crate::domain::render::{self, RenderContext, RenderErrors, Rendered};

/// How long a caller waits for a rendering, a place to begin included.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

/// How many renderings run at one time, those included that nobody waits for any more.
pub const MAX_RENDERINGS: usize = 4;

static RENDERINGS: Semaphore = Semaphore::const_new(MAX_RENDERINGS);

/// Why a bundle could not be read or rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory of the bundle could not be listed.
    #[error("cannot list {}", path.display())]
    ListDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of the bundle could not be read.
    #[error("cannot read {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something of the bundle is no file.
    #[error("{} is not a regular file: a bundle holds no links, and no folders below templates", path.display())]
    CheckFile {
        /// What is not a file.
        path: PathBuf,
    },
    /// The directory is too large for a bundle.
    #[error("{} is too large: {limit}", path.display())]
    LimitBundle {
        /// The file or the directory.
        path: PathBuf,
        /// The limit that it exceeds.
        limit: String,
    },
    /// The files are no bundle.
    #[error("the bundle has {} problem(s):\n{}", problems.len(), lines(problems))]
    ParseBundle {
        /// All of them.
        problems: Vec<Problem>,
    },
    /// The templates failed.
    #[error("the bundle cannot be rendered:\n{0}")]
    RenderBundle(RenderErrors),
    /// The rendering took too long.
    #[error("rendering took longer than {} seconds: does the bundle have large loops?", TIME_LIMIT.as_secs())]
    AwaitRendering,
    /// The rendering ended without an answer.
    #[error("rendering has stopped without an answer")]
    JoinRendering(#[source] tokio::task::JoinError),
}

/// Reads a bundle from a directory. It blocks: on an async thread, call it by `spawn_blocking`.
///
/// Only regular files are read, never through a link. Files that are not part of a bundle, and hidden ones, are left alone.
///
/// # Errors
///
/// When a file cannot be read, exceeds a limit, or the files are no valid bundle: then with all problems at once.
pub fn load_directory(path: &Path) -> Result<Bundle, Error> {
    let mut files = BTreeMap::new();
    let mut size = 0;
    for name in file_names(path)? {
        let bytes = read_file(&path.join(&name))?;
        size += bytes.len();
        if size > MAX_BUNDLE {
            return Err(too_large(path, format!("a bundle has at most {MAX_BUNDLE} bytes")));
        }
        files.insert(name, bytes);
    }
    Bundle::parse(&files).map_err(|problems| Error::ParseBundle { problems })
}

/// Renders a bundle on a thread for blocking work.
///
/// # Errors
///
/// What [`render::render`] reports, or that it took longer than [`TIME_LIMIT`].
pub async fn render(bundle: Arc<Bundle>, context: RenderContext) -> Result<Rendered, Error> {
    let rendering = async {
        let place = RENDERINGS.acquire().await.ok();
        let work = move || {
            let rendered = render::render(&bundle, &context);
            drop(place);
            rendered
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::JoinRendering)
    };
    tokio::time::timeout(TIME_LIMIT, rendering)
        .await
        .map_err(|_| Error::AwaitRendering)??
        .map_err(Error::RenderBundle)
}

/// The bundle's files by their path inside it.
fn file_names(root: &Path) -> Result<Vec<String>, Error> {
    let mut names = list(root, "")?;
    let layout = Layout::of(names.iter().map(String::as_str));
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        let path = root.join(&name);
        if layout.descends(&name) && (!name.contains('/') || path.is_dir()) {
            names.swap_remove(next);
            names.extend(list(&path, &format!("{name}/"))?);
        } else {
            next += 1;
        }
    }
    names.retain(|name| layout.includes(name));
    if names.len() > MAX_FILES {
        return Err(too_large(root, format!("a bundle has at most {MAX_FILES} files")));
    }
    names.sort();
    Ok(names)
}

fn list(directory: &Path, prefix: &str) -> Result<Vec<String>, Error> {
    let failed = |source| Error::ListDirectory {
        path: directory.to_owned(),
        source,
    };
    let metadata = fs::symlink_metadata(directory).map_err(failed)?;
    if !prefix.is_empty() && !metadata.is_dir() {
        return Err(Error::CheckFile {
            path: directory.to_owned(),
        });
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        match name.to_str() {
            Some(name) if name.starts_with('.') && name != ".helmignore" => {}
            Some(name) => names.push(format!("{prefix}{name}")),
            None => return Err(failed(io::Error::other("a file name is not UTF-8"))),
        }
        if names.len() > 10 * MAX_FILES {
            return Err(too_large(directory, format!("a bundle has at most {MAX_FILES} files")));
        }
    }
    Ok(names)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::ReadFile {
        path: path.to_owned(),
        source,
    };
    let irregular = || Error::CheckFile { path: path.to_owned() };
    let expected = fs::symlink_metadata(path).map_err(failed)?;
    if !expected.is_file() {
        return Err(irregular());
    }
    let file = File::open(path).map_err(failed)?;
    // What was opened is what was looked at: nobody has put a link in its place in between.
    let opened = file.metadata().map_err(failed)?;
    if (opened.dev(), opened.ino()) != (expected.dev(), expected.ino()) {
        return Err(irregular());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_FILE {
        return Err(too_large(path, format!("a file has at most {MAX_FILE} bytes")));
    }
    Ok(bytes)
}

fn too_large(path: &Path, limit: String) -> Error {
    Error::LimitBundle {
        path: path.to_owned(),
        limit,
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem:#}")).collect::<Vec<_>>().join("\n")
}
