//! The generator of deliveries: a process of its own that sends what GitHub would, over connections that are kept, and takes the time of answers.
//!
//! It writes to sockets itself: a client of HTTP would take more of the processor than the server that is measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Error;
use super::statistics::summary;
use crate::webhook::{delivery_id, signature};

/// As large as GitHub's push of a commit.
const LENGTH: usize = 10 * 1024;

/// Larger than what is taken (5 MiB), as it is declared. So much is sent of it before the answer is read.
const OVERSIZED: usize = 6 * 1024 * 1024;
const FIRST_PART: usize = 64 * 1024;

/// What a delivery is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Signed, each with an id of its own.
    Valid,
    /// Signed over other bytes.
    MisSigned,
    /// The same bytes again and again, ids included.
    Replayed,
    /// Larger than what is taken.
    Oversized,
}

/// What the generator is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The path of the endpoint.
    pub path: String,
    /// Its secret.
    pub secret: String,
    /// Id of the repository.
    pub id: u64,
    /// Its name, with that of its owner.
    pub repository: String,
    /// The branches that are told of, with their revisions.
    pub branches: Vec<(String, String)>,
    /// What to send.
    pub kind: Kind,
    /// How many in a second; without, as many as are answered.
    pub per_second: Option<u32>,
    /// For how long.
    pub seconds: u32,
    /// Over how many connections.
    pub connections: u32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// How many answers had which status.
    pub statuses: Vec<(u16, u32)>,
    /// From the first delivery to the last answer.
    pub seconds: f64,
    /// How long an answer took: from when the delivery was due at a steady rate, else from when it was sent. The median.
    pub p50_ms: f64,
    /// 95 of 100 are at most this.
    pub p95_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
}

impl Kind {
    /// All of them, in the order of reports.
    pub const ALL: [Kind; 4] = [Kind::Valid, Kind::MisSigned, Kind::Replayed, Kind::Oversized];

    /// What it is, for people.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Valid => "valid",
            Kind::MisSigned => "mis-signed",
            Kind::Replayed => "replayed",
            Kind::Oversized => "oversized",
        }
    }

    /// The status that these are to be answered with.
    pub fn status(self) -> u16 {
        match self {
            Kind::Valid | Kind::Replayed => 202,
            Kind::MisSigned => 401,
            Kind::Oversized => 413,
        }
    }
}

impl Answers {
    /// How many answers had this status.
    pub fn count(&self, status: u16) -> u32 {
        let of = self.statuses.iter().filter(|(of, _)| *of == status);
        of.map(|(_, count)| count).sum()
    }
}

/// Sends what is ordered.
pub async fn send(order: Order) -> Result<Answers, Error> {
    let order = Arc::new(order);
    let prepared: Arc<[Prepared]> = order.branches.iter().map(|branch| Prepared::new(&order, branch)).collect();
    let begin = Instant::now();
    let lines = (0..order.connections).map(|line| {
        let (order, prepared) = (Arc::clone(&order), Arc::clone(&prepared));
        let sending = async move { send_over_one(&order, &prepared, line, begin).await };
        async move {
            tokio::spawn(sending)
                .await
                .unwrap_or_else(|error| Err(Error::Understand(error.to_string())))
        }
    });
    let answered: Vec<(u16, Duration)> = try_join_all(lines).await?.into_iter().flatten().collect();
    let seconds = begin.elapsed().as_secs_f64();
    let mut statuses: BTreeMap<u16, u32> = BTreeMap::new();
    answered.iter().for_each(|(status, _)| *statuses.entry(*status).or_default() += 1);
    let taken = summary(answered.iter().map(|(_, taken)| taken.as_secs_f64() * 1000.0));
    let taken = taken.ok_or_else(|| Error::Understand("a load without an answer".to_owned()))?;
    Ok(Answers {
        statuses: statuses.into_iter().collect(),
        seconds,
        p50_ms: taken.p50,
        p95_ms: taken.p95,
        p99_ms: taken.p99,
    })
}

/// One connection, which waits for each answer before it sends again.
async fn send_over_one(order: &Order, prepared: &[Prepared], line: u32, begin: Instant) -> Result<Vec<(u16, Duration)>, Error> {
    let end = begin + Duration::from_secs(u64::from(order.seconds));
    let mut connection = Connection::open(order.address).await?;
    let mut answered = Vec::new();
    // Connections begin with different branches, so that all are told of at all times.
    for turn in 0u32.. {
        let due = order
            .per_second
            .map(|rate| begin + Duration::from_secs(1) * (turn * order.connections + line) / rate.max(1));
        let start = due.unwrap_or_else(Instant::now);
        if start >= end {
            break;
        }
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let next = &prepared[(turn as usize + line as usize) % prepared.len()];
        let status = match order.kind {
            Kind::Oversized => Connection::open(order.address).await?.exchange(&next.bytes).await?,
            Kind::Valid => connection.exchange(&next.with_id(line, turn)).await?,
            Kind::MisSigned | Kind::Replayed => connection.exchange(&next.bytes).await?,
        };
        answered.push((status, start.elapsed()));
    }
    Ok(answered)
}

/// A delivery, written out.
struct Prepared {
    bytes: Vec<u8>,
    /// Where its id begins.
    id: usize,
}

impl Prepared {
    fn new(order: &Order, (branch, revision): &(String, String)) -> Prepared {
        let body = body(order, branch, revision);
        let signed = match order.kind {
            Kind::MisSigned => signature(order.secret.as_bytes(), b"something else"),
            _ => signature(order.secret.as_bytes(), &body),
        };
        let (length, sent) = match order.kind {
            Kind::Oversized => (OVERSIZED, FIRST_PART),
            _ => (body.len(), body.len()),
        };
        let before = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: GitHub-Hookshot/testbed\r\ncontent-type: application/json\r\n\
             x-github-event: push\r\nx-github-delivery: ",
            order.path, order.address
        );
        let after = format!("\r\nx-hub-signature-256: {signed}\r\ncontent-length: {length}\r\n\r\n");
        let mut bytes = before.clone().into_bytes();
        bytes.extend(delivery_id().into_bytes());
        bytes.extend(after.into_bytes());
        bytes.extend(body.into_iter().chain(std::iter::repeat(b' ')).take(sent));
        Prepared { bytes, id: before.len() }
    }

    /// The same under an id that no other delivery of this process has.
    fn with_id(&self, line: u32, turn: u32) -> Vec<u8> {
        let id = format!("{line:08x}-0000-4000-8000-{turn:012x}");
        let mut bytes = self.bytes.clone();
        bytes[self.id..self.id + id.len()].copy_from_slice(id.as_bytes());
        bytes
    }
}

/// What GitHub says of a push, with the fields that receivers look at, and as long.
fn body(order: &Order, branch: &str, revision: &str) -> Vec<u8> {
    let body = |padding: &str| {
        let body = json!({
            "ref": format!("refs/heads/{branch}"),
            "before": "1".repeat(40),
            "after": revision,
            "created": false,
            "deleted": false,
            "forced": false,
            "commits": [{ "id": revision, "message": padding }],
            "repository": { "id": order.id, "full_name": order.repository },
        });
        body.to_string().into_bytes()
    };
    let bare = body("").len();
    body(&"x".repeat(LENGTH.saturating_sub(bare)))
}

/// A connection that carries one delivery after the other.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Connection, Error> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(Error::io("connect to", address.to_string()))?;
        stream.set_nodelay(true).map_err(Error::io("set up", address.to_string()))?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Sends a request and reads the status of its answer.
    async fn exchange(&mut self, request: &[u8]) -> Result<u16, Error> {
        self.stream
            .write_all(request)
            .await
            .map_err(Error::io("write to", "the connection"))?;
        self.buffer.clear();
        loop {
            if let Some(status) = complete(&self.buffer) {
                return Ok(status);
            }
            let read = self.stream.read_buf(&mut self.buffer).await;
            if read.map_err(Error::io("read from", "the connection"))? == 0 {
                return Err(Error::Understand("a connection that ended without an answer".to_owned()));
            }
        }
    }
}

/// The status of an answer that is there as a whole. Answers are short, and have a length.
fn complete(bytes: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() >= length?).then_some(status)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what was just put in is there")]
mod tests {
    use super::*;

    fn order(kind: Kind) -> Order {
        Order {
            address: "127.0.0.1:1".parse().unwrap(),
            path: "/hooks/team/github".to_owned(),
            secret: "secret".to_owned(),
            id: 7,
            repository: "acme/shop".to_owned(),
            branches: Vec::new(),
            kind,
            per_second: None,
            seconds: 1,
            connections: 1,
        }
    }

    fn parts(bytes: &[u8]) -> (String, Vec<u8>) {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end + 4..].to_vec())
    }

    #[test]
    fn a_valid_delivery_is_ten_kilobytes_of_json_that_are_signed_whatever_its_id() {
        let branch = ("feature/a".to_owned(), "2".repeat(40));
        let prepared = Prepared::new(&order(Kind::Valid), &branch);
        let (first, second) = (parts(&prepared.bytes), parts(&prepared.with_id(1, 2)));
        assert_ne!(first.0, second.0, "the ids differ");
        assert_eq!(first.1, second.1);
        assert_eq!(first.1.len(), LENGTH);
        assert!(second.0.contains(&signature(b"secret", &second.1)), "{}", second.0);
        assert!(second.0.contains("content-length: 10240"), "{}", second.0);
        let body: serde_json::Value = serde_json::from_slice(&first.1).unwrap();
        assert_eq!(body["ref"], "refs/heads/feature/a");
    }

    #[test]
    fn what_is_not_to_be_taken_is_signed_wrongly_or_declared_too_large() {
        let branch = ("feature/a".to_owned(), "2".repeat(40));
        let (head, body) = parts(&Prepared::new(&order(Kind::MisSigned), &branch).bytes);
        assert!(head.contains("sha256=") && !head.contains(&signature(b"secret", &body)), "{head}");
        let (head, body) = parts(&Prepared::new(&order(Kind::Oversized), &branch).bytes);
        assert!(head.contains("content-length: 6291456"), "{head}");
        assert_eq!(body.len(), FIRST_PART);
    }

    #[test]
    fn an_answer_is_complete_with_its_whole_body() {
        assert_eq!(complete(b"HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\nab"), None);
        assert_eq!(complete(b"HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\nabc"), Some(202));
        assert_eq!(complete(b"HTTP/1.1 202 Acc"), None);
    }
}
