//! Bundles from the disk: only regular files, only those that a bundle has, and never more than its limits.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Error;
use crate::domain::bundle::{BundleFiles, MAX_BUNDLE, MAX_FILE, MAX_FILES, is_bundle_file};

/// Reads a bundle's files from a directory. It blocks: on an async thread, call it by `spawn_blocking`.
///
/// Only regular files are read, never through a link. Files that are not part of a bundle, and hidden ones, are left alone.
///
/// # Errors
///
/// When a file cannot be read or exceeds a limit.
pub fn load_directory(path: &Path) -> Result<BundleFiles, Error> {
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
    BundleFiles::new(files).map_err(|problems| Error::ParseBundle { problems })
}

/// The bundle's files by their path inside it.
fn file_names(root: &Path) -> Result<Vec<String>, Error> {
    let mut names = list(root, "")?;
    if names.contains(&"templates".to_owned()) {
        names.extend(list(&root.join("templates"), "templates/")?);
    }
    names.retain(|name| is_bundle_file(name));
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
            Some(name) if name.starts_with('.') => {}
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
