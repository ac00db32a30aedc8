//! What a checkout of a commit holds, whichever host gave it, and the tar that brings it into a workspace.
//!
//! Everything comes from whoever pushed: names stay below the root, links stay inside, and sizes are bounded.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::GzDecoder;
use tar::{Archive, Builder, EntryType, Header};

use crate::domain::git::TreePath;

/// What a checkout holds, by its path.
pub type Tree = BTreeMap<String, Leaf>;

/// One thing in a checkout that is no folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A file.
    File {
        /// Its content.
        bytes: Vec<u8>,
        /// Whether it may be executed.
        is_executable: bool,
    },
    /// A symbolic link.
    Link {
        /// Where it leads to, from its own folder.
        target: String,
    },
}

/// The most bytes of one file.
pub(super) const MAX_FILE: u64 = 32 * 1024 * 1024;
/// The most bytes of all files.
const MAX_ALL: u64 = 128 * 1024 * 1024;
/// The most files and links.
const MAX_LEAVES: usize = 50_000;
/// The most bytes of an archive after decompression: files, and a header of 512 bytes for each and for each folder.
const MAX_UNPACKED: u64 = MAX_ALL + 128 * 1024 * 1024;
const MAX_LINK: usize = 1024;
/// What readers of tar take in at once.
const RECORD: usize = 10_240;

/// A tree as it is taken in, leaf by leaf.
#[derive(Default)]
pub(super) struct Checkout {
    tree: Tree,
    size: u64,
}

impl Checkout {
    /// Takes a file in.
    ///
    /// # Errors
    /// Why it is refused, naming it.
    pub(super) fn file(&mut self, path: String, bytes: Vec<u8>, is_executable: bool) -> Result<(), String> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(too_large(&path));
        }
        self.size += bytes.len() as u64;
        if self.size > MAX_ALL {
            return Err(format!("the commit has more than {} MiB", MAX_ALL / 1024 / 1024));
        }
        self.insert(path, Leaf::File { bytes, is_executable })
    }

    /// Takes a symbolic link in, which must stay inside.
    ///
    /// # Errors
    /// As [`Checkout::file`].
    pub(super) fn link(&mut self, path: String, target: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(target).ok().filter(|text| text.len() <= MAX_LINK);
        match text.filter(|text| stays_inside(&path, text)) {
            Some(text) => self.insert(path, Leaf::Link { target: text.to_owned() }),
            None => Err(format!("{path} is a symbolic link that leads out of the repository")),
        }
    }

    fn insert(&mut self, path: String, leaf: Leaf) -> Result<(), String> {
        if path.parse::<TreePath>().is_err() || path == "." {
            return Err(format!("{path:?} is not a name that is read"));
        }
        if self.tree.len() >= MAX_LEAVES {
            return Err(format!("the commit has more than {MAX_LEAVES} files"));
        }
        match self.tree.insert(path.clone(), leaf) {
            None => Ok(()),
            Some(_) => Err(format!("{path} is there twice")),
        }
    }

    /// The whole tree.
    ///
    /// # Errors
    /// Something stands below a file or a link, so that it would be written elsewhere.
    pub(super) fn finish(self) -> Result<Tree, String> {
        for path in self.tree.keys() {
            let above = path.match_indices('/').map(|(end, _)| &path[..end]);
            if let Some(above) = above.into_iter().find(|above| self.tree.contains_key(*above)) {
                return Err(format!("{path} stands below {above}, which is no folder"));
            }
        }
        Ok(self.tree)
    }
}

/// What is said of a file that is too large.
pub(super) fn too_large(path: &str) -> String {
    format!("{path} has more than {} MiB", MAX_FILE / 1024 / 1024)
}

/// Whether a link at `path` leads to somewhere below the root, by its own text. Through other links it could still lead out: of a workspace
/// in a container that whoever pushed it runs commands in anyway. Nothing is written through it, as nothing stands below a link.
fn stays_inside(path: &str, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') || target.chars().any(char::is_control) {
        return false;
    }
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

/// The tree in a gzip archive whose entries all stand in one folder, as hosts pack a commit.
///
/// # Errors
/// What is wrong with it, naming the entry.
pub(super) fn unpacked(bytes: &[u8]) -> Result<Tree, String> {
    let broken = |error: io::Error| format!("it is no complete archive: {error}");
    let mut archive = Archive::new(GzDecoder::new(bytes).take(MAX_UNPACKED));
    let mut checkout = Checkout::default();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::Directory) {
            continue;
        }
        let name = entry.path_bytes().into_owned();
        let name = String::from_utf8(name).map_err(|_| "the archive has a name that is not UTF-8".to_owned())?;
        let Some((_, path)) = name.split_once('/').filter(|(_, path)| !path.is_empty()) else {
            return Err(format!("{name:?} stands beside the folder of the commit"));
        };
        match kind {
            EntryType::Regular | EntryType::Continuous => {
                if entry.size() > MAX_FILE {
                    return Err(too_large(path));
                }
                let is_executable = entry.header().mode().unwrap_or_default() & 0o100 != 0;
                let mut content = Vec::new();
                entry.read_to_end(&mut content).map_err(broken)?;
                checkout.file(path.to_owned(), content, is_executable)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                checkout.link(path.to_owned(), &target)?;
            }
            other => return Err(format!("{path} is an entry of the kind {other:?}, which no commit has")),
        }
    }
    checkout.finish()
}

/// A tar of a tree, with the file `marker` last of all; padded, so that who reads it in whole records never waits for more.
///
/// # Errors
/// A name that tar cannot write.
pub fn tar_of(tree: &Tree, marker: &str, content: &str) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, leaf) in tree.iter().filter(|(path, _)| *path != marker) {
        match leaf {
            Leaf::File { bytes, is_executable } => {
                let mut header = header(EntryType::Regular, if *is_executable { 0o755 } else { 0o644 }, bytes.len());
                builder.append_data(&mut header, path, bytes.as_slice())?;
            }
            Leaf::Link { target } => {
                let mut header = header(EntryType::Symlink, 0o777, 0);
                builder.append_link(&mut header, path, target)?;
            }
        }
    }
    let mut last = header(EntryType::Regular, 0o644, content.len());
    builder.append_data(&mut last, marker, content.as_bytes())?;
    let mut bytes = builder.into_inner()?;
    bytes.resize(bytes.len().next_multiple_of(RECORD), 0);
    Ok(bytes)
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is the test's failure")]

    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(text: &str, is_executable: bool) -> Leaf {
        Leaf::File {
            bytes: text.as_bytes().to_vec(),
            is_executable,
        }
    }

    fn gzipped(tree: &Tree) -> Vec<u8> {
        let inside: Tree = tree
            .iter()
            .map(|(path, leaf)| (format!("acme-shop-1234/{path}"), leaf.clone()))
            .collect();
        let bytes = tar_of(&inside, "acme-shop-1234/last", "x").unwrap();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn tree() -> Tree {
        let long = format!("{}/end.txt", "folder".repeat(30));
        Tree::from([
            ("README.md".to_owned(), file("hello", false)),
            ("bin/run".to_owned(), file("#!/bin/sh", true)),
            (
                "bin/again".to_owned(),
                Leaf::Link {
                    target: "../bin/run".to_owned(),
                },
            ),
            (long, file("", false)),
        ])
    }

    #[test]
    fn a_tree_comes_out_of_an_archive_as_it_went_in() {
        let mut expected = tree();
        expected.insert("last".to_owned(), file("x", false));
        assert_eq!(unpacked(&gzipped(&tree())).unwrap(), expected);
    }

    #[test]
    fn the_marker_is_last_and_a_file_of_its_name_is_left_out() {
        let mut own = tree();
        own.insert(".marker".to_owned(), file("theirs", false));
        let bytes = tar_of(&own, ".marker", "revision").unwrap();
        assert_eq!(bytes.len() % RECORD, 0);
        let mut archive = Archive::new(bytes.as_slice());
        let mut last = (String::new(), String::new());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            assert!(content != "theirs");
            last = (path, content);
        }
        assert_eq!(last, (".marker".to_owned(), "revision".to_owned()));
    }

    #[test]
    fn f74_links_stay_inside_and_nothing_stands_below_one() {
        for (path, target, is_inside) in [
            ("a", "b", true),
            ("a/b", "../c", true),
            ("a/b", "../../c", false),
            ("a", "..", false),
            ("a", "b/../../c", false),
            ("a", "/etc/passwd", false),
            ("a", "", false),
            ("a/b/c", "./../x//..", true),
        ] {
            let taken = Checkout::default().link(path.to_owned(), target.as_bytes());
            assert_eq!(taken.is_ok(), is_inside, "{path} -> {target}");
        }
        let mut checkout = Checkout::default();
        checkout.link("a".to_owned(), b"b").unwrap();
        checkout.file("a/x".to_owned(), Vec::new(), false).unwrap();
        assert!(checkout.finish().unwrap_err().contains("a/x stands below a"));
    }

    #[test]
    fn f74_names_that_lead_out_and_sizes_beyond_the_bounds_are_refused() {
        for path in ["../x", "/x", "a/../../x", "a//b", ".", ""] {
            assert!(Checkout::default().file(path.to_owned(), Vec::new(), false).is_err(), "{path:?}");
        }
        let large = vec![0; usize::try_from(MAX_FILE).unwrap() + 1];
        assert!(
            Checkout::default()
                .file("a".to_owned(), large, false)
                .unwrap_err()
                .contains("more than 32 MiB")
        );
        assert!(unpacked(b"no archive").is_err());
        let whole = gzipped(&tree());
        assert!(unpacked(&whole[..whole.len() / 2]).is_err());
    }
}
