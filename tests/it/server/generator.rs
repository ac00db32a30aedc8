//! The contest's generator of deliveries is believed here, and refused where it is to be.

use testbed::contest::deliveries::{Kind, Order, send};

use super::{HOOK, SECRET, Settings, Webhook};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_contest_sends_is_answered_as_each_kind_is_to_be() {
    let webhook = Webhook::start(Settings::default()).await;
    let branches = ["feature/a", "feature/b"].map(|branch| (branch.to_owned(), "2".repeat(40)));
    let orders = Kind::ALL.map(|kind| Order {
        address: webhook.address,
        path: HOOK.to_owned(),
        secret: SECRET.to_owned(),
        id: 7,
        repository: "shop/web".to_owned(),
        branches: branches.to_vec(),
        kind,
        per_second: Some(50),
        seconds: 1,
        connections: 2,
    });
    for order in orders {
        let kind = order.kind;
        let answers = send(order).await.unwrap();
        assert_eq!(answers.statuses, [(kind.status(), 50)], "{}", kind.title());
        assert!(answers.p50_ms > 0.0 && answers.p50_ms <= answers.p99_ms, "{answers:?}");
    }
    let hints = webhook.inbox.take().await;
    let mut told: Vec<_> = hints.iter().map(|hint| hint.branch.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["feature/a", "feature/b"]);
}
