use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::stream;
use proptest::prelude::*;

use super::*;

type Chunk = Result<Cursor<Vec<u8>>, warp::Error>;

const LIMITS: BodyLimits = BodyLimits {
    bytes: 1024 * 1024,
    timeout: Duration::from_secs(10),
    shared_bytes: 1024 * 1024,
    discarded_bytes: 1024 * 1024,
};

/// A body of `chunks` bytes each.
fn body(chunks: &[usize]) -> Arriving<impl Stream<Item = Chunk> + use<>> {
    let chunks: Vec<Chunk> = chunks.iter().map(|length| Ok(Cursor::new(vec![b'x'; *length]))).collect();
    Arriving::new(stream::iter(chunks))
}

/// A body that never ends, and how many bytes of it were asked for.
fn endless(chunk: usize) -> (Arriving<impl Stream<Item = Chunk>>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let chunks = stream::repeat_with(move || {
        counter.fetch_add(chunk, Ordering::Relaxed);
        Ok(Cursor::new(vec![b'x'; chunk]))
    });
    (Arriving::new(chunks), asked)
}

/// A body of which nothing arrives after the first `length` bytes.
fn stalled(length: usize) -> Arriving<impl Stream<Item = Chunk>> {
    Arriving::new(stream::iter([Ok(Cursor::new(vec![b'x'; length]))]).chain(stream::pending()))
}

#[tokio::test]
async fn f70_a_claimed_length_over_the_limit_is_refused_before_a_byte_is_read() {
    let budget = BodyBudget::new(LIMITS);
    let (mut body, asked) = endless(1);
    for length in [1024 * 1024 + 1, u64::MAX] {
        assert_eq!(budget.read(&mut body, Some(length)).await.err(), Some(ReadError::TooLarge));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn f70_threat_t07_an_endless_body_is_cut_at_the_limit_whatever_length_it_claims() {
    let budget = BodyBudget::new(LIMITS);
    for claimed in [None, Some(10)] {
        let (mut body, asked) = endless(1000);
        assert_eq!(budget.read(&mut body, claimed).await.err(), Some(ReadError::TooLarge));
        let asked = asked.load(Ordering::Relaxed);
        assert!(asked <= LIMITS.bytes + 1000, "{asked} bytes were read");
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let read = BodyBudget::new(LIMITS).read(&mut body(&[1024 * 1024 - 1, 1]), None).await;
    assert_eq!(read.map(|body| body.as_bytes().len()), Ok(1024 * 1024));
}

#[tokio::test]
async fn f70_a_body_that_stalls_is_given_up() {
    let limits = BodyLimits {
        timeout: Duration::from_millis(20),
        ..LIMITS
    };
    let read = BodyBudget::new(limits).read(&mut stalled(10), None).await;
    assert_eq!(read.err(), Some(ReadError::TimedOut));
}

#[tokio::test]
async fn f70_large_bodies_share_their_memory_and_give_it_back() {
    let budget = BodyBudget::new(LIMITS);
    let first = budget.read(&mut body(&[900_000]), None).await.expect("there is room for one");
    let second = budget.read(&mut body(&[900_000]), None).await;
    assert_eq!(second.err(), Some(ReadError::Busy));
    drop(first);
    assert!(budget.read(&mut body(&[900_000]), None).await.is_ok());
}

#[tokio::test]
async fn f70_small_bodies_are_read_when_all_shared_memory_is_in_use() {
    let budget = BodyBudget::new(BodyLimits { shared_bytes: 0, ..LIMITS });
    let large = budget.read(&mut body(&[BodyLimits::FREE_BYTES + 1]), None).await;
    assert_eq!(large.err(), Some(ReadError::Busy));
    let small = budget.read(&mut body(&[BodyLimits::FREE_BYTES - 1, 1]), None).await;
    assert!(small.is_ok());
}

#[tokio::test]
async fn a_body_given_up_in_the_middle_gives_its_memory_back() {
    let budget = BodyBudget::new(BodyLimits {
        timeout: Duration::from_millis(20),
        ..LIMITS
    });
    assert_eq!(budget.read(&mut stalled(900_000), None).await.err(), Some(ReadError::TimedOut));
    assert!(budget.read(&mut body(&[900_000]), None).await.is_ok());
}

#[tokio::test]
async fn what_is_thrown_away_is_bounded_in_bytes_and_time() {
    let (body, asked) = endless(1000);
    body.discard(LIMITS).await;
    assert!(asked.load(Ordering::Relaxed) <= LIMITS.discarded_bytes + 1000);
    let hurried = BodyLimits {
        timeout: Duration::from_millis(20),
        ..LIMITS
    };
    let discarded = timeout(Duration::from_secs(10), stalled(10).discard(hurried)).await;
    assert!(discarded.is_ok(), "a stalled body is still read");
}

proptest! {
    #[test]
    fn every_byte_allocated_is_granted_and_every_byte_sent_is_there(chunks in prop::collection::vec(0..200_000usize, 0..12)) {
        let limits = BodyLimits { shared_bytes: 600_000, ..LIMITS };
        let budget = BodyBudget::new(limits);
        let all = budget.shared.available_permits();
        let length: usize = chunks.iter().sum();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
        match runtime.block_on(budget.read(&mut body(&chunks), None)) {
            Ok(body) => {
                let granted = (all - budget.shared.available_permits()) * UNIT;
                prop_assert_eq!(body.as_bytes().len(), length);
                prop_assert!(body.bytes.capacity() <= BodyLimits::FREE_BYTES + granted);
            }
            Err(ReadError::TooLarge) => prop_assert!(length > limits.bytes),
            Err(error) => {
                prop_assert_eq!(error, ReadError::Busy);
                prop_assert!(length > limits.shared_bytes / 2);
            }
        }
        prop_assert_eq!(budget.shared.available_permits(), all);
    }
}
