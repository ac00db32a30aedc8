//! A bundle's files from a folder of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::domain::bundle::{MAX_FILE, is_bundle_file};

/// A file or folder of the bundle that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read {}", path.display())]
pub struct ReadError {
    /// Which one.
    path: PathBuf,
    /// The cause.
    #[source]
    source: io::Error,
}

/// The files of the bundle in `folder`, by their path inside it; what is no part of a bundle is not read.
///
/// # Errors
/// The folder or one of those files cannot be read.
pub fn read_bundle(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, ReadError> {
    let mut files = BTreeMap::new();
    for prefix in ["", "templates/"] {
        let place = folder.join(prefix);
        let names = match names(&place) {
            // A bundle without templates is the parser's to refuse.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !prefix.is_empty() => continue,
            names => names.map_err(|source| ReadError {
                path: place.clone(),
                source,
            })?,
        };
        for name in names {
            let (inside, path) = (format!("{prefix}{name}"), place.join(&name));
            if is_bundle_file(&inside) {
                let content = content(&path).map_err(|source| ReadError { path, source })?;
                files.insert(inside, content);
            }
        }
    }
    Ok(files)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// One byte more than allowed is enough for the parser to refuse the file.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}
