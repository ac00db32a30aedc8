//! What is stored is what was meant, and storing it again changes nothing.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::inventory::{Entry, Inventory, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::status::{StageReport, StageState};

fn at(seconds: i64) -> Time {
    Time(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds))
}

fn project() -> ProjectKey {
    "team/shop".parse().unwrap()
}

fn wanted(digit: char) -> Wanted {
    Wanted {
        name: "shop-a-aaaaaaaaaa".parse().unwrap(),
        branch: "feature/a".parse().unwrap(),
        repository: "1".parse().unwrap(),
        revision: digit.to_string().repeat(40).parse().unwrap(),
        pull_request: None,
        grace: None,
    }
}

/// The Environment as the cluster would keep it.
fn environment(wanted: &Wanted) -> Environment {
    let mut environment = Environment::new(wanted.name.as_str(), spec(wanted, &project()));
    environment.metadata.namespace = Some("team".into());
    environment.metadata.uid = Some("uid-1".into());
    environment.metadata.generation = Some(3);
    environment
}

fn report(phase: status::Phase, inventory: Inventory) -> Report {
    Report {
        phase,
        reason: "Because",
        message: "m".into(),
        stages: vec![StageReport {
            stage: Stage::Deploy,
            state: StageState::Ready,
            message: None,
        }],
        run: None,
        inventory,
        applied: phase == status::Phase::Ready,
        changed: 2,
        again: None,
    }
}

/// Publishes `report` at `seconds` and returns the Environment with its new status.
fn published(environment: &Environment, report: &Report, seconds: i64) -> Environment {
    let identity = identity(environment).unwrap();
    let mut after = environment.clone();
    after.status = Some(status(environment, &identity, report, &at(seconds)));
    after
}

fn phases() -> impl Strategy<Value = status::Phase> {
    select(vec![
        status::Phase::Pending,
        status::Phase::Deploying,
        status::Phase::Ready,
        status::Phase::Failed,
        status::Phase::Deleting,
        status::Phase::Blocked,
    ])
}

fn inventories() -> impl Strategy<Value = Inventory> {
    let key = (
        select(vec!["", "apps", "databases.example.com"]),
        select(vec!["v1", "v1beta1"]),
        "[A-Z][a-z]{0,8}",
        prop::option::of("[a-z]{1,5}"),
        "[a-z.]{1,12}",
    );
    let text = || prop::option::of("[a-f0-9-]{1,12}");
    let entry = (select(Stage::ALL.to_vec()), text(), text(), text(), any::<bool>());
    prop::collection::vec((key, entry), 0..12).prop_map(|entries| {
        Inventory::from_entries(entries.into_iter().map(|(key, entry)| {
            let (group, version, kind, namespace, name) = key;
            let (stage, uid, digest, ownership, gone) = entry;
            let key = ObjectKey {
                group: group.into(),
                version: version.into(),
                kind,
                namespace,
                name,
            };
            let entry = Entry {
                stage,
                uid,
                digest,
                ownership,
                gone,
                // Something that varies without another strategy.
                asked: !gone,
            };
            (key, entry)
        }))
    })
}

proptest! {
    #[test]
    fn an_inventory_is_read_back_as_it_was_stored(stored in inventories()) {
        let status = EnvironmentStatus { inventory: stored_inventory(&stored), ..EnvironmentStatus::default() };
        let json = serde_json::to_value(&status).unwrap();
        let from_cluster: EnvironmentStatus = serde_json::from_value(json).unwrap();
        let read = inventory(Some(&from_cluster)).unwrap();
        prop_assert_eq!(&read, &stored);
        let versions = |inventory: &Inventory| inventory.iter().map(|(key, _)| key.version.clone()).collect::<Vec<_>>();
        prop_assert_eq!(versions(&read), versions(&stored));
    }

    #[test]
    fn feature_l1_an_unchanged_report_gives_an_equal_status_at_any_later_time(first in phases(), phase in phases(), inventory in inventories()) {
        let before = published(&environment(&wanted('a')), &report(first, Inventory::default()), 10);
        let once = published(&before, &report(phase, inventory.clone()), 20);
        let twice = published(&once, &report(phase, inventory), 30);
        prop_assert_eq!(&twice.status, &once.status, "otherwise every pass would write");
        let json = serde_json::to_value(&once.status).unwrap();
        let from_cluster: Option<EnvironmentStatus> = serde_json::from_value(json).unwrap();
        prop_assert_eq!(from_cluster, once.status, "what the cluster returns compares equal to what was sent");
    }

    #[test]
    fn the_history_is_bounded_newest_first_and_without_repetitions(runs in prop::collection::vec((phases(), select(vec!['a', 'b', 'c'])), 0..40)) {
        let mut environment = environment(&wanted('a'));
        for (seconds, (phase, digit)) in (0..).zip(runs) {
            environment.spec.revision = digit.to_string().repeat(40);
            environment = published(&environment, &report(phase, Inventory::default()), seconds);
        }
        let history = environment.status.map(|status| status.history).unwrap_or_default();
        prop_assert!(history.len() <= history::LENGTH);
        prop_assert!(history.windows(2).all(|pair| pair[0].at.0 > pair[1].at.0));
        prop_assert!(history.windows(2).all(|pair| (&pair[0].revision, &pair[0].result) != (&pair[1].revision, &pair[1].result)));
    }
}

#[test]
fn an_inventory_entry_that_cannot_be_read_is_an_error_and_not_an_empty_inventory() {
    let mut stored = Inventory::default();
    let key = ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: "Service".into(),
        namespace: None,
        name: "x".into(),
    };
    stored.write_ahead(&key, Stage::Deploy);
    let mut status = EnvironmentStatus {
        inventory: stored_inventory(&stored),
        ..EnvironmentStatus::default()
    };
    let mut entries = status.inventory.entries();
    entries[0].stage = "polish".into();
    status.inventory = entries.into();
    assert_eq!(inventory(Some(&status)).unwrap_err(), "status.inventory: unknown stage \"polish\"");
    assert_eq!(inventory(None).unwrap(), Inventory::default());
}

#[test]
fn what_the_roster_wanted_is_what_it_sees_again() {
    let mut wish = wanted('a');
    wish.pull_request = Some(git::PullRequest {
        number: 7,
        head: wish.branch.clone(),
        fork: None,
        base: "main".into(),
        author: "ada".into(),
        title: "line\nbreak".into(),
        labels: vec!["a".into(), "b".into()],
        draft: true,
    });
    let seen = existing(&environment(&wish)).unwrap();
    assert_eq!(seen.pull_request, wish.pull_request, "otherwise every sweep would write");
    assert_eq!((seen.name, seen.branch, seen.repository), (wish.name, wish.branch, wish.repository));
    assert_eq!(seen.revision, wish.revision.as_str());
    assert!(!seen.deleting);
}

#[test]
fn threat_t09_every_unreadable_field_is_named() {
    type Spoil = fn(&mut Environment);
    let spoils: [(Spoil, &str); 6] = [
        (|it| it.metadata.name = Some("Not-A-Label".into()), "metadata.name: "),
        (|it| it.metadata.uid = None, "metadata.uid is missing"),
        (|it| it.metadata.namespace = None, "metadata.namespace: "),
        (|it| it.spec.branch = "a..b".into(), "spec.branch: "),
        (|it| it.spec.repository_id.clear(), "spec.repositoryId: "),
        (|it| it.spec.revision = "main".into(), "spec.revision: "),
    ];
    for (spoil, expected) in spoils {
        let mut spoilt = environment(&wanted('a'));
        spoil(&mut spoilt);
        let problem = identity(&spoilt).unwrap_err();
        assert!(problem.starts_with(expected), "{problem}");
        assert!(existing(&spoilt).is_err());
    }
}

#[test]
fn the_applied_revision_follows_only_when_it_is_applied() {
    let first = published(&environment(&wanted('a')), &report(status::Phase::Ready, Inventory::default()), 10);
    let mut pushed = first.clone();
    pushed.spec.revision = "b".repeat(40);
    let failed = published(&pushed, &report(status::Phase::Failed, Inventory::default()), 20);
    let revision = failed.status.as_ref().unwrap().revision.clone().unwrap();
    assert_eq!((revision.wanted, revision.applied), (Some("b".repeat(40)), Some("a".repeat(40))));
    let healed = published(&failed, &report(status::Phase::Ready, Inventory::default()), 30);
    assert_eq!(healed.status.unwrap().revision.unwrap().applied, Some("b".repeat(40)));
}

#[test]
fn exactly_one_of_the_three_conditions_holds() {
    for (phase, expected) in [
        (status::Phase::Pending, "Progressing"),
        (status::Phase::Deploying, "Progressing"),
        (status::Phase::Ready, "Ready"),
        (status::Phase::Failed, "Stalled"),
        (status::Phase::Deleting, "Progressing"),
        (status::Phase::Blocked, "Stalled"),
    ] {
        let after = published(&environment(&wanted('a')), &report(phase, Inventory::default()), 10);
        let conditions = after.status.unwrap().conditions;
        let holding: Vec<_> = conditions.iter().filter(|condition| condition.status == "True").collect();
        assert_eq!(holding.len(), 1);
        assert_eq!((holding[0].type_.as_str(), holding[0].observed_generation), (expected, Some(3)));
    }
}

#[test]
fn the_namespaces_uid_stands_in_the_status() {
    let key = ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: "Namespace".into(),
        namespace: None,
        name: "shop-a-aaaaaaaaaa".into(),
    };
    let mut inventory = Inventory::default();
    inventory.write_ahead(&key, Stage::Namespace);
    inventory.record_found(&key, "namespace-uid");
    let after = published(&environment(&wanted('a')), &report(status::Phase::Ready, inventory), 10);
    let namespace = after.status.unwrap().namespace.unwrap();
    assert_eq!(
        (namespace.name.as_str(), namespace.uid.as_deref()),
        ("shop-a-aaaaaaaaaa", Some("namespace-uid"))
    );
}
