//! What a worker and its parent say to one another: frames over pipes, each a length of four bytes and a message.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::encoding::{decode, encode};
use crate::domain::bundle::{BundleFiles, BundleSummary, Problem};
use crate::domain::policy::AllowedKeys;
use crate::domain::render::{Layer, Release, RenderContext, RenderErrors, Rendered};

/// The first message of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Which build it is: both sides must be the same.
    pub(super) version: String,
    /// What keeps it in.
    pub(super) level: SandboxLevel,
}

/// What keeps a worker in, besides its limits on processor, memory, time and files, which hold everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxLevel {
    /// The kernel refuses it every call that rendering does not need: files, network, processes.
    Filtered,
    /// Limits only: this kernel or this architecture has no filters of system calls.
    Limited,
}

/// What a worker is asked.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    /// The digest of the bundle's files.
    pub(super) digest: String,
    /// The files' paths and sizes, if the worker may not know them; the bytes follow the message.
    pub(super) files: Option<Vec<(String, usize)>>,
    /// What to do with the bundle.
    pub(super) work: Work,
}

/// What to do with a bundle.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Work {
    /// Read it and say what it is.
    Check,
    /// Render it.
    Render(Box<RenderContext>),
    /// Read what helm has printed for the bundle's chart.
    Read(Box<Release>, String),
    /// Read the branch's own file beside it, of which only these keys count.
    BranchFile(Vec<u8>, AllowedKeys),
}

/// The answer to a request.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    /// The worker does not know the bundle: ask again, with the files.
    Unknown,
    /// The files are no bundle.
    Problems(Vec<Problem>),
    /// The templates failed.
    Errors(RenderErrors),
    /// What the bundle is.
    Summary(BundleSummary),
    /// What the templates gave.
    Rendered(Rendered),
    /// The values of the branch's own file, or what is wrong with it.
    BranchFile(Result<Layer, Vec<Problem>>),
}

/// A request as a frame.
pub(super) fn request(files: &BundleFiles, with_files: bool, work: &Work) -> io::Result<Vec<u8>> {
    let sizes = files.files().iter().map(|(path, bytes)| (path.clone(), bytes.len()));
    let request = Request {
        digest: files.digest().to_owned(),
        files: with_files.then(|| sizes.collect()),
        work: work.clone(),
    };
    let mut body = vec![0; 4];
    encode(&request, &mut body)?;
    if with_files {
        files.files().values().for_each(|bytes| body.extend_from_slice(bytes));
    }
    seal(body)
}

/// A request, with the files if they came along.
pub(super) fn read_request(mut body: &[u8]) -> io::Result<(Request, BTreeMap<String, Vec<u8>>)> {
    let request: Request = decode(&mut body)?;
    let mut files = BTreeMap::new();
    for (path, size) in request.files.iter().flatten() {
        let (bytes, rest) = body.split_at_checked(*size).ok_or(io::ErrorKind::UnexpectedEof)?;
        files.insert(path.clone(), bytes.to_vec());
        body = rest;
    }
    Ok((request, files))
}

/// Writes a message as a frame.
pub(super) fn write_message(message: &impl Serialize, mut pipe: impl Write) -> io::Result<()> {
    let mut body = vec![0; 4];
    encode(message, &mut body)?;
    pipe.write_all(&seal(body)?)?;
    pipe.flush()
}

/// Puts the length of a frame in its first four bytes.
fn seal(mut frame: Vec<u8>) -> io::Result<Vec<u8>> {
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// The next frame, or none at the end of the pipe.
pub(super) fn read_frame(mut pipe: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match pipe.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    pipe.read_exact(&mut frame)?;
    Ok(Some(frame))
}

/// The next frame, or none if it has more than `most` bytes.
///
/// # Errors
/// The pipe ends before.
pub(super) async fn receive(pipe: &mut (impl AsyncRead + Unpin), most: usize) -> io::Result<Option<Vec<u8>>> {
    let length = pipe.read_u32().await? as usize;
    if length > most {
        return Ok(None);
    }
    let mut frame = Vec::new();
    pipe.take(length as u64).read_to_end(&mut frame).await?;
    if frame.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(frame))
}
