//! Bundles from directories of the server.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use crate::domain::bundle::BundleFiles;
use crate::domain::name::ObjectName;
use crate::domain::policy::Directory;
use crate::render;

/// Reads a directory off the async threads.
pub(super) async fn read(path: PathBuf) -> Result<BundleFiles, Error> {
    match tokio::task::spawn_blocking(move || render::load_directory(&path)).await {
        Ok(result) => result.map_err(Error::ReadDirectory),
        Err(_) => Err(Error::Await),
    }
}

/// The folder of a bundle that is shipped with the server, below `bundles`.
pub(super) async fn shipped(name: &ObjectName, bundles: &Path) -> Result<PathBuf, Error> {
    let (folder, bundles) = (bundles.join(name.as_str()), bundles.to_owned());
    let there = tokio::task::spawn_blocking(move || if folder.is_dir() { Ok(folder) } else { Err(names(&bundles)) });
    match there.await.map_err(|_| Error::Await)? {
        Ok(folder) => Ok(folder),
        Err(names) if names.is_empty() => Err(Error::FindShipped("the server has no bundles (--bundles)".to_owned())),
        Err(names) => {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            Err(Error::FindShipped(format!("the server has none of this name; there are: {names}")))
        }
    }
}

/// The names of the folders in `bundles`; none if they cannot be listed.
fn names(bundles: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(bundles).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

/// Where `path` really is, if that is below one of `roots`: links on the way are followed here, once, and lead nowhere else.
pub(super) async fn allowed(path: &Directory, roots: &[PathBuf]) -> Result<PathBuf, Error> {
    let (wanted, roots) = (path.clone(), roots.to_vec());
    let found = tokio::task::spawn_blocking(move || resolve(Path::new(wanted.as_str()), &roots)).await;
    let problem = match found {
        Ok(Ok(Some(real))) => return Ok(real),
        Ok(Ok(None)) => "it is not below a directory that the server allows (--bundle-roots)".to_owned(),
        Ok(Err(error)) => format!("it cannot be opened: {error}"),
        Err(_) => return Err(Error::Await),
    };
    Err(Error::AllowDirectory(format!("directory {path}: {problem}")))
}

fn resolve(path: &Path, roots: &[PathBuf]) -> io::Result<Option<PathBuf>> {
    // Before the disk is asked: nobody learns what exists outside of the roots.
    if !roots.iter().any(|root| path.starts_with(root)) {
        return Ok(None);
    }
    let real = path.canonicalize()?;
    let is_below = |root: &PathBuf| root.canonicalize().is_ok_and(|root| real.starts_with(root));
    Ok(roots.iter().any(is_below).then_some(real))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a file that cannot be made is the test's failure")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn threat_t30_a_directory_outside_of_the_roots_is_never_opened_whatever_leads_there() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for folder in ["roots/a", "roots-2/b", "secret"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        symlink(at("secret"), at("roots/link")).unwrap();
        symlink(at("roots/a"), at("roots/inside")).unwrap();
        let roots = [at("roots")];
        assert_eq!(
            resolve(&at("roots/a"), &roots).unwrap(),
            Some(at("roots/a").canonicalize().unwrap())
        );
        assert_eq!(
            resolve(&at("roots/inside"), &roots).unwrap(),
            Some(at("roots/a").canonicalize().unwrap())
        );
        for outside in ["roots/link", "roots-2/b", "secret", "nowhere"] {
            assert_eq!(resolve(&at(outside), &roots).unwrap(), None, "{outside}");
        }
        assert!(resolve(&at("roots/nowhere"), &roots).is_err());
        assert_eq!(resolve(&at("roots/a"), &[]).unwrap(), None, "without a root nothing is allowed");
    }
}
