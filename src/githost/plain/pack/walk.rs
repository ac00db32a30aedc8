//! From a commit to the files below a path. The names come from whoever pushed.

use gix::hash::{ObjectId, oid};
use gix::objs::tree::{EntryKind, EntryRef};
use gix::objs::{CommitRef, TreeRefIter};

use super::objects::Objects;
use super::{Cause, Fetched};
use crate::domain::bundle::archive::Limits;
use crate::domain::git::TreePath;
use crate::githost::checkout::{self, Checkout, Tree};
use crate::githost::tree::Files;

/// The same for every way to get files.
pub(super) const LIMITS: Limits = Limits::REPOSITORY;
/// How deep folders may stand in each other below the path.
const MAX_DEPTH: usize = 32;

/// The files below `path` in the tree of `commit`.
pub(super) fn files(objects: &Objects, commit: ObjectId, path: &TreePath) -> Result<Fetched<Files>, Cause> {
    let bytes = need(objects, &commit)?;
    let root = CommitRef::from_bytes(&bytes, objects.hash)?.tree();
    let mut walk = Walk {
        objects,
        files: Files::new(),
        size: 0,
    };
    match walk.descend(root, path) {
        Ok(()) => Ok(Fetched::Found(walk.files)),
        Err(Stop::Refused(problem)) => Ok(Fetched::Refused(problem)),
        Err(Stop::Broken(cause)) => Err(cause),
    }
}

/// Everything in the tree of `commit` that a checkout holds: folders of submodules are left out, as by a clone without them.
pub(super) fn everything(objects: &Objects, commit: ObjectId) -> Result<Fetched<Tree>, Cause> {
    let bytes = need(objects, &commit)?;
    let root = CommitRef::from_bytes(&bytes, objects.hash)?.tree();
    let mut checkout = Checkout::default();
    match take_all(objects, &root, "", 0, &mut checkout) {
        Ok(()) => Ok(checkout.finish().map_or_else(Fetched::Refused, Fetched::Found)),
        Err(Stop::Refused(problem)) => Ok(Fetched::Refused(problem)),
        Err(Stop::Broken(cause)) => Err(cause),
    }
}

fn take_all(objects: &Objects, id: &oid, prefix: &str, depth: usize, checkout: &mut Checkout) -> Result<(), Stop> {
    if depth > MAX_DEPTH {
        return Err(Stop::Refused(format!("{prefix} is nested more than {MAX_DEPTH} folders deep")));
    }
    let bytes = need(objects, id)?;
    for entry in TreeRefIter::from_bytes(&bytes, objects.hash) {
        let entry = entry?;
        let path = format!("{prefix}{}", name(&entry, prefix)?);
        // What is too large was left out by the server.
        let blob = || -> Result<Vec<u8>, Stop> { objects.get(entry.oid)?.ok_or_else(|| Stop::Refused(checkout::too_large(&path))) };
        let taken = match entry.mode.kind() {
            EntryKind::Tree => {
                take_all(objects, entry.oid, &format!("{path}/"), depth + 1, checkout)?;
                Ok(())
            }
            EntryKind::Blob => checkout.file(path.clone(), blob()?, false),
            EntryKind::BlobExecutable => checkout.file(path.clone(), blob()?, true),
            EntryKind::Link => checkout.link(path.clone(), &blob()?),
            EntryKind::Commit => Ok(()),
        };
        taken.map_err(Stop::Refused)?;
    }
    Ok(())
}

struct Walk<'a> {
    objects: &'a Objects,
    files: Files,
    size: u64,
}

/// Why a walk ends early.
enum Stop {
    Refused(String),
    Broken(Cause),
}

impl<E: Into<Cause>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl Walk<'_> {
    /// Goes to `path` and takes what is there; nothing if there is no such path.
    fn descend(&mut self, root: ObjectId, path: &TreePath) -> Result<(), Stop> {
        let mut tree = root;
        let parts: Vec<&str> = path.parts().collect();
        for (index, part) in parts.iter().enumerate() {
            let bytes = need(self.objects, &tree)?;
            let mut entries = TreeRefIter::from_bytes(&bytes, self.objects.hash);
            let found = entries.find(|entry| entry.as_ref().map_or(true, |entry| entry.filename == part.as_bytes()));
            let Some(entry) = found.transpose()? else { return Ok(()) };
            match entry.mode.kind() {
                EntryKind::Tree => tree = entry.oid.to_owned(),
                EntryKind::Blob | EntryKind::BlobExecutable if index + 1 == parts.len() => {
                    return self.take((*part).to_owned(), entry.oid);
                }
                kind => return Err(refuse(&parts[..=index].join("/"), kind)),
            }
        }
        self.folder(&tree, "", 0)
    }

    fn folder(&mut self, id: &oid, prefix: &str, depth: usize) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::Refused(format!("{prefix} is nested more than {MAX_DEPTH} folders deep")));
        }
        let bytes = need(self.objects, id)?;
        for entry in TreeRefIter::from_bytes(&bytes, self.objects.hash) {
            let entry = entry?;
            let path = format!("{prefix}{}", name(&entry, prefix)?);
            match entry.mode.kind() {
                EntryKind::Tree => self.folder(entry.oid, &format!("{path}/"), depth + 1)?,
                EntryKind::Blob | EntryKind::BlobExecutable => self.take(path, entry.oid)?,
                kind => return Err(refuse(&path, kind)),
            }
        }
        Ok(())
    }

    fn take(&mut self, path: String, id: &oid) -> Result<(), Stop> {
        let too_large = || Stop::Refused(format!("{path} has more than {} bytes", LIMITS.file));
        // The server was asked to leave out what is larger than the limit.
        let bytes = self.objects.get(id)?.ok_or_else(too_large)?;
        if bytes.len() as u64 > LIMITS.file {
            return Err(too_large());
        }
        self.size += bytes.len() as u64;
        if self.size > LIMITS.kept || self.files.len() >= LIMITS.files {
            let problem = format!("at most {} files of {} bytes in all are read", LIMITS.files, LIMITS.kept);
            return Err(Stop::Refused(problem));
        }
        match self.files.insert(path.clone(), bytes) {
            None => Ok(()),
            Some(_) => Err(Stop::Refused(format!("{path} is there twice"))),
        }
    }
}

/// The name of an entry. Git's own programs write none of those that are refused; a tree made by hand can hold them.
fn name<'a>(entry: &EntryRef<'a>, prefix: &str) -> Result<&'a str, Stop> {
    let text = std::str::from_utf8(entry.filename).ok();
    let is_bad = |text: &&str| text.parse::<TreePath>().is_err() || text.contains('/') || *text == ".";
    text.filter(|text| !is_bad(text)).ok_or_else(|| {
        let shown = String::from_utf8_lossy(entry.filename).into_owned();
        Stop::Refused(format!("{prefix}{shown:?} is not a name that is read"))
    })
}

fn refuse(path: &str, kind: EntryKind) -> Stop {
    let kind = match kind {
        EntryKind::Link => "a symbolic link",
        EntryKind::Commit => "a submodule",
        EntryKind::Tree | EntryKind::Blob | EntryKind::BlobExecutable => "a file, and a folder is needed here",
    };
    Stop::Refused(format!("{path} is {kind}: only regular files are read"))
}

fn need(objects: &Objects, id: &oid) -> Result<Vec<u8>, Cause> {
    objects.get(id)?.ok_or_else(|| format!("the pack lacks the object {id}").into())
}
