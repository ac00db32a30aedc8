//! Updates: what is written, in which order, and what is not written.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::{Duration, Instant};

use graftling::api::Environment;
use graftling::api::environment::Phase;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use testbed::wait;

use super::scene::{Scene, WEB, short};
use crate::world::{LONG, objects};

#[tokio::test(flavor = "multi_thread")]
async fn feature_f04_a_new_revision_writes_only_the_object_that_changed() {
    let scene = Scene::start("update", WEB).await;
    let start = scene.position();
    let environment = scene.up("feature/a").await;
    let created = scene.writes(start);
    println!(
        "{} writes for a new environment: {:#?}",
        created.len(),
        created.iter().map(short).collect::<Vec<_>>()
    );
    // A status that was concluded from an older one is refused, and concluded anew.
    let refused = created.iter().filter(|write| write.code >= 300 && write.subresource != "status");
    let refused: Vec<_> = refused.map(short).collect();
    assert!(refused.is_empty(), "a write was refused: {refused:#?}");
    assert_eq!(environment.status.unwrap().history.len(), 1, "one run, one entry");

    let position = scene.position();
    let environment = scene.up("feature/a").await;
    let writes = scene.writes(position);
    println!(
        "{} writes for one changed object: {:#?}",
        writes.len(),
        writes.iter().map(short).collect::<Vec<_>>()
    );
    assert_eq!(scene.writes_inside(position, &environment), ["patch deployments web"]);
    let deployer = format!("system:serviceaccount:{}:graftling-deployer", scene.world.namespace.name());
    for event in &writes {
        let inside = event.namespace == environment.name_any();
        assert_eq!(event.impersonated_user.as_deref(), inside.then_some(deployer.as_str()), "{event:?}");
    }
    let outside = |resource: &str| {
        writes
            .iter()
            .filter(|event| format!("{}/{}", event.resource, event.subresource) == resource)
            .count()
    };
    assert_eq!(outside("environments/"), 1, "one change of the wanted revision");
    // Each step of the rollout that people can see is one status.
    assert!((1..=6).contains(&outside("environments/status")), "{writes:#?}");
    // One of this run, and perhaps that of the run before: it is written after the status that the test waited for.
    assert!(outside("events/") <= 2);
    // The Deployment, and the record of the run.
    assert_eq!(
        writes.len(),
        2 + outside("environments/") + outside("environments/status") + outside("events/"),
        "{writes:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn guardrails_come_before_the_bundle_and_identities_before_workloads() {
    let scene = Scene::start("order", &format!("{WEB}{ROLE}{SERVICE}")).await;
    let start = scene.position();
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let writes = scene.writes(start);
    let position = |wanted: &str| {
        let found = writes.iter().position(|event| !event.name.is_empty() && short(event) == wanted);
        found.unwrap_or_else(|| panic!("no {wanted} in {:#?}", writes.iter().map(short).collect::<Vec<_>>()))
    };
    let steps = [
        vec![format!("patch namespaces {name}")],
        [
            "rolebindings graftling-deployer",
            "resourcequotas graftling-quota",
            "limitranges graftling-limits",
        ]
        .into_iter()
        .chain(["networkpolicies graftling-ingress", "networkpolicies graftling-egress"])
        .map(|object| format!("patch {object}"))
        .collect(),
        ["serviceaccounts web", "roles reader"]
            .map(|object| format!("patch {object}"))
            .to_vec(),
        ["rolebindings reader", "configmaps settings", "secrets keys", "services web"]
            .map(|object| format!("patch {object}"))
            .to_vec(),
        vec!["patch deployments web".to_owned()],
    ];
    let spans: Vec<_> = steps
        .iter()
        .map(|step| step.iter().map(|wanted| position(wanted)).collect::<Vec<_>>())
        .map(|step| (*step.iter().min().unwrap(), *step.iter().max().unwrap()))
        .collect();
    assert!(
        spans.windows(2).all(|pair| pair[0].1 < pair[1].0),
        "{spans:?} in {:#?}",
        writes.iter().map(short).collect::<Vec<_>>()
    );
    // S6: as long as the quota's controller has not counted, the API server refuses what the quota limits; that is no failure.
    let history = environment.status.unwrap().history;
    assert!(history.iter().all(|run| run.result == "Ready"), "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bundle_no_longer_contains_goes_only_after_the_rest_is_ready() {
    let scene = Scene::start("prune", &format!("{WEB}{OLD}")).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let position = scene.position();
    scene.template(&WEB.replace("containers:", "nodeSelector: {no: such-node}\n      containers:"));
    scene.push("feature/a");
    scene
        .told("feature/a", Phase::Deploying, &["Deployment web", "version before"])
        .await;
    assert!(scene.read("v1", "ConfigMap", &name, "old").await.is_some());
    assert!(
        scene
            .writes_inside(position, &environment)
            .iter()
            .all(|write| write == "patch deployments web")
    );

    scene.template(WEB);
    let environment = scene.up("feature/a").await;
    wait::until("end of ConfigMap old", LONG, || async {
        scene.read("v1", "ConfigMap", &name, "old").await.is_none()
    })
    .await;
    let writes = scene.writes_inside(position, &environment);
    only(&writes, "patch deployments web", "delete configmaps old");
    let settled = scene.told("feature/a", Phase::Ready, &[]).await;
    assert!(
        settled.inventory.entries().iter().all(|entry| entry.name != "old"),
        "{:?}",
        settled.inventory
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_its_kind_is_replaced_without_a_gap() {
    let scene = Scene::start("kind", WEB).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let position = scene.position();
    let template = WEB
        .replace("kind: Deployment", "kind: StatefulSet")
        .replace("spec:\n  selector", "spec:\n  serviceName: web\n  selector");
    scene.template(&template.replace("app: web", "app: web-2"));
    let environment = scene.up("feature/a").await;
    wait::until("end of Deployment web", LONG, || async {
        scene.read("apps/v1", "Deployment", &name, "web").await.is_none()
    })
    .await;
    assert!(scene.read("apps/v1", "StatefulSet", &name, "web").await.is_some());
    let writes = scene.writes_inside(position, &environment);
    only(&writes, "patch statefulsets web", "delete deployments web");
}

/// One deletion after a patch, and nothing else. How often is patched depends on whether the server sees the template or the push first.
fn only(writes: &[String], patch: &str, deletion: &str) {
    let deletions = writes.iter().filter(|write| *write == deletion).count();
    let patches = writes.iter().filter(|write| *write == patch).count();
    assert!(
        writes[0] == patch && deletions == 1 && patches <= 3 && patches + deletions == writes.len(),
        "{writes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_l1_a_settled_environment_causes_no_write_however_much_its_objects_report() {
    let scene = Scene::start("settled", WEB).await;
    let environment = scene.up("feature/a").await;
    let api = objects::api(&scene.world.client, "apps/v1", "Deployment", Some(&environment.name_any())).await;
    scene.world.wait_for_event("Ready").await;
    scene.hint("feature/a").await;
    let position = scene.position();
    let until = Instant::now() + Duration::from_secs(10);
    let mut round = 0;
    while Instant::now() < until {
        round += 1;
        let condition = json!({ "type": "example.com/Round", "status": "True", "reason": "Round", "message": format!("{round}") });
        let patch = Patch::Strategic(json!({ "status": { "conditions": [condition] } }));
        api.patch_status("web", &PatchParams::default(), &patch).await.unwrap();
        scene.hint("feature/a").await;
        // Not a wait for a condition: this is the time in which nothing must happen.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(round > 5);
    assert_eq!(scene.writes(position).iter().map(short).collect::<Vec<_>>(), [""; 0]);
    println!("0 writes for {round} changes of status and {round} repeated deliveries");
}

/// The bundle does not say where the environment is found, so that nothing of it has to be written.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_domain_of_the_project_is_told_of_an_environment_that_has_nothing_else_to_change() {
    let scene = Scene::start("moved", WEB).await;
    let environment = scene.up("feature/a").await;
    let before = environment.status.clone().unwrap();
    let name = environment.name_any();
    assert_eq!(before.url.as_deref(), Some(&*format!("https://{name}.preview.example.com")));
    let position = scene.position();
    scene.change_project(json!({ "domain": "elsewhere.example.org" })).await;
    let url = format!("https://{name}.elsewhere.example.org");
    let is_told = |environment: &Environment| environment.status.as_ref().is_some_and(|status| status.url.as_ref() == Some(&url));
    let environment = scene.world.wait_until("feature/a", "its new URL", is_told).await;
    let after = environment.status.as_ref().unwrap();
    assert_eq!(after.phase, Some(Phase::Ready));
    assert_eq!(after.history.len(), before.history.len(), "nothing ran");
    assert_eq!(scene.writes_inside(position, &environment), [""; 0]);
}

const OLD: &str = r#"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: old}
"#;

const SERVICE: &str = r#"
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"#;

const ROLE: &str = r#"
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: web}]
"#;
