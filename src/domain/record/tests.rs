#![allow(clippy::unwrap_used, reason = "a record that cannot be made is the test's failure")]

mod masking;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::inventory::{Inventory, Stage};
use crate::domain::manifest::{Admission, AllowedKinds, admit};
use crate::domain::name::{EnvironmentName, ProjectKey};
use crate::domain::policy::ClusterScoped;

const NAME: &str = "shop-login-abcdefghij";
/// Stands for the password in the records of these tests.
const PASSWORD: &str = "correct-horse-battery";

fn environment() -> EnvironmentName {
    NAME.parse().unwrap()
}

fn project() -> ProjectKey {
    "team/shop".parse().unwrap()
}

fn document(file: &str, value: Value) -> Document {
    Document {
        file: file.to_owned(),
        line: 1,
        value,
    }
}

fn object(kind: &str, name: &str, rest: Value) -> Value {
    let mut body = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name } });
    for (field, value) in rest.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

fn contents(objects: &[(&str, Vec<Document>)]) -> Contents {
    Contents {
        digest: "d".into(),
        first_deploy: true,
        pipeline: Pipeline {
            stages: Vec::new(),
            teardown: Vec::new(),
        },
        objects: objects
            .iter()
            .map(|(stage, documents)| ((*stage).to_owned(), documents.clone()))
            .collect(),
        url: "https://x".into(),
        urls: Vec::new(),
        deployer: Deployer {
            namespace: "team".into(),
            name: "graftling-deployer".into(),
        },
    }
}

fn record(run: u64, contents: Contents) -> Record {
    Record {
        run: RunNumber(run),
        revision: "a".repeat(40),
        created: "2026-01-01T00:00:00Z".parse().unwrap(),
        contents,
    }
}

fn example(run: u64) -> Record {
    let secret = object("Secret", "login", json!({ "stringData": { "password": PASSWORD } }));
    let settings = object("ConfigMap", "settings", json!({ "data": { "a": "1" } }));
    record(
        run,
        contents(&[
            ("database", vec![document("templates/a.yaml", secret)]),
            ("web", vec![document("templates/b.yaml", settings)]),
        ]),
    )
}

/// What cannot be compressed: a megabyte for each stage.
fn large(megabytes: u64) -> Record {
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    let mut megabyte = || BASE64.encode((0..750 * 1024).map(|_| random()).collect::<Vec<_>>());
    let documents: Vec<_> = (0..megabytes)
        .map(|number| {
            document(
                "templates/a.yaml",
                object("ConfigMap", &format!("c{number}"), json!({ "data": { "a": megabyte() } })),
            )
        })
        .collect();
    record(3, contents(&[("deploy", documents)]))
}

fn stored(record: &Record, same_as: Option<RunNumber>) -> Vec<Value> {
    let home = Home {
        environment: &environment(),
        project: &project(),
    };
    secrets(record, same_as, &home)
        .unwrap()
        .into_iter()
        .map(|manifest| Value::clone(&manifest.body))
        .collect()
}

fn read(secrets: &[Value]) -> Result<Record, Error> {
    let stored = Stored::read(&secrets[0], &environment())?;
    let contents = stored.contents(&secrets[1..])?;
    Ok(stored.record(contents))
}

fn admission_under<T>(policy: ClusterScoped, then: impl FnOnce(&Admission<'_>) -> T) -> T {
    let kinds = AllowedKinds::default().cluster_scoped(policy, []);
    then(&Admission {
        namespace: &environment().namespace(),
        environment: &environment(),
        project: &project(),
        domain: &"preview.example.com".parse().unwrap(),
        kinds: &kinds,
    })
}

#[test]
fn feature_s3_what_a_record_says_is_read_back_whole_and_its_secrets_stay_out_of_sight() {
    let record = example(3);
    let secrets = stored(&record, None);
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0]["metadata"]["name"], "graftling-run-3");
    assert_eq!(secrets[0]["metadata"]["labels"]["graftling.dev/environment"], NAME);
    assert_eq!(read(&secrets).unwrap(), record);
    assert_eq!(stored(&record, None), secrets, "the same bytes for the same run");
    let outside = json!([secrets[0]["metadata"], secrets[0]["type"]]).to_string();
    let debug = format!("{record:?}{:?}", Stored::read(&secrets[0], &environment()).unwrap().head);
    assert!(!outside.contains(PASSWORD) && !debug.contains(PASSWORD), "{debug}");
}

#[test]
fn a_record_that_one_secret_cannot_hold_is_split_and_never_read_by_half() {
    let record = large(3);
    let secrets = stored(&record, None);
    assert!(secrets.len() > 2 && secrets.len() <= MAX_PARTS, "{}", secrets.len());
    for secret in &secrets {
        let size: usize = secret["data"]
            .as_object()
            .unwrap()
            .values()
            .map(|value| BASE64.decode(value.as_str().unwrap()).unwrap().len())
            .sum();
        assert!(size <= MAX_PART + 1024, "{size} bytes leave no room for the journal");
    }
    assert_eq!(read(&secrets).unwrap(), record);
    let mut swapped = secrets.clone();
    swapped.swap(1, 2);
    for broken in [secrets[..1].to_vec(), secrets[..secrets.len() - 1].to_vec(), swapped] {
        let error = read(&broken).unwrap_err().to_string();
        assert!(error.contains("is missing") && error.contains("nothing of it is used"), "{error}");
    }
}

#[test]
fn what_a_bundle_may_render_to_can_always_be_recorded_and_more_is_refused_with_its_size() {
    assert!(stored(&large(8), None).len() <= MAX_PARTS);
    let home = Home {
        environment: &environment(),
        project: &project(),
    };
    let error = secrets(&large(14), None, &home).unwrap_err().to_string();
    assert!(
        error.starts_with("run 3: its record has ") && error.contains("at most 9216000"),
        "{error}"
    );
}

#[test]
fn f85_a_record_of_another_version_another_environment_or_another_run_says_so() {
    let secrets = stored(&example(3), None);
    let with_head = |change: &dyn Fn(&mut Value)| {
        let mut secret = secrets[0].clone();
        let mut head: Value = serde_json::from_slice(&BASE64.decode(secret["data"]["head"].as_str().unwrap()).unwrap()).unwrap();
        change(&mut head);
        secret["data"]["head"] = json!(BASE64.encode(head.to_string()));
        read(&[secret]).unwrap_err().to_string()
    };
    let version = with_head(&|head| head["version"] = json!("graftling.dev/run/v2"));
    assert!(
        version.contains("version \"graftling.dev/run/v2\"") && version.contains("use the one that wrote it"),
        "{version}"
    );
    let other = with_head(&|head| head["environment"] = json!("shop-other-bbbbbbbbbb"));
    assert!(other.contains("of the environment shop-other-bbbbbbbbbb"), "{other}");
    let run = with_head(&|head| head["run"] = json!(7));
    assert!(run.contains("the record of run 7"), "{run}");
    let later = with_head(&|head| head["contents"] = json!(9));
    assert!(later.contains("what cannot be"), "{later}");
}

#[test]
fn what_was_changed_after_it_was_written_is_refused_without_a_word_of_what_it_holds() {
    let secrets = stored(&example(3), None);
    for (field, value) in [
        ("contents", json!(BASE64.encode("no gzip"))),
        ("contents", json!("%%%")),
        ("contents", Value::Null),
        ("contents", json!(BASE64.encode(packing::pack(&json!({ "digest": PASSWORD }))))),
        ("head", json!(BASE64.encode(format!("{PASSWORD}{{")))),
        ("head", Value::Null),
    ] {
        let mut secret = secrets[0].clone();
        secret["data"][field] = value;
        let error = read(&[secret]).unwrap_err().to_string();
        assert!(error.starts_with("Secret graftling-run-3 is not as graftling wrote it"), "{error}");
        assert!(!error.contains(PASSWORD), "{error}");
    }
}

#[test]
fn a_record_that_would_fill_the_memory_is_not_read_to_its_end() {
    let bomb = packing::pack(&" ".repeat(20 * 1024 * 1024));
    assert!(bomb.len() < 100 * 1024);
    assert_eq!(
        packing::unpack::<String>(&bomb, 1024).unwrap_err(),
        "it decompresses to more than 1024 bytes"
    );
}

#[test]
fn a_run_with_the_contents_of_an_earlier_one_refers_to_it() {
    let record = Record {
        run: RunNumber(9),
        ..large(3)
    };
    let secrets = stored(&record, Some(RunNumber(3)));
    assert_eq!(secrets.len(), 1);
    let stored = Stored::read(&secrets[0], &environment()).unwrap();
    assert_eq!(stored.elsewhere(), Some(RunNumber(3)));
    assert!(stored.further().is_empty());
}

#[test]
fn threat_t15_what_somebody_wrote_into_a_record_is_admitted_like_any_bundle() {
    let node_port = object("Service", "web", json!({ "spec": { "type": "NodePort" } }));
    let elsewhere = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "namespace": "kube-system" } });
    let labelled =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "labels": { "graftling.dev/environment": "x" } } });
    let cluster = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": "a" } });
    for (value, wanted) in [
        (node_port, "NodePort takes a port of every node"),
        (elsewhere, "must be shop-login-abcdefghij"),
        (labelled, "say what is whose"),
        (cluster, "belongs to the whole cluster"),
    ] {
        let forged = contents(&[("deploy", vec![document("templates/a.yaml", value)])]);
        let refusals = admission_under(ClusterScoped::Deny, |admission| forged.admit(admission).unwrap_err());
        assert!(refusals[0].to_string().contains(wanted), "{refusals:?}");
    }
}

#[test]
fn feature_s1_rollback_gives_the_objects_of_the_stages_that_are_asked_for_as_they_were() {
    let rendered = example(3);
    admission_under(ClusterScoped::Deny, |admission| {
        let all = rendered.contents.objects.values().flatten().cloned().collect();
        let before = admit(all, admission).unwrap();
        let stage = |manifest: &Manifest| {
            if manifest.source.file == "templates/a.yaml" {
                "database"
            } else {
                "web"
            }
        };
        let objects = Record::objects_of(before.iter().map(|manifest| (stage(manifest).to_owned(), manifest)));
        let kept = record(
            3,
            Contents {
                objects,
                ..rendered.contents.clone()
            },
        );
        let read = read(&stored(&kept, None)).unwrap();
        let web = read.contents.admit_stages(&["web"].into(), admission).unwrap();
        assert_eq!(
            web,
            before
                .iter()
                .filter(|manifest| stage(manifest) == "web")
                .cloned()
                .collect::<Vec<_>>()
        );
        let both = read.contents.admit(admission).unwrap();
        assert_eq!(both.keys().collect::<Vec<_>>(), ["database", "web"]);
        assert_eq!(both.values().map(Vec::len).sum::<usize>(), 2);
    });
}

#[test]
fn objects_that_bear_names_of_the_whole_cluster_keep_them_when_they_come_back() {
    let class = json!({ "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": { "name": "urgent" }, "value": 7 });
    for policy in [ClusterScoped::Rename, ClusterScoped::Share] {
        admission_under(policy, |admission| {
            let before = admit(vec![document("templates/a.yaml", class.clone())], admission).unwrap();
            let objects = Record::objects_of(before.iter().map(|manifest| ("deploy".to_owned(), manifest)));
            let after = Contents { objects, ..contents(&[]) }.admit(admission).unwrap();
            assert_eq!(after["deploy"], before, "{policy:?}");
        });
    }
}

#[test]
fn only_secrets_with_the_name_of_a_run_are_records() {
    let key = |kind: &str, name: &str| ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: kind.into(),
        namespace: Some(NAME.into()),
        name: name.into(),
    };
    assert_eq!(run_of(&key("Secret", "graftling-run-12")), Some(RunNumber(12)));
    assert_eq!(run_of(&key("Secret", "graftling-run-12-3")), Some(RunNumber(12)));
    for (kind, name) in [
        ("ConfigMap", "graftling-run-12"),
        ("Secret", "graftling-run-"),
        ("Secret", "graftling-run-x"),
        ("Secret", "graftling-run-12-"),
        ("Secret", "graftling-run-12-x"),
        ("Secret", "graftling-run-1-2-3"),
        ("Secret", "run-12"),
    ] {
        assert_eq!(run_of(&key(kind, name)), None, "{kind} {name}");
    }
    assert_eq!(part_name(RunNumber(4), 1), name(RunNumber(4)));
    assert_eq!(part_name(RunNumber(4), 2), "graftling-run-4-2");
}

#[test]
fn the_oldest_records_go_first_and_what_is_needed_never_does() {
    let mut inventory = Inventory::default();
    for (run, parts) in [(1, 10), (2, 1), (3, 10), (4, 10), (5, 1)] {
        for part in 1..=parts {
            let mut key = ObjectKey {
                group: String::new(),
                version: "v1".into(),
                kind: "Secret".into(),
                namespace: Some(NAME.into()),
                name: part_name(RunNumber(run), part),
            };
            inventory.write_ahead(&key, Stage::Deploy);
            key.kind = "ConfigMap".into();
            inventory.write_ahead(&key, Stage::Deploy);
        }
    }
    let shown = |run, contents: Option<u64>, needed| Shown {
        run: RunNumber(run),
        contents: contents.map(RunNumber),
        needed,
    };
    let kept = |shown: &[Shown]| {
        keep(shown.iter().copied(), &inventory)
            .into_iter()
            .map(|run| run.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kept(&[
            shown(5, None, true),
            shown(4, None, false),
            shown(3, None, false),
            shown(2, None, false)
        ]),
        [2, 3, 4, 5]
    );
    let all = [
        shown(5, None, true),
        shown(4, None, false),
        shown(3, None, false),
        shown(2, None, false),
        shown(1, None, true),
    ];
    assert_eq!(kept(&all), [1, 4, 5], "the last good run stays, and what no longer fits goes");
    assert_eq!(kept(&[shown(5, Some(1), true)]), [1, 5], "with what its contents are in");
}

#[test]
fn records_that_nothing_shows_any_more_wait_until_several_can_go_together() {
    let record = |run: u64| ObjectKey {
        group: String::new(),
        version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(NAME.into()),
        name: name(RunNumber(run)),
    };
    let mut inventory = Inventory::default();
    let kept_of = |inventory: &Inventory| {
        let own = Shown {
            run: RunNumber(9),
            contents: None,
            needed: true,
        };
        keep([own], inventory).into_iter().map(|run| run.0).collect::<Vec<_>>()
    };
    for run in [2, 3, 4, 5, 9] {
        inventory.write_ahead(&record(run), Stage::Deploy);
    }
    assert_eq!(kept_of(&inventory), [2, 3, 4, 5, 9]);
    inventory.write_ahead(&record(1), Stage::Deploy);
    assert_eq!(kept_of(&inventory), [9], "five");
    for run in [1, 2] {
        inventory.forget(&record(run));
    }
    inventory.mark_asked(&record(3));
    assert_eq!(kept_of(&inventory), [9], "the removal has begun");
    inventory.forget(&record(3));
    assert_eq!(kept_of(&inventory), [4, 5, 9]);
}

proptest! {
    #[test]
    fn any_text_survives_a_record(name in "[a-z]{1,8}", text in any::<String>(), other in any::<Vec<u8>>()) {
        let value = object("ConfigMap", &name, json!({ "data": { "text": text }, "binaryData": { "x": BASE64.encode(other) } }));
        let record = record(1, contents(&[("deploy", vec![document("templates/a.yaml", value)])]));
        prop_assert_eq!(read(&stored(&record, None)).unwrap(), record);
    }

    #[test]
    fn no_bytes_make_reading_fail_otherwise_than_by_an_error(head in any::<Vec<u8>>(), contents in any::<Vec<u8>>()) {
        let mut secret = stored(&example(3), None).remove(0);
        secret["data"]["contents"] = json!(BASE64.encode(contents));
        prop_assert!(read(std::slice::from_ref(&secret)).is_err());
        secret["data"]["head"] = json!(BASE64.encode(head));
        prop_assert!(read(&[secret]).is_err());
    }
}
