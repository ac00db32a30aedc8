//! `job` stages whose container really runs: what follows from its exit code, and what is kept of what it wrote.

use super::*;

/// 250 lines, of which the last 200 are kept. It lives on for a moment: the runtime copies both outputs by itself, late on a busy machine.
const MIGRATE: &str = "
stages:
  - name: settings
    apply: all.yaml
  - name: migrate
    needs: [settings]
    job:
      image: IMAGE
      command: [sh, -c, 'i=0; while [ $i -lt 250 ]; do i=$((i+1)); echo line $i of $GRAFTLING_BRANCH; done; sleep 5; echo migrated >&2; sleep 5']
";

#[tokio::test(flavor = "multi_thread")]
async fn feature_s2_the_last_lines_of_a_job_that_succeeded_are_kept_after_its_pod_is_gone() {
    let Some(scene) = scene("migrate", CONFIG, &with_image(MIGRATE), json!({})).await else {
        return;
    };
    let environment = scene.up("feature/a").await;
    let namespace = environment.name_any();
    assert_eq!(jobs_and_pods(&scene, &namespace).await.0, ["migrate-1-1"]);

    scene.up("feature/a").await;
    testbed::wait::until("end of the Job of the first run", LONG, || async {
        let (jobs, pods) = jobs_and_pods(&scene, &namespace).await;
        let is_gone = jobs == ["migrate-2-1"] && pods.iter().all(|pod| pod.starts_with("migrate-2-1"));
        if is_gone { Ok(()) } else { Err(format!("{jobs:?} {pods:?}")) }
    })
    .await;
    let told = told_of_run(&scene, "feature/a", "1").await;
    let lines: Vec<&str> = told["logs"][0]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(lines.len(), 200, "{told:#}");
    assert_eq!((lines[0], lines[199]), ("line 52 of feature/a", "migrated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s2_a_job_that_fails_ends_the_run_with_its_last_words_and_nothing_after_it_is_begun() {
    // All by one way: a runtime reads output and errors beside each other, and may write down first what was said last.
    let pipeline = with_image(
        "
stages:
  - name: migrate
    job:
      image: IMAGE
      command: [sh, -c, 'exec >&2; echo starting; echo table users exists already; sleep 5; exit 3']
  - name: settings
    needs: [migrate]
    apply: all.yaml
",
    );
    let Some(scene) = scene("broken", CONFIG, &pipeline, json!({})).await else {
        return;
    };
    scene.push("feature/a");
    let status = scene
        .told("feature/a", Phase::Failed, &["migrate", "table users exists already"])
        .await;
    let namespace = status.namespace.unwrap().name;
    assert!(scene.read("v1", "ConfigMap", &namespace, "settings").await.is_none());
    let told = told_of_run(&scene, "feature/a", "1").await;
    assert_eq!(
        told["logs"][0]["lines"],
        json!(["starting", "table users exists already"]),
        "{told:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s2_a_job_is_tried_again_as_often_as_it_says() {
    // It succeeds in its second try: nothing but the name of the pod tells one from the other.
    let pipeline = with_image(
        "
stages:
  - name: flaky
    retries: 2
    job:
      image: IMAGE
      command: [sh, -c, 'echo try $GRAFTLING_TRY; sleep 5; [ $GRAFTLING_TRY = 2 ]']
",
    );
    let Some(scene) = scene("flaky", CONFIG, &pipeline, json!({})).await else {
        return;
    };
    let environment = scene.up("feature/a").await;
    let (jobs, _) = jobs_and_pods(&scene, &environment.name_any()).await;
    assert_eq!(jobs, ["flaky-1-1", "flaky-1-2"]);
    let told = told_of_run(&scene, "feature/a", "1").await;
    let lines: Vec<&Value> = told["logs"].as_array().unwrap().iter().map(|log| &log["lines"][0]).collect();
    assert_eq!(lines, ["try 1", "try 2"], "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_d1_a_job_that_runs_once_runs_again_only_when_somebody_asks() {
    let pipeline = with_image(
        "
stages:
  - name: seed
    job: { image: IMAGE, command: [sh, -c, 'echo seeded by run $GRAFTLING_RUN'], once: true }
  - name: settings
    needs: [seed]
    apply: all.yaml
",
    );
    let Some(scene) = scene("once", CONFIG, &pipeline, json!({})).await else {
        return;
    };
    let environment = scene.up("feature/a").await;
    let position = scene.position();
    scene.up("feature/a").await;
    let made = |position| {
        let writes = scene.writes_inside(position, &environment);
        writes
            .into_iter()
            .filter(|write| write.starts_with("patch jobs seed-"))
            .collect::<Vec<String>>()
    };
    assert_eq!(made(position), [""; 0], "the second run makes no Job");

    let asked = crate::e2e::command::env(&scene, &["rerun", "feature/a", "--stage", "seed"]).await;
    assert_eq!((asked.code, asked.errors.as_str()), (0, ""), "{}", asked.output);
    testbed::wait::until("another Job", LONG, || async { !made(position).is_empty() }).await;
}
