//! Passes the body of an answer on as it comes, or less of it.

use std::io;
use std::time::Duration;

use futures::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::fault::Fault;
use super::journal::Passing;
use super::request::Request;
use super::rule::{Event, Selector};
use super::script::Script;

/// The body of an answer to the client.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How long the client has to get what comes before the end of a connection.
const FLUSH: Duration = Duration::from_millis(20);

/// A body on its way.
struct Flow {
    body: Incoming,
    /// Ends the exchange when the body does.
    _passing: Passing,
    sent: usize,
    held: Option<Bytes>,
    cut: Option<usize>,
    stall: Option<(usize, Duration)>,
    end: Option<Instant>,
    watch: Option<Watch>,
    broken: bool,
}

/// A watch, of which single events may be swallowed.
pub(super) struct Watch {
    request: Request,
    script: Script,
    ends: broadcast::Receiver<Selector>,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

/// The body as the client gets it.
pub(super) fn pass(body: Incoming, passing: Passing, fault: Option<&Fault>, watch: Option<Watch>) -> Body {
    let flow = Flow {
        body,
        _passing: passing,
        sent: 0,
        held: None,
        cut: match fault {
            Some(Fault::CutBody { after }) => Some(*after),
            _ => None,
        },
        stall: match fault {
            Some(Fault::StallBody { after, pause }) => Some((*after, *pause)),
            _ => None,
        },
        end: match fault {
            Some(Fault::CutWatchAfter(duration)) => Some(Instant::now() + *duration),
            _ => None,
        },
        watch,
        broken: false,
    };
    let frames = unfold(flow, |mut flow| async move {
        let next = flow.next().await?;
        Some((next.map(Frame::data), flow))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Flow {
    /// The next bytes, the end, or the end of the connection.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.broken {
            return None;
        }
        let bytes = match self.held.take() {
            Some(held) => held,
            None => match self.receive().await? {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            },
        };
        if let Some((after, pause)) = self.stall {
            if self.sent >= after {
                tokio::time::sleep(pause).await;
                self.stall = None;
            } else {
                return Some(Ok(self.at_most(bytes, after)));
            }
        }
        match self.cut {
            Some(after) if self.sent >= after => {
                self.broken = true;
                // What was given so far is only sent once there is nothing more to send for a while.
                tokio::time::sleep(FLUSH).await;
                Some(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Some(after) => Some(Ok(self.at_most(bytes, after))),
            None => Some(Ok(bytes)),
        }
    }

    /// So much of `bytes` that `limit` is not passed; the rest comes next.
    fn at_most(&mut self, mut bytes: Bytes, limit: usize) -> Bytes {
        let room = limit - self.sent;
        if bytes.len() > room {
            self.held = Some(bytes.split_off(room));
        }
        self.sent += bytes.len();
        bytes
    }

    /// What comes from the server, without what is swallowed.
    async fn receive(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let frame = tokio::select! {
                frame = self.body.frame() => frame,
                () = over(self.end) => return None,
                () = ended(self.watch.as_mut()) => return None,
            };
            let Some(frame) = frame else {
                return self.watch.as_mut().and_then(Watch::finish).map(Ok);
            };
            let bytes = match frame {
                Ok(frame) => frame.into_data().unwrap_or_default(),
                Err(error) => return Some(Err(io::Error::other(error))),
            };
            let bytes = match &mut self.watch {
                Some(watch) => watch.filter(bytes),
                None => bytes,
            };
            if !bytes.is_empty() {
                return Some(Ok(bytes));
            }
        }
    }
}

/// Until the time of an answer is over.
async fn over(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Until a watch is ended by hand.
async fn ended(watch: Option<&mut Watch>) {
    let Some(watch) = watch else { return std::future::pending().await };
    loop {
        match watch.ends.recv().await {
            Ok(selector) if selector.matches(&watch.request) => return,
            // Only what is said many times at once gets lost here.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Watch {
    pub(super) fn new(request: Request, script: Script, ends: broadcast::Receiver<Selector>) -> Self {
        Self {
            request,
            script,
            ends,
            rest: Vec::new(),
        }
    }

    /// The whole lines in what has come, without those that are swallowed.
    fn filter(&mut self, bytes: Bytes) -> Bytes {
        if self.rest.is_empty() && bytes.ends_with(b"\n") && !self.script.swallows() {
            return bytes;
        }
        self.rest.extend_from_slice(&bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Bytes::new();
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        let lines = whole.split_inclusive(|byte| *byte == b'\n');
        lines.filter(|line| !self.swallows(line)).flatten().copied().collect()
    }

    /// A last line without an end.
    fn finish(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then(|| rest.into())
    }

    fn swallows(&self, line: &[u8]) -> bool {
        self.script.swallows() && self.script.swallow(&self.request, &event(line))
    }
}

fn event(line: &[u8]) -> Event {
    let line: Value = serde_json::from_slice(line).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &line["object"];
    let name = text(&object["metadata"]["name"]);
    let namespace = match text(&object["metadata"]["namespace"]) {
        none if none.is_empty() && object["kind"] == "Namespace" => name.clone(),
        namespace => namespace,
    };
    Event {
        kind: text(&line["type"]),
        namespace,
        name,
    }
}
