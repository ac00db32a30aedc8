//! What deliveries cost: how soon they are answered at a steady rate, and how many one core answers.
//!
//! `cargo test --release --test it figures_of_deliveries -- --ignored --nocapture`. The listener has a thread and a runtime of its own; who sends
//! has the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Request, push_of_length};
use super::{Settings, Webhook};

/// As large as GitHub's push of one commit.
const LENGTH: usize = 10 * 1024;
/// Deliveries differ, as those of many branches do.
const BRANCHES: usize = 200;
const CONNECTIONS: usize = 32;
const TIME: Duration = Duration::from_secs(5);
const RATE: u32 = 1000;

/// A listener on one thread. Hints are taken as fast as they come, as by the server.
fn listener() -> SocketAddr {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let settings = Settings {
                inbox: 100_000,
                ..Settings::default()
            };
            let webhook = Webhook::start(settings).await;
            send.send(webhook.address).unwrap();
            while !webhook.inbox.take().await.is_empty() {}
        });
    });
    receive.recv().unwrap()
}

/// A connection that is written to and read from as fast as it goes.
struct Line(TcpStream, Vec<u8>);

impl Line {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream, Vec::with_capacity(4096))
    }

    /// The status of the answer; answers here are short, and have a length.
    async fn exchange(&mut self, request: &[u8]) -> u16 {
        self.0.write_all(request).await.unwrap();
        self.1.clear();
        loop {
            assert!(self.0.read_buf(&mut self.1).await.unwrap() > 0, "the connection ended");
            let text = String::from_utf8_lossy(&self.1);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                return head.split(' ').nth(1).unwrap().parse().unwrap();
            }
        }
    }
}

fn requests(sign: impl Fn(Request) -> Request) -> Arc<[Vec<u8>]> {
    let request = |number| sign(push_of_length(&format!("feature/{number}"), LENGTH)).bytes();
    (0..BRANCHES).map(request).collect()
}

/// How many deliveries a second one thread answers with `status`, with nothing between an answer and the next delivery.
async fn throughput(requests: Arc<[Vec<u8>]>, status: u16) -> f64 {
    let address = listener();
    let answered = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let lines = (0..CONNECTIONS).map(|first| {
        let (requests, answered) = (requests.clone(), answered.clone());
        tokio::spawn(async move {
            let mut line = Line::open(address).await;
            for request in requests.iter().cycle().skip(first) {
                assert_eq!(line.exchange(request).await, status);
                answered.fetch_add(1, Ordering::Relaxed);
                if begun.elapsed() > TIME {
                    return;
                }
            }
        })
    });
    futures::future::join_all(lines).await;
    f64::from(u32::try_from(answered.load(Ordering::Relaxed)).unwrap()) / begun.elapsed().as_secs_f64()
}

/// How long answers take when deliveries come at a steady rate, counted from when each was due.
async fn latencies(requests: Arc<[Vec<u8>]>) -> Vec<Duration> {
    let address = listener();
    let begun = Instant::now();
    let connections = u32::try_from(CONNECTIONS).unwrap();
    let lines = (0..connections).map(|line| {
        let requests = requests.clone();
        tokio::spawn(async move {
            let mut connection = Line::open(address).await;
            let mut taken = Vec::new();
            for turn in 0.. {
                let due = begun + Duration::from_secs(1) * (turn * connections + line) / RATE;
                if due > begun + TIME {
                    return taken;
                }
                tokio::time::sleep_until(due.into()).await;
                let request = &requests[usize::try_from(turn).unwrap() % requests.len()];
                assert_eq!(connection.exchange(request).await, 202);
                taken.push(due.elapsed());
            }
            taken
        })
    });
    let mut all: Vec<_> = futures::future::join_all(lines)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes figures; run it alone"]
async fn figures_of_deliveries() {
    let right = requests(|request| request);
    let wrong = requests(|request| {
        let other = request.body().iter().rev().copied().collect::<Vec<_>>();
        request.tampered(other)
    });
    println!(
        "valid deliveries per second on one thread: {:.0}",
        throughput(right.clone(), 202).await
    );
    println!(
        "mis-signed deliveries per second on one thread: {:.0}",
        throughput(wrong, 401).await
    );
    let all = latencies(right).await;
    let at = |part: usize| all[(all.len() * part / 100).min(all.len() - 1)];
    println!("{} deliveries at {RATE} a second: p50 {:?}, p99 {:?}", all.len(), at(50), at(99));
}
