//! `graftling env watch` where standard output is no terminal: a line for each change, and an end with the run.

use graftling::api::environment::Phase;

use super::super::command::env;
use super::{BRANCH, asked, asking, env_as, scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_watched_in_plain_lines_until_it_ends_well() {
    let scene = scene("watched", &asking("{}")).await;
    scene.push(BRANCH);
    asked(&scene, 1).await;
    // It watches a run that goes on only once it watches, or soon before: both end with the run.
    let (watched, approved) = tokio::join!(env(&scene, &["watch", BRANCH]), env_as(&scene, "alice", &[], &["approve", BRANCH]));
    assert_eq!((approved.code, watched.code), (0, 0), "{}{}", approved.errors, watched.errors);
    assert!(!watched.output.contains('\u{1b}'), "no drawing: {:?}", watched.output);
    for words in ["release", "late", "Ready"] {
        assert!(watched.output.contains(words), "{words} in {}", watched.output);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_ends_the_watch_with_exit_code_1_and_the_reason() {
    let scene = scene("watched-failing", &asking("{}")).await;
    scene.push(BRANCH);
    asked(&scene, 1).await;
    let reject = ["reject", BRANCH, "release", "--comment", "not today"];
    let (watched, rejected) = tokio::join!(env(&scene, &["watch", BRANCH]), env_as(&scene, "carol", &[], &reject));
    assert_eq!((rejected.code, watched.code), (0, 1), "{}{}", rejected.errors, watched.errors);
    assert!(watched.errors.contains("rejected by carol: not today"), "{}", watched.errors);
    assert!(!watched.output.contains('\u{1b}'), "no drawing: {:?}", watched.output);
    scene.told(BRANCH, Phase::Failed, &["not today"]).await;
}
