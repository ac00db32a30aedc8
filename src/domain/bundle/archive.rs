//! Reads `.tar.gz` archives from bytes to files in memory. Nothing is ever unpacked to a disk.
//!
//! An archive comes from outside: whatever it says of itself (sizes, names, kinds) is a claim. What it does not need in order to carry
//! files is refused by name rather than guessed at.

mod path;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use flate2::bufread::GzDecoder;
use tar::{EntryType, PaxExtensions};

use self::path::{Path, normal};
use crate::domain::git::TreePath;

/// What an archive may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of any kind.
    pub entries: usize,
    /// Bytes of one file that is kept.
    pub file: u64,
    /// Files that are kept.
    pub files: usize,
    /// Bytes of all files that are kept.
    pub kept: u64,
    /// Bytes of everything after decompression.
    pub unpacked: u64,
    /// Bytes after decompression for each compressed one, beyond the first [`FREE_OF_RATIO`]. Text compresses to a tenth; a bomb to a
    /// thousandth.
    pub ratio: u64,
}

/// Below this many bytes after decompression no ratio is suspicious: an empty tar alone is 10 KiB of zeros.
pub const FREE_OF_RATIO: u64 = 1024 * 1024;

/// The longest header that stands before an entry (a long name, PAX records), in bytes.
const MAX_EXTENSION: u64 = 16 * 1024;

/// Records of PAX that say nothing about where a file is, what it is, or how long. `path` is obeyed, everything else is refused.
const HARMLESS: [&str; 11] = [
    "comment",
    "linkpath",
    "mtime",
    "atime",
    "ctime",
    "uid",
    "gid",
    "uname",
    "gname",
    "SCHILY.xattr.",
    "LIBARCHIVE.",
];

/// The part of an archive to read.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// Whether all entries stand in one folder that is not part of their names, as hosts pack a repository.
    pub in_folder: bool,
    /// Only what is below this path is read, by its path below it. If it is a file, it is read alone, by its own name.
    pub below: &'a TreePath,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Files by their path, parts separated by `/`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Folders that the archive names and that hold nothing. Git has no empty folders: in a repository's archive, these are submodules.
    pub empty_folders: BTreeSet<String>,
    /// The comment of the archive as a whole: Git writes the commit there.
    pub comment: Option<String>,
}

/// Why an archive is refused. Nothing of it is used then.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not gzip, not tar, damaged, or shorter than it says.
    #[error("it is no complete .tar.gz archive")]
    ReadArchive(#[source] io::Error),
    /// It is larger than is allowed.
    #[error("it is too large: {0}")]
    LimitArchive(String),
    /// The name of an entry leads out of the archive, or is none.
    #[error("the entry {name:?} {problem}")]
    ReadName {
        /// The name as it stands there; not UTF-8 is shown replaced.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An entry is neither file nor folder.
    #[error("{name} is {kind}: only regular files are read")]
    CheckKind {
        /// Its name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// A header tells of something that could make two readers see two archives.
    #[error("the header before an entry holds {0:?}, which is not read")]
    ReadExtension(String),
    /// Two entries have one name.
    #[error("{0} is there twice")]
    RepeatName(String),
    /// There is more after the end.
    #[error("there is more after its end")]
    EndArchive,
}

impl Limits {
    /// For an archive that holds a bundle or a chart.
    pub const BUNDLE: Self = Self {
        entries: 5_000,
        file: 4 * 1024 * 1024,
        files: 2_000,
        kept: 16 * 1024 * 1024,
        unpacked: 64 * 1024 * 1024,
        ratio: 200,
    };

    /// For the archive of a whole repository, most of which is passed over: what is in it elsewhere may compress as well as it likes.
    pub const REPOSITORY: Self = Self {
        entries: 500_000,
        unpacked: 2 * 1024 * 1024 * 1024,
        ratio: u64::MAX,
        ..Self::BUNDLE
    };
}

/// Reads what `selection` says of a `.tar.gz` archive.
///
/// # Guarantees
/// Memory is bounded by `limits.kept` and the compressed bytes, whatever the archive claims. Names are relative, without `.` or `..`, and
/// each stands for one file.
///
/// # Errors
/// [`ArchiveError`]: the first thing that is wrong. Entries outside of the selection are judged by their names alone.
pub fn read(bytes: &[u8], selection: Selection<'_>, limits: &Limits) -> Result<Contents, ArchiveError> {
    let ratio = (bytes.len() as u64).saturating_mul(limits.ratio).max(FREE_OF_RATIO);
    let bound = Bounded {
        inner: GzDecoder::new(bytes),
        left: ratio.min(limits.unpacked),
    };
    let mut archive = tar::Archive::new(bound);
    let mut reading = Reading::new(selection, limits);
    for (index, entry) in archive.entries().map_err(broken)?.raw(true).enumerate() {
        if index >= limits.entries {
            return Err(ArchiveError::LimitArchive(format!("it has more than {} entries", limits.entries)));
        }
        reading.take(entry.map_err(broken)?)?;
    }
    end(archive.into_inner())?;
    reading.finish()
}

/// The files without the one folder that all of them are in, if there is such a folder: people pack `web/` as often as what is in it.
pub fn without_common_folder(files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let folder = |path: &str| path.split_once('/').map(|(folder, _)| format!("{folder}/"));
    let Some(common) = files.keys().next().and_then(|path| folder(path)) else {
        return files;
    };
    if files.keys().any(|path| !path.starts_with(&common)) {
        return files;
    }
    let strip = |(path, bytes): (String, Vec<u8>)| (path[common.len()..].to_owned(), bytes);
    files.into_iter().map(strip).collect()
}

/// Reads to the end, so that the checksum of the whole is compared, and nothing hides behind it.
fn end(mut rest: Bounded<GzDecoder<&[u8]>>) -> Result<(), ArchiveError> {
    let mut block = [0; 8192];
    loop {
        let count = rest.read(&mut block).map_err(broken)?;
        if block[..count].iter().any(|byte| *byte != 0) {
            return Err(ArchiveError::EndArchive);
        }
        if count == 0 {
            break;
        }
    }
    match rest.inner.into_inner() {
        [] => Ok(()),
        _ => Err(ArchiveError::EndArchive),
    }
}

/// What has been read so far.
struct Reading<'a> {
    selection: Selection<'a>,
    limits: &'a Limits,
    contents: Contents,
    folders: BTreeSet<String>,
    kept: u64,
    /// The folder that every entry is in.
    top: Option<String>,
    /// The name of the next entry, from an entry before it.
    long_name: Option<Vec<u8>>,
}

impl<'a> Reading<'a> {
    fn new(selection: Selection<'a>, limits: &'a Limits) -> Self {
        Self {
            selection,
            limits,
            contents: Contents::default(),
            folders: BTreeSet::new(),
            kept: 0,
            top: None,
            long_name: None,
        }
    }

    fn take<R: Read>(&mut self, mut entry: tar::Entry<'_, R>) -> Result<(), ArchiveError> {
        let kind = entry.header().entry_type();
        let size = entry.header().entry_size().map_err(broken)?;
        match kind {
            EntryType::XGlobalHeader | EntryType::XHeader => {
                let records = extension(&mut entry, size)?;
                self.records(&records, kind)
            }
            EntryType::GNULongName => {
                let mut name = extension(&mut entry, size)?;
                name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                self.name_next(name)
            }
            // Only links have long targets, and a link is refused when it comes, if it is in the selection.
            EntryType::GNULongLink => Ok(()),
            _ => self.entry(&mut entry, kind, size),
        }
    }

    fn entry<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, kind: EntryType, size: u64) -> Result<(), ArchiveError> {
        let name = match self.long_name.take() {
            Some(name) => name,
            None => entry.header().path_bytes().into_owned(),
        };
        let full = normal(&name)?;
        let Some(inside) = self.without_top(full, kind)? else {
            return Ok(());
        };
        let path = match path::below(&inside, self.selection.below) {
            Path::Outside => return Ok(()),
            // A link on the way would lead elsewhere; a folder is what has to be there.
            Path::Above if kind == EntryType::Directory => return Ok(()),
            Path::Above => return Err(refuse_kind(&inside, kind)),
            Path::Itself if kind == EntryType::Directory => return Ok(()),
            Path::Itself => inside.rsplit('/').next().unwrap_or_default().to_owned(),
            Path::Inside(path) => path,
        };
        match kind {
            EntryType::Directory => {
                self.folders.insert(path);
                Ok(())
            }
            EntryType::Regular | EntryType::Continuous => self.keep(entry, path, size),
            _ => Err(refuse_kind(&inside, kind)),
        }
    }

    fn keep<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, path: String, size: u64) -> Result<(), ArchiveError> {
        let limits = self.limits;
        if size > limits.file {
            let problem = format!("{path} has {size} bytes: at most {} are allowed", limits.file);
            return Err(ArchiveError::LimitArchive(problem));
        }
        self.kept = self.kept.saturating_add(size);
        if self.kept > limits.kept || self.contents.files.len() >= limits.files {
            let problem = format!("at most {} files of {} bytes in all are read", limits.files, limits.kept);
            return Err(ArchiveError::LimitArchive(problem));
        }
        let mut bytes = Vec::new();
        entry.take(size).read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() as u64 != size {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        }
        match self.contents.files.insert(path.clone(), bytes) {
            None => Ok(()),
            Some(_) => Err(ArchiveError::RepeatName(path)),
        }
    }

    /// The name below the folder that all entries share, if the selection says that there is one; `None` for that folder itself.
    fn without_top(&mut self, name: String, kind: EntryType) -> Result<Option<String>, ArchiveError> {
        if !self.selection.in_folder {
            return Ok((!name.is_empty()).then_some(name));
        }
        let (top, rest) = match name.split_once('/') {
            Some((top, rest)) => (top, Some(rest.to_owned())),
            None => (name.as_str(), None),
        };
        let same = self.top.get_or_insert_with(|| top.to_owned()) == top;
        if !same || (rest.is_none() && kind != EntryType::Directory) {
            let problem = "is not in the one folder that this archive must have";
            return Err(ArchiveError::ReadName { name, problem });
        }
        Ok(rest)
    }

    fn records(&mut self, bytes: &[u8], kind: EntryType) -> Result<(), ArchiveError> {
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(broken)?;
            let key = record
                .key()
                .map_err(|_| ArchiveError::ReadExtension("a key that is no text".to_owned()))?;
            match key {
                "path" if kind == EntryType::XHeader => self.name_next(record.value_bytes().to_vec())?,
                "comment" if kind == EntryType::XGlobalHeader => self.contents.comment = record.value().ok().map(str::to_owned),
                _ if HARMLESS
                    .iter()
                    .any(|known| key == *known || (known.ends_with('.') && key.starts_with(known))) => {}
                _ => return Err(ArchiveError::ReadExtension(key.to_owned())),
            }
        }
        Ok(())
    }

    /// Two long names before one entry are two answers to one question.
    fn name_next(&mut self, name: Vec<u8>) -> Result<(), ArchiveError> {
        match self.long_name.replace(name) {
            None => Ok(()),
            Some(_) => Err(ArchiveError::ReadExtension("a second name for one entry".to_owned())),
        }
    }

    fn finish(mut self) -> Result<Contents, ArchiveError> {
        for folder in self.folders {
            if self.contents.files.contains_key(&folder) {
                return Err(ArchiveError::RepeatName(folder));
            }
            let inside = format!("{folder}/");
            let next = self.contents.files.range(inside.clone()..).next();
            if !next.is_some_and(|(path, _)| path.starts_with(&inside)) {
                self.contents.empty_folders.insert(folder);
            }
        }
        Ok(self.contents)
    }
}

/// The bytes of an entry that speaks of the next one.
fn extension<R: Read>(entry: &mut tar::Entry<'_, R>, size: u64) -> Result<Vec<u8>, ArchiveError> {
    if size > MAX_EXTENSION {
        let problem = format!("a header has {size} bytes: at most {MAX_EXTENSION} are allowed");
        return Err(ArchiveError::LimitArchive(problem));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() as u64 != size {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

fn refuse_kind(name: &str, kind: EntryType) -> ArchiveError {
    let kind = match kind {
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a named pipe",
        EntryType::GNUSparse => "a sparse file",
        EntryType::Regular | EntryType::Continuous => "a file, and a folder is needed here",
        _ => "of an unknown kind",
    };
    ArchiveError::CheckKind {
        name: name.to_owned(),
        kind,
    }
}

fn broken(error: io::Error) -> ArchiveError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<OutOfBound>()) {
        Some(bound) => ArchiveError::LimitArchive(bound.to_string()),
        None => ArchiveError::ReadArchive(error),
    }
}

/// A reader that fails after so many bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("it grows beyond any honest size when it is decompressed")]
struct OutOfBound;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(OutOfBound))?;
        Ok(count)
    }
}
