#![allow(clippy::unwrap_used, reason = "a name that cannot be read is the test's failure")]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::inventory::Entry;

const NAME: &str = "shop-feature-a-aaaaaaaaaa";

const MARKS: Marks<'static> = Marks {
    field_manager: "graftling",
    environment_uid: "graftling.dev/environment-uid",
    branch: "graftling.dev/branch",
};

fn body() -> Value {
    json!({"metadata": {
        "name": NAME, "uid": "ns-1",
        "labels": {
            "graftling.dev/environment": NAME, "graftling.dev/project": "shop", "graftling.dev/project-namespace": "team",
        },
        "annotations": {"graftling.dev/branch": "feature/a", "graftling.dev/environment-uid": "lost"},
        "managedFields": [{"manager": "graftling", "operation": "Apply", "fieldsV1": {
            "f:metadata": {"f:labels": {"f:graftling.dev/environment": {}}},
        }}],
    }})
}

fn verdict(body: &Value, consent: Option<&str>, earlier_exists: bool) -> Verdict {
    let claimant = Claimant {
        environment: &NAME.parse().unwrap(),
        project: &"team/shop".parse().unwrap(),
        branch: &"feature/a".parse().unwrap(),
        consent,
    };
    judge(&Claim::read(body, MARKS).unwrap(), &claimant, earlier_exists)
}

#[test]
fn f40_f43_a_namespace_with_full_evidence_is_taken_over() {
    assert_eq!(verdict(&body(), None, false), Verdict::Adopt);
}

#[test]
fn f40_the_namespace_of_an_environment_that_exists_is_never_taken_over() {
    let refused = Verdict::Refuse {
        doubts: vec![Doubt::EnvironmentExists("lost".into())],
        curable: false,
    };
    assert_eq!(verdict(&body(), None, true), refused);
    assert_eq!(verdict(&body(), Some("ns-1"), true), refused, "not even on demand");
}

/// Each piece of evidence, taken away or turned into its contrary, and whether consent makes up for it.
fn cases() -> Vec<(&'static str, Value, bool)> {
    let changed = |pointer: &str, value: Value| {
        let mut body = body();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let mut hand = body();
    hand["metadata"]["managedFields"][0]["operation"] = json!("Update");
    let mut stranger = body();
    stranger["metadata"]["managedFields"][0]["manager"] = json!("kubectl");
    let mut copied = body();
    copied["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:metadata": {"f:labels": {"f:graftling.dev/project": {}}}});
    let mut retained = body();
    retained["metadata"]["annotations"]["graftling.dev/retained-from"] = json!("lost");
    vec![
        ("kept by a teardown", retained, false),
        (
            "another environment's label",
            changed("/metadata/labels/graftling.dev~1environment", json!("shop-b-bbbbbbbbbb")),
            false,
        ),
        (
            "no label",
            changed("/metadata/labels/graftling.dev~1environment", Value::Null),
            false,
        ),
        (
            "another Project",
            changed("/metadata/labels/graftling.dev~1project", json!("web")),
            false,
        ),
        (
            "another Project's namespace",
            changed("/metadata/labels/graftling.dev~1project-namespace", json!("other")),
            false,
        ),
        (
            "another branch",
            changed("/metadata/annotations/graftling.dev~1branch", json!("feature/b")),
            false,
        ),
        ("no Project", changed("/metadata/labels/graftling.dev~1project", Value::Null), false),
        (
            "no branch",
            changed("/metadata/annotations/graftling.dev~1branch", Value::Null),
            true,
        ),
        (
            "no UID",
            changed("/metadata/annotations/graftling.dev~1environment-uid", Value::Null),
            true,
        ),
        ("no managed fields", changed("/metadata/managedFields", json!([])), true),
        ("an update by hand", hand, true),
        ("another field manager", stranger, true),
        ("a label that was copied by hand", copied, true),
    ]
}

#[test]
fn f43_consent_makes_up_for_missing_evidence_and_never_for_contrary_evidence() {
    for (name, body, expected) in cases() {
        let refused = verdict(&body, None, false);
        assert!(
            matches!(refused, Verdict::Refuse { curable, .. } if curable == expected),
            "{name}: {refused:?}"
        );
        let other = verdict(&body, Some("ns-2"), false);
        assert_eq!(other, refused, "{name}: consent to another incarnation of the namespace is none");
        let asked = verdict(&body, Some("ns-1"), false);
        assert_eq!(asked == Verdict::Adopt, expected, "{name}: {asked:?}");
    }
}

#[test]
fn f21_a_namespace_that_is_ending_is_waited_for() {
    let mut body = body();
    body["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(verdict(&body, None, false), Verdict::Ending);
    assert_eq!(verdict(&body, Some("ns-1"), false), Verdict::Ending);
}

#[test]
fn no_namespace_of_kubernetes_or_of_people_has_the_form_of_an_environments_name() {
    for name in [
        "default",
        "kube-system",
        "kube-public-aaaaaaaaaa",
        "team",
        "shop-feature-a",
        "shop-AAAAAAAAAA",
        "shop-a-0123456789",
    ] {
        assert!(!has_form_of_an_environment(name), "{name}");
    }
    assert!(has_form_of_an_environment(NAME));
    assert!(has_form_of_an_environment("shop-abcdefg234"));
}

#[test]
fn an_object_belongs_to_an_environment_if_graftling_applied_it_with_the_label() {
    assert_eq!(belonging(&body(), NAME, "graftling"), Belonging::Applied);
    assert_eq!(belonging(&body(), "shop-b-bbbbbbbbbb", "graftling"), Belonging::Foreign);
    assert_eq!(belonging(&body(), NAME, "another"), Belonging::Labelled);
    assert_eq!(belonging(&json!({"metadata": {}}), NAME, "graftling"), Belonging::Foreign);
}

fn key(kind: &str, namespace: Option<&str>, name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: kind.into(),
        namespace: namespace.map(str::to_owned),
        name: name.into(),
    }
}

#[test]
fn f43_uids_of_another_incarnation_give_way_and_nothing_recorded_is_forgotten() {
    let (web, gone) = (key("Service", Some(NAME), "web"), key("ConfigMap", Some(NAME), "gone"));
    let recorded = |uid: &str| Entry {
        uid: Some(uid.into()),
        digest: Some("d".into()),
        ..Entry::ahead(Stage::Deploy)
    };
    let old = Inventory::from_entries([(web.clone(), recorded("old")), (gone.clone(), recorded("2"))]);
    let quota = key("ResourceQuota", Some(NAME), "graftling-quota");
    let found = [
        (web.clone(), "new".to_owned()),
        (quota.clone(), "3".to_owned()),
        (key("Namespace", None, NAME), "4".to_owned()),
    ];
    let rebuilt = rebuild(&old, &found);
    let entry = |key: &ObjectKey| rebuilt.get(key).unwrap();
    assert_eq!((entry(&web).uid.as_deref(), &entry(&web).digest), (Some("new"), &None));
    assert_eq!(entry(&gone), &recorded("2"), "forget late");
    assert_eq!(entry(&quota).stage, Stage::Guardrails);
    assert_eq!(entry(&key("Namespace", None, NAME)).stage, Stage::Namespace);
    assert_eq!(rebuild(&rebuilt, &found), rebuilt, "a second time changes nothing");
}

proptest! {
    #[test]
    fn threat_t09_whatever_a_namespace_bears_is_read_without_a_panic(text in "\\PC{0,40}", place in 0..6_usize) {
        let pointers = [
            "/metadata/labels", "/metadata/annotations", "/metadata/managedFields", "/metadata/managedFields/0/fieldsV1",
            "/metadata/labels/graftling.dev~1project", "/metadata/annotations/graftling.dev~1branch",
        ];
        let mut body = body();
        *body.pointer_mut(pointers[place]).unwrap() = json!(text);
        prop_assert!(verdict(&body, None, false) != Verdict::Adopt || text == "shop" || text == "feature/a");
    }
}
