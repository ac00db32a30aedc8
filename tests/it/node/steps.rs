//! `steps` stages whose containers really run, one after the other, in one workspace with the files of the commit.

use super::*;

/// Each container lives on for a moment, or the runtime may not have copied its last lines yet.
const BUILD: &str = "
stages:
  - name: build
    steps:
      - name: compile
        image: IMAGE
        command: [sh, -ec, 'cat source.txt; tr a-z A-Z <source.txt >built.txt; echo outside >/tmp/elsewhere; sleep 3']
      - name: pack
        image: IMAGE
        command:
          - sh
          - -ec
          - |
            echo $(cat built.txt)
            [ ! -e /tmp/elsewhere ]
            [ ! -e .git ]
            echo alone
            echo digest=of-$(cat built.txt) >$GRAFTLING_OUTPUTS
            sleep 3
        outputs: [digest]
  - name: use
    needs: [build]
    job: { image: IMAGE, command: [sh, -c, 'echo got $GRAFTLING_OUTPUT_BUILD_DIGEST; sleep 3'] }
  - name: settings
    needs: [use]
    apply: all.yaml
";

#[tokio::test(flavor = "multi_thread")]
async fn feature_s3_steps_share_the_files_of_the_commit_and_what_they_make_of_them_and_nothing_else() {
    let project = json!({ "guardrails": { "podSecurity": "restricted" } });
    let pipeline = with_image(BUILD).replace("job: { image", "job: { securityContext: { runAsUser: 1000 }, image");
    let Some(scene) = scene("build", CONFIG, &pipeline, project).await else {
        return;
    };
    for (run, text) in [("1", "first"), ("2", "second")] {
        let revision = scene.repository.commit("feature/a", &[("source.txt", text)]).unwrap();
        scene.world.wait_for("feature/a", Phase::Ready, &revision).await;
        let told = told_of_run(&scene, "feature/a", run).await;
        let lines = |container: &str| {
            let logs = told["logs"].as_array().unwrap();
            let log = logs.iter().find(|log| log["container"] == container);
            log.unwrap_or_else(|| panic!("no log of {container} in {told:#}"))["lines"].clone()
        };
        let built = text.to_uppercase();
        assert_eq!(lines("compile"), json!([text]));
        assert_eq!(lines("pack"), json!([built, "alone"]));
        assert_eq!(lines("job"), json!([format!("got of-{built}")]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s3_a_step_that_fails_is_named_and_no_step_after_it_runs() {
    let pipeline = with_image(
        "
stages:
  - name: build
    steps:
      - { name: compile, image: IMAGE, command: [sh, -c, 'echo line 7: no such function; sleep 3; exit 2'] }
      - { name: pack, image: IMAGE, command: [sh, -c, 'echo never'] }
",
    );
    let Some(scene) = scene("unbuilt", CONFIG, &pipeline, json!({})).await else {
        return;
    };
    scene.push("feature/a");
    scene
        .told(
            "feature/a",
            Phase::Failed,
            &["build", "step compile exited with 2", "line 7: no such function"],
        )
        .await;
    let told = told_of_run(&scene, "feature/a", "1").await;
    assert!(!told["logs"].to_string().contains("never"), "{told:#}");
}
