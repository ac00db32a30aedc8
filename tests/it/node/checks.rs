//! `check` stages that ask a server which really runs.

use super::*;

/// The web image behind a Service, with a command of its own to look into it.
fn web() -> String {
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{
                "name": "web", "image": image::WEB, "env": [{ "name": "BRANCH", "value": "feature/a" }],
                "ports": [{ "name": "http", "containerPort": 8080 }],
                "readinessProbe": { "tcpSocket": { "port": "http" }, "periodSeconds": 1 },
            }] } },
        },
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] },
    });
    format!("{deployment}\n---\n{service}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_http_tcp_and_commands_are_asked_of_the_pods_that_were_deployed() {
    let pipeline = "
stages:
  - name: web
    apply: all.yaml
  - name: page
    needs: [web]
    check: { http: { service: web, path: /, contains: '<title>feature/a' }, every: 1s, successes: 2 }
  - name: port
    needs: [web]
    check: { tcp: { service: web, port: http }, every: 1s }
  - name: inside
    needs: [web]
    check: { exec: { workload: Deployment/web, command: [test, -f, /tmp/www/healthz] }, every: 1s }
";
    let Some(scene) = scene("checks", &web(), pipeline, json!({})).await else {
        return;
    };
    scene.up("feature/a").await;
    for name in ["page", "port", "inside"] {
        let stage = stage(&scene, "feature/a", name).await;
        assert_eq!(stage.state, "Succeeded", "{stage:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_s1_what_a_server_answers_is_told_when_it_is_not_what_should_be() {
    for (name, check, words) in [
        ("page", "http: { service: web, path: /login }", &["404"][..]),
        ("text", "http: { service: web, path: /healthz, contains: fine }", &["fine"]),
        (
            "inside",
            "exec: { workload: Deployment/web, command: [sh, -c, 'echo not here; exit 4'] }",
            &["4", "not here"],
        ),
    ] {
        let pipeline = format!(
            "stages:\n  - {{ name: web, apply: all.yaml }}\n  - {{ name: look, needs: [web], check: {{ {check}, every: 1s, failures: 2 }} }}\n"
        );
        let Some(scene) = scene(name, &web(), &pipeline, json!({})).await else {
            return;
        };
        scene.push("feature/a");
        let words = [&["look"], words].concat();
        scene.told("feature/a", Phase::Failed, &words).await;
    }
}
