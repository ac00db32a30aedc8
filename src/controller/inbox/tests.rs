#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt as _;
use proptest::prelude::*;

use super::*;

fn inbox(capacity: usize) -> Inbox {
    Inbox::new(NonZeroUsize::new(capacity).unwrap(), Metrics::new())
}

fn hint(host: &str, repository: &str, branch: &str, happening: Happening) -> Hint {
    Hint {
        host: GitHostKey {
            namespace: "team".parse().unwrap(),
            name: host.parse().unwrap(),
        },
        repository: RepositoryHint {
            id: None,
            name: repository.parse().unwrap(),
        },
        branch: branch.parse().unwrap(),
        happening,
        delivery: DeliveryId::from_untrusted("delivery"),
    }
}

fn pushed(branch: &str) -> Hint {
    hint("forge", "shop/web", branch, Happening::BranchPushed)
}

fn deleted(branch: &str) -> Hint {
    hint("forge", "shop/web", branch, Happening::BranchDeleted)
}

/// What `take` gives without waiting.
fn taken(inbox: &Inbox) -> Vec<PendingHint> {
    inbox.take().now_or_never().unwrap_or_default()
}

fn branches(pending: &[PendingHint]) -> Vec<&str> {
    pending.iter().map(|pending| pending.branch.as_str()).collect()
}

#[test]
fn threat_t10_ten_thousand_hints_about_one_branch_need_one_place() {
    let inbox = inbox(1);
    assert_eq!(inbox.offer(pushed("main")), Offer::Queued);
    for _ in 1..10_000 {
        assert_eq!(inbox.offer(pushed("main")), Offer::Coalesced);
    }
    assert_eq!(inbox.depth(), 1);
    assert_eq!(branches(&taken(&inbox)), ["main"]);
}

#[test]
fn a_full_inbox_refuses_new_branches_and_still_takes_news_of_known_ones() {
    let inbox = inbox(2);
    assert_eq!(inbox.offer(pushed("a")), Offer::Queued);
    assert_eq!(inbox.offer(pushed("b")), Offer::Queued);
    assert_eq!(inbox.offer(pushed("c")), Offer::Full);
    assert_eq!(inbox.offer(deleted("a")), Offer::Coalesced);
    assert_eq!(branches(&taken(&inbox)), ["a", "b"]);
    assert_eq!(inbox.offer(pushed("c")), Offer::Queued);
}

#[test]
fn a_deletion_stays_announced_when_a_push_follows() {
    let inbox = inbox(4);
    let _ = inbox.offer(deleted("topic"));
    let _ = inbox.offer(pushed("topic"));
    let pending = taken(&inbox).remove(0);
    assert!(pending.deletion_announced);
    assert_eq!(pending.happening, Happening::BranchPushed);
}

#[test]
fn a_deletion_is_forgotten_once_taken() {
    let inbox = inbox(4);
    let _ = inbox.offer(deleted("topic"));
    assert!(taken(&inbox).remove(0).deletion_announced);
    let _ = inbox.offer(pushed("topic"));
    assert!(!taken(&inbox).remove(0).deletion_announced);
}

#[test]
fn a_renamed_repository_keeps_its_place_and_shows_its_new_name() {
    let inbox = inbox(4);
    for name in ["shop/web", "shop/storefront"] {
        let mut hint = pushed("main");
        hint.repository = RepositoryHint {
            id: Some("42".parse().unwrap()),
            name: name.parse().unwrap(),
        };
        let _ = inbox.offer(hint);
    }
    let pending = taken(&inbox);
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].repository.name.as_str(), "shop/storefront");
}

#[test]
fn the_same_branch_of_another_repository_or_host_is_another_branch() {
    let inbox = inbox(4);
    let _ = inbox.offer(hint("forge", "shop/web", "main", Happening::BranchPushed));
    let _ = inbox.offer(hint("forge", "shop/api", "main", Happening::BranchPushed));
    let _ = inbox.offer(hint("mirror", "shop/web", "main", Happening::BranchPushed));
    assert_eq!(inbox.depth(), 3);
}

#[test]
fn hints_come_out_grouped_by_host_and_repository() {
    let inbox = inbox(8);
    for (host, repository) in [("b", "shop/web"), ("a", "shop/web"), ("b", "shop/api"), ("b", "shop/web")] {
        let branch = format!("branch-{}", inbox.depth());
        let _ = inbox.offer(hint(host, repository, &branch, Happening::BranchPushed));
    }
    let groups: Vec<_> = taken(&inbox)
        .iter()
        .map(|pending| format!("{} {}", pending.host.name, pending.repository.name))
        .collect();
    assert_eq!(groups, ["a shop/web", "b shop/api", "b shop/web", "b shop/web"]);
}

#[tokio::test]
async fn a_taker_that_waits_is_woken_by_the_first_hint() {
    let inbox = inbox(4);
    let taker = tokio::spawn({
        let inbox = inbox.clone();
        async move { inbox.take().await }
    });
    tokio::task::yield_now().await;
    let _ = inbox.offer(pushed("main"));
    assert_eq!(branches(&taker.await.unwrap()), ["main"]);
}

#[tokio::test]
async fn dropping_a_waiting_take_loses_nothing() {
    let inbox = inbox(4);
    let mut abandoned = Box::pin(inbox.take());
    assert!(abandoned.as_mut().now_or_never().is_none());
    let _ = inbox.offer(pushed("main"));
    drop(abandoned);
    assert_eq!(branches(&inbox.take().await), ["main"]);
}

#[tokio::test]
async fn closing_hands_out_what_is_left_and_frees_every_taker() {
    let inbox = inbox(4);
    let _ = inbox.offer(pushed("main"));
    inbox.close();
    assert_eq!(inbox.offer(pushed("late")), Offer::Closed);
    assert_eq!(branches(&inbox.take().await), ["main"]);
    assert!(inbox.take().await.is_empty());
}

#[tokio::test]
async fn closing_frees_takers_that_wait_already() {
    let inbox = inbox(4);
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let inbox = inbox.clone();
            tokio::spawn(async move { inbox.take().await })
        })
        .collect();
    tokio::task::yield_now().await;
    inbox.close();
    for taker in takers {
        let left = tokio::time::timeout(Duration::from_secs(10), taker).await;
        assert!(left.expect("a taker still waits").unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_accepted_hint_is_lost_between_many_senders_and_an_impatient_taker() {
    let inbox = inbox(10_000);
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let inbox = inbox.clone();
            tokio::spawn(async move {
                for number in 0..500 {
                    assert_eq!(inbox.offer(pushed(&format!("branch-{sender}-{number}"))), Offer::Queued);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut seen = 0;
    while seen < 2_000 {
        // A future that is given up after one look, again and again, as a `select!` in a loop does.
        let mut take = Box::pin(inbox.take());
        match take.as_mut().now_or_never() {
            Some(batch) => seen += batch.len(),
            None => tokio::task::yield_now().await,
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!((seen, inbox.depth()), (2_000, 0));
}

#[test]
fn what_the_inbox_does_is_counted() {
    let metrics = Metrics::new();
    let inbox = Inbox::new(NonZeroUsize::MIN, metrics.clone());
    let _ = inbox.offer(pushed("a"));
    let _ = inbox.offer(pushed("a"));
    let _ = inbox.offer(pushed("b"));
    let exposition = metrics.exposition();
    for line in [
        "graftling_inbox_depth 1",
        r#"graftling_inbox_hints_total{result="queued"} 1"#,
        r#"graftling_inbox_hints_total{result="coalesced"} 1"#,
        r#"graftling_inbox_hints_total{result="refused"} 1"#,
    ] {
        assert!(exposition.lines().any(|found| found == line), "{line} is missing");
    }
    taken(&inbox);
    assert!(metrics.exposition().contains("graftling_inbox_depth 0\n"));
}

/// What can happen to an inbox.
#[derive(Debug, Clone)]
enum Step {
    Offer { repository: u8, branch: u8, happening: Happening },
    Take,
    AbandonTake,
}

fn step() -> impl Strategy<Value = Step> {
    let happening = prop_oneof![
        Just(Happening::BranchPushed),
        Just(Happening::BranchDeleted),
        Just(Happening::PullRequestChanged)
    ];
    prop_oneof![
        8 => (0..3u8, 0..4u8, happening).prop_map(|(repository, branch, happening)| Step::Offer { repository, branch, happening }),
        1 => Just(Step::Take),
        1 => Just(Step::AbandonTake),
    ]
}

proptest! {
    /// The model: a plain map from branch to (last happening, deletion announced), refused beyond the capacity.
    #[test]
    fn the_inbox_behaves_like_a_bounded_map(capacity in 1..6usize, steps in prop::collection::vec(step(), 0..80)) {
        let inbox = inbox(capacity);
        let mut model: BTreeMap<(String, String), (Happening, bool)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Offer { repository, branch, happening } => {
                    let (repository, branch) = (format!("shop/r{repository}"), format!("b{branch}"));
                    let offer = inbox.offer(hint("forge", &repository, &branch, happening));
                    let deletion = happening == Happening::BranchDeleted;
                    let known = model.get(&(repository.clone(), branch.clone())).copied();
                    let expected = match known {
                        Some(_) => Offer::Coalesced,
                        None if model.len() == capacity => Offer::Full,
                        None => Offer::Queued,
                    };
                    prop_assert_eq!(offer, expected);
                    if expected != Offer::Full {
                        let announced = deletion || known.is_some_and(|(_, announced)| announced);
                        model.insert((repository, branch), (happening, announced));
                    }
                }
                Step::Take => {
                    let got: Vec<_> = taken(&inbox)
                        .into_iter()
                        .map(|pending| {
                            let branch = (pending.repository.name.to_string(), pending.branch.to_string());
                            (branch, (pending.happening, pending.deletion_announced))
                        })
                        .collect();
                    prop_assert_eq!(got, std::mem::take(&mut model).into_iter().collect::<Vec<_>>());
                }
                Step::AbandonTake if model.is_empty() => prop_assert!(inbox.take().now_or_never().is_none()),
                Step::AbandonTake => drop(inbox.take()),
            }
            prop_assert_eq!(inbox.depth(), model.len());
        }
    }
}
