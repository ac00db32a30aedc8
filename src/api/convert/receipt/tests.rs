#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use super::*;
use crate::api::convert::environment;
use crate::domain::inventory::Stage;
use crate::domain::plan::teardown::references::Subject;
use crate::domain::roster::Wanted;

fn key(kind: &str, name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: kind.into(),
        namespace: (kind != "Namespace").then(|| "n".into()),
        name: name.into(),
    }
}

/// An inventory with these objects: kind, name, UID, whether we asked for the deletion, whether it is gone.
fn inventory(objects: &[(&str, &str, Option<&str>, bool, bool)]) -> Inventory {
    let mut inventory = Inventory::default();
    for (kind, name, uid, asked, gone) in objects {
        let key = key(kind, name);
        inventory.write_ahead(&key, Stage::Deploy);
        uid.iter().for_each(|uid| inventory.record_found(&key, uid));
        if *asked {
            inventory.mark_asked(&key);
        }
        if *gone {
            inventory.mark_gone(&key);
        }
    }
    inventory
}

/// What differs between the teardowns of these tests.
#[derive(Default)]
struct Given {
    inventory: Inventory,
    references: Vec<Reference>,
    shared: Vec<Shared>,
    volumes: Vec<VolumeResult>,
    scan: Scan,
    unsigned: Option<String>,
}

fn written(given: Given) -> (Receipt, FullReceipt) {
    let wanted = Wanted {
        name: "shop-a-aaaaaaaaaa".parse().unwrap(),
        branch: "true".parse().unwrap(),
        repository: "1".parse().unwrap(),
        revision: "a".repeat(40).parse().unwrap(),
        pull_request: None,
        grace: None,
    };
    let spec = environment::spec(&wanted, &"team/shop".parse().unwrap());
    let mut object = Environment::new(wanted.name.as_str(), spec);
    object.metadata.namespace = Some("team".into());
    object.metadata.uid = Some("01234567-89ab".into());
    let identity = environment::identity(&object).unwrap();
    let (summary, text) = write(Teardown {
        environment: &object,
        identity: &identity,
        inventory: &given.inventory,
        kept: &[],
        references: &given.references,
        proofs: &[],
        shared: &given.shared,
        volumes: given.volumes,
        mentions: Vec::new(),
        scan: given.scan,
        key: given.unsigned.map_or_else(|| Ok("key".to_owned()), Err),
        at: Time(jiff::Timestamp::UNIX_EPOCH),
    });
    (summary, serde_saphyr::from_str(&text).unwrap())
}

#[test]
fn feature_x13_the_receipt_counts_what_was_created_and_names_what_is_left() {
    let inventory = inventory(&[
        ("Service", "a", Some("1"), true, true),
        ("Service", "b", Some("2"), true, false),
        ("Service", "c", None, true, true),
    ]);
    let (summary, full) = written(Given {
        inventory,
        scan: Scan {
            not_visible: vec!["metrics.k8s.io/PodMetrics".to_owned()],
            ..Scan::default()
        },
        ..Given::default()
    });
    assert_eq!((summary.created, summary.removed), (2, 1));
    assert_eq!(summary.left.len(), 1);
    assert_eq!(summary.left[0].object, key("Service", "b").to_string());
    assert_eq!(summary.config_map, "shop-a-aaaaaaaaaa-01234567-receipt");
    assert_eq!((full.created, full.removed, full.kept), (2, 1, 0));
    assert_eq!(full.problems(), [""; 0]);
    assert_eq!(full.objects.len(), 2);
    assert_eq!(full.scan.not_visible, ["metrics.k8s.io/PodMetrics"]);
    assert_eq!(full.signed_by.as_deref(), Some("key"));
}

#[test]
fn feature_x13_each_object_has_its_own_result() {
    let inventory = inventory(&[
        ("Namespace", "n", Some("0"), true, true),
        ("Service", "asked", Some("1"), true, true),
        ("Service", "left-to-the-namespace", Some("2"), false, true),
    ]);
    let (_, full) = written(Given {
        inventory,
        ..Given::default()
    });
    let results: Vec<_> = full.objects.iter().map(|object| object.result.as_str()).collect();
    assert_eq!(results, ["removed", "removed", "went with its namespace"]);
}

#[test]
fn feature_x13_what_somebody_else_removed_was_gone_before() {
    let inventory = inventory(&[("Namespace", "n", Some("0"), false, true), ("Service", "a", Some("1"), false, true)]);
    let (summary, full) = written(Given {
        inventory,
        ..Given::default()
    });
    assert!(full.objects.iter().all(|object| object.result == "gone before"), "{full:?}");
    assert_eq!((summary.created, summary.removed, summary.left.len()), (2, 2, 0));
}

#[test]
fn feature_x4_what_stays_with_other_owners_is_kept_and_not_removed() {
    let inventory = inventory(&[
        ("PriorityClass", "urgent", Some("1"), true, true),
        ("Service", "a", Some("2"), true, true),
    ]);
    let shared = vec![Shared {
        key: key("PriorityClass", "urgent"),
        owners: vec!["shop-b".into(), "shop-c".into()],
    }];
    let (summary, full) = written(Given {
        inventory,
        shared,
        ..Given::default()
    });
    assert_eq!((summary.created, summary.removed, full.kept), (2, 1, 1));
    assert!(
        full.objects
            .iter()
            .any(|object| object.result == "kept: shared with shop-b, shop-c")
    );
}

#[test]
fn f45_a_volume_that_outlives_its_claim_is_left() {
    let volume = |name: &str, result: &str| VolumeResult {
        persistent_volume: name.into(),
        uid: name.into(),
        claim: "n/data".into(),
        reclaim_policy: "Retain".into(),
        result: result.into(),
    };
    let (summary, _) = written(Given {
        volumes: vec![volume("a", "removed"), volume("b", "left: it is retained")],
        ..Given::default()
    });
    assert_eq!(summary.left.len(), 1);
    assert_eq!(
        (summary.left[0].object.as_str(), summary.left[0].reason.as_str()),
        ("v1 PersistentVolume b", "it is retained")
    );
}

#[test]
fn feature_x13_a_receipt_without_a_signature_says_why() {
    let (_, full) = written(Given {
        unsigned: Some("no right to read the key".into()),
        ..Given::default()
    });
    assert_eq!(
        (full.signed_by, full.unsigned_because.as_deref()),
        (None, Some("no right to read the key"))
    );
}

#[test]
fn f52_a_binding_elsewhere_that_names_a_removed_account_is_told() {
    let references = vec![Reference {
        binding: key("RoleBinding", "deploys"),
        uid: "1".into(),
        subject: Subject::Account("web".into()),
    }];
    let (_, full) = written(Given {
        references,
        ..Given::default()
    });
    let told = format!(
        "{} in Namespace n still names ServiceAccount web (severity medium)",
        key("RoleBinding", "deploys")
    );
    assert_eq!(full.dangling_references, [told]);
}

#[test]
fn feature_x13_a_receipt_that_does_not_add_up_is_found_out() {
    let inventory = inventory(&[("Service", "a", Some("1"), true, true), ("Service", "b", Some("2"), true, false)]);
    let (_, full) = written(Given {
        inventory,
        ..Given::default()
    });
    let changed = |change: fn(&mut FullReceipt)| {
        let mut full = full.clone();
        change(&mut full);
        full.problems().len()
    };
    assert_eq!(changed(|_| {}), 0);
    assert_eq!(changed(|full| full.removed = 2), 1);
    assert_eq!(changed(|full| full.left.clear()), 1);
    assert_eq!(changed(|full| full.api_version = "graftling.dev/receipt/v9".into()), 1);
    assert_eq!(changed(|full| full.objects.clear()), 2, "created and removed");
}
