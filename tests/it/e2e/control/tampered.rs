//! Records that somebody changed: refused by their name, and nothing is put back from them by half.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use graftling::api::environment::Phase;
use kube::ResourceExt;
use serde_json::json;

use super::super::command::env;
use super::{BRANCH, PLAIN, late, scene};

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_nothing_is_put_back_from_a_record_that_was_cut_or_changed() {
    let scene = scene("tampered", PLAIN).await;
    let first = scene.push(BRANCH);
    let environment = scene.world.wait_for(BRANCH, Phase::Ready, &first).await;
    let name = environment.name_any();
    let second = scene.push(BRANCH);
    scene.world.wait_for(BRANCH, Phase::Ready, &second).await;
    let record = scene.read("v1", "Secret", &name, "graftling-run-1").await.unwrap();
    let whole = BASE64.decode(record["data"]["contents"].as_str().unwrap()).unwrap();
    let cut = whole[..whole.len() / 2].to_vec();
    let mut changed = whole.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    // Readable from its beginning to its end: only the checksum tells that it is another.
    let newer = scene.read("v1", "Secret", &name, "graftling-run-2").await.unwrap();
    let another = BASE64.decode(newer["data"]["contents"].as_str().unwrap()).unwrap();
    assert_ne!(another, whole);
    let before = late(&scene, &environment).await;
    assert!(before.is_some());

    for contents in [cut, changed, another] {
        let data = json!({"data": {"contents": BASE64.encode(contents)}});
        scene.edit("v1", "Secret", &name, "graftling-run-1", data).await;
        let refused = env(&scene, &["rollback", BRANCH, "--to", &first[..10]]).await;
        assert_ne!(refused.code, 0, "{}", refused.output);
        let told = format!("{}{}", refused.output, refused.errors);
        assert!(told.contains("graftling-run-1 is not as graftling wrote it"), "{told}");
        // The look that answers the request may still be on its way.
        let status = scene.world.wait_for(BRANCH, Phase::Ready, &second).await.status.unwrap();
        let run = status.run.unwrap();
        assert_eq!((run.number, run.record), (2, None), "no run of the record began");
        assert_eq!(late(&scene, &environment).await, before, "not even written again");
    }

    // Whole again, it is used: it was the contents that were refused.
    let data = json!({"data": {"contents": BASE64.encode(whole)}});
    scene.edit("v1", "Secret", &name, "graftling-run-1", data).await;
    let back = env(&scene, &["rollback", BRANCH, "--to", &first[..10]]).await;
    assert_eq!(back.code, 0, "{}{}", back.output, back.errors);
}
