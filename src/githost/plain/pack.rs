//! One commit's files by the Git protocol: a shallow fetch into memory, and a walk over its tree.
//!
//! Nothing is checked out and no file is written. Whatever a repository's configuration, attributes or hooks say concerns Git's own
//! programs, and none of them reads what is fetched here.

mod objects;
mod walk;

use std::io::{self, BufRead, Read};

use gix::hash::ObjectId;
use gix_protocol::fetch::Response;
use gix_transport::client::Capabilities;
use gix_transport::client::blocking_io::{SetServiceResponse, Transport, TransportV2Ext};
use gix_transport::packetline::read::ProgressAction;
use gix_transport::{Protocol, Service};

use self::objects::Objects;
use super::refs::{self, Asked, Cause};
use crate::domain::git::{Commit, TreePath};
use crate::githost::checkout::{self, Tree};
use crate::githost::tree::Files;

/// The most bytes of a pack. One commit without its history, and without the files that are too large to be read anyway if the server
/// can leave them out.
const MAX_PACK: u64 = 64 * 1024 * 1024;

/// What came of a fetch.
pub(super) enum Fetched<T> {
    /// What was looked for; without files, if there is no such path.
    Found(T),
    /// The branch has another head by now, or none, and the commit is not given for that.
    Moved,
    /// There is something at the path that is not read.
    Refused(String),
}

/// Fetches the files below `path`. Blocks.
///
/// # Errors
/// Any cause that the transport reports, and a pack that is not what it says.
pub(super) fn fetch(transport: &mut dyn Transport, at: &Commit, path: &TreePath) -> Result<Fetched<Files>, Cause> {
    let wanted = Wanted {
        at,
        largest: walk::LIMITS.file,
        head_only: true,
    };
    fetch_commit(transport, &wanted, |objects, commit| walk::files(objects, commit, path))
}

/// Fetches everything that a checkout of the commit holds, also when its branch has moved on: servers that speak version 2 of the
/// protocol give any commit that they still have. Blocks.
///
/// # Errors
/// As [`fetch`].
pub(super) fn fetch_tree(transport: &mut dyn Transport, at: &Commit) -> Result<Fetched<Tree>, Cause> {
    let wanted = Wanted {
        at,
        largest: checkout::MAX_FILE,
        head_only: false,
    };
    fetch_commit(transport, &wanted, walk::everything)
}

/// A commit that is fetched.
struct Wanted<'a> {
    at: &'a Commit,
    /// Larger files may be left out, in bytes.
    largest: u64,
    /// Whether it has to be the head of its branch.
    head_only: bool,
}

/// Fetches a commit, and looks through it.
fn fetch_commit<T>(
    transport: &mut dyn Transport,
    wanted: &Wanted<'_>,
    look: impl FnOnce(&Objects, ObjectId) -> Result<Fetched<T>, Cause>,
) -> Result<Fetched<T>, Cause> {
    let mut transport = transport;
    let capabilities = handshake(&mut transport)?;
    let at = wanted.at;
    let refs = refs::list_v2(&mut transport, &capabilities, &Asked::These(vec![at.branch.clone()]))?;
    let is_head = refs.branches.get(&at.branch) == Some(&at.revision);
    if wanted.head_only && !is_head {
        return Ok(Fetched::Moved);
    }
    let commit = ObjectId::from_hex(at.revision.as_str().as_bytes())?;
    let pack = match request(&mut transport, &capabilities, commit, wanted.largest) {
        Ok(Some(pack)) => pack,
        Err(cause) if !is_head && is_unknown(cause.as_ref()) => return Ok(Fetched::Moved),
        Err(cause) => return Err(cause),
        Ok(None) => return Ok(Fetched::Refused(format!("the commit has more than {} MiB", MAX_PACK / 1024 / 1024))),
    };
    let objects = Objects::read(pack, commit.kind())?;
    look(&objects, commit)
}

/// Whether a server says that it has no such commit, in the words of Git's own; or ended, over a pipe, before it had read all of the
/// question, so that its words are lost: it had listed its refs a moment ago.
fn is_unknown(cause: &(dyn std::error::Error + 'static)) -> bool {
    let says = |text: &str| text.contains("not our ref") || text.contains("Broken pipe");
    std::iter::successors(Some(cause), |cause| cause.source()).any(|cause| says(&cause.to_string()))
}

fn handshake(transport: &mut impl Transport) -> Result<Capabilities, Cause> {
    let SetServiceResponse { capabilities, refs, .. } = transport.handshake(Service::UploadPack, &[])?;
    match refs {
        None => Ok(capabilities),
        Some(_) => Err("the Git server does not speak version 2 of the protocol, by which files are read".into()),
    }
}

/// The pack of one commit without its history; `None` when it is larger than [`MAX_PACK`].
fn request(transport: &mut impl Transport, capabilities: &Capabilities, commit: ObjectId, largest: u64) -> Result<Option<Vec<u8>>, Cause> {
    let can = |feature: &str| {
        let fetch = capabilities.capability("fetch");
        fetch.and_then(|fetch| fetch.supports(feature)).unwrap_or_default()
    };
    if !can("shallow") {
        return Err("the Git server cannot give a commit without its history".into());
    }
    let mut arguments = vec!["no-progress".to_owned(), "ofs-delta".to_owned(), "deepen 1".to_owned()];
    if can("filter") {
        arguments.push(format!("filter blob:limit={}", largest + 1));
    }
    arguments.extend([format!("want {commit}"), "done".to_owned()]);
    let features = refs::features(capabilities);
    let arguments = arguments.into_iter().map(Into::into);
    let mut answer = transport.invoke("fetch", features.into_iter(), Some(arguments), false)?;
    if !Response::from_line_reader(Protocol::V2, &mut answer, true, false)?.has_pack() {
        return Err("the answer holds no pack".into());
    }
    // With a handler, the bands are told apart: what is read is the pack alone.
    answer.set_progress_handler(Some(Box::new(|_, _| ProgressAction::Continue(()))));
    read_pack(&mut answer)
}

fn read_pack(answer: &mut impl BufRead) -> Result<Option<Vec<u8>>, Cause> {
    let mut pack = Vec::new();
    match answer.take(MAX_PACK + 1).read_to_end(&mut pack) {
        Ok(_) if pack.len() as u64 > MAX_PACK => Ok(None),
        Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        Ok(_) => Ok(Some(pack)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_unknown_by_what_the_server_says_or_by_its_end_over_a_pipe() {
        let error = |kind, text: &str| io::Error::new(kind, text.to_owned());
        assert!(is_unknown(&error(io::ErrorKind::Other, "upload-pack: not our ref abab")));
        assert!(is_unknown(&io::Error::other(error(io::ErrorKind::BrokenPipe, "Broken pipe"))));
        for kind in [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::TimedOut,
            io::ErrorKind::UnexpectedEof,
        ] {
            assert!(!is_unknown(&error(kind, "")), "{kind:?}");
        }
    }
}
