//! The oldest wound (k3s-io/helm-controller#270): a controller cleans up as an account of the very namespace that is being removed.
#![allow(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use testbed::wait;

use super::scene::{Scene, WEB, short};
use super::teardown::define_widgets;
use crate::world::{LONG, objects};

const GROUP: &str = "impersonated.test.example";
const VERSION: &str = "impersonated.test.example/v1";
const FINALIZER: &str = "impersonated.test.example/uninstall";

const OPERATOR: &str = r#"
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: operator}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: operator}
rules: [{apiGroups: [impersonated.test.example], resources: [widgets], verbs: [get, list, watch, create, patch, update, delete]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}
subjects: [{kind: ServiceAccount, name: operator}]
---
apiVersion: impersonated.test.example/v1
kind: Widget
metadata: {name: release}
spec: {size: 3}
"#;

/// How long an uninstallation takes.
const WORK: Duration = Duration::from_millis(1500);

/// A controller that does everything as the ServiceAccount `operator` of the namespace that it works in.
#[derive(Clone)]
struct Controller {
    admin: Client,
    widgets: Api<DynamicObject>,
    namespace: String,
}

impl Controller {
    async fn new(scene: &Scene, namespace: &str) -> Self {
        let mut config = testbed::configuration(scene.world.plane.kubeconfig()).await;
        config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:operator"));
        config.default_retry = false;
        let operator = Client::try_from(config).unwrap();
        Self {
            admin: scene.world.client.clone(),
            widgets: widgets(&operator, namespace),
            namespace: namespace.to_owned(),
        }
    }

    /// Holds the widget, and makes another one below it that it holds as well, as a release has resources of its own.
    async fn install(&self) {
        let held = json!({ "metadata": { "finalizers": [FINALIZER] } });
        let above = wait::until("rights of the operator", LONG, || async {
            self.widgets.patch("release", &PatchParams::default(), &Patch::Merge(&held)).await
        })
        .await;
        let below: DynamicObject = serde_json::from_value(json!({
            "apiVersion": VERSION, "kind": "Widget",
            "metadata": {
                "name": "part", "namespace": self.namespace, "finalizers": [FINALIZER],
                "ownerReferences": [{ "apiVersion": VERSION, "kind": "Widget", "name": "release", "uid": above.uid().unwrap(), "controller": true }],
            },
        }))
        .unwrap();
        self.widgets.create(&PostParams::default(), &below).await.unwrap();
    }

    /// Waits for the end of both, the outer one first, and cleans up after each.
    async fn serve(self) -> Result<(), kube::Error> {
        for name in ["release", "part"] {
            self.uninstall(name).await?;
        }
        Ok(())
    }

    async fn uninstall(&self, name: &str) -> Result<(), kube::Error> {
        let as_admin = widgets(&self.admin, &self.namespace);
        wait::until(format!("deletion of {name}"), LONG, || async {
            as_admin
                .get(name)
                .await
                .is_ok_and(|widget| widget.metadata.deletion_timestamp.is_some())
        })
        .await;
        // That the work takes its time is the point: nothing signals its end.
        tokio::time::sleep(WORK).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), &self.namespace);
        let request: TokenRequest = serde_json::from_value(json!({ "metadata": {}, "spec": { "audiences": [] } })).unwrap();
        accounts.create_token_request("operator", &PostParams::default(), &request).await?;
        let released = Patch::Merge(json!({ "metadata": { "finalizers": [] } }));
        self.widgets.patch(name, &PatchParams::default(), &released).await.map(drop)
    }
}

/// The operator may not ask which kinds there are.
fn widgets(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1", "Widget"), "widgets");
    Api::namespaced_with(client.clone(), namespace, &resource)
}

#[tokio::test(flavor = "multi_thread")]
async fn feature_x1_a_controller_that_acts_as_an_account_of_the_namespace_cleans_up_to_the_last_object() {
    define_widgets("impersonated").await;
    let policy = json!({ "policy": { "kinds": [format!("{GROUP}/Widget")] } });
    let values = ["rbac.customResources[0].apiGroups={impersonated.test.example},rbac.customResources[0].resources={widgets}"];
    let scene = Scene::with("impersonated", &format!("{WEB}{OPERATOR}"), policy, &values).await;
    let environment = scene.up("feature/a").await;
    let name = environment.name_any();
    let controller = Controller::new(&scene, &name).await;
    controller.install().await;
    let serving = tokio::spawn(controller.serve());
    let position = scene.position();
    scene.repository.delete_branches(&["feature/a"]).unwrap();
    scene.world.wait_gone("feature/a").await;
    serving.await.unwrap().expect("the account was there for both");
    for reason in ["TeardownBlocked", "TerminationBlocked"] {
        assert_eq!(scene.world.events(reason).await, [""; 0], "in one go");
    }
    let mut events = scene.world.plane.audit().since(position);
    events.retain(|event| event.namespace == name || event.name == name);
    events.sort_by_key(|event| event.request_received);
    let operator = Some(format!("system:serviceaccount:{name}:operator"));
    let released: Vec<_> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event.impersonated_user == operator && event.verb == "patch")
        .map(|(place, event)| {
            assert_eq!((event.resource.as_str(), event.code), ("widgets", 200));
            place
        })
        .collect();
    assert_eq!(released.len(), 2, "both finalizers ran with the account");
    let first_right = events.iter().position(|event| {
        let server = event.user == scene.world.server_user();
        server
            && event.verb == "delete"
            && matches!(
                event.resource.as_str(),
                "serviceaccounts" | "rolebindings" | "roles" | "secrets" | "namespaces"
            )
    });
    let first_right = first_right.expect("rights were removed");
    assert!(
        released.iter().all(|place| *place < first_right),
        "{:#?}",
        events.iter().map(short).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_stays_stuck_when_its_namespace_is_simply_deleted() {
    define_widgets("impersonated").await;
    let scene = Scene::start("bare", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: unused}\n").await;
    let name = format!("{}-bare", scene.world.namespace.name());
    scene.world.foreign_namespace(&name).await;
    for document in OPERATOR.split("---").filter(|text| !text.trim().is_empty()) {
        let mut body: Value = serde_saphyr::from_str(document).unwrap();
        body["metadata"]["namespace"] = json!(name);
        if body["kind"] == "RoleBinding" {
            body["subjects"][0]["namespace"] = json!(name);
        }
        objects::apply_body(&scene.world.client, &body).await;
    }
    let controller = Controller::new(&scene, &name).await;
    controller.install().await;
    let serving = tokio::spawn(controller.serve());
    scene.remove("v1", "Namespace", "", &name).await;
    let refused = serving.await.unwrap().expect_err("its account is gone");
    println!("the controller was refused: {refused}");
    let kube::Error::Api(status) = &refused else { panic!("{refused}") };
    assert!(matches!(status.code, 403 | 404), "{refused}");
    // The evidence: no account and no rights, and a finalizer that its owner can never take off.
    // Its rights may go first.
    wait::until("end of the account", LONG, || async {
        scene.read("v1", "ServiceAccount", &name, "operator").await.is_none().then_some(())
    })
    .await;
    let widget = scene.read(VERSION, "Widget", &name, "release").await.expect("it is held");
    assert_eq!(widget["metadata"]["finalizers"], json!([FINALIZER]));
    let again = Controller::new(&scene, &name).await;
    let released = Patch::Merge(json!({ "metadata": { "finalizers": [] } }));
    let error = wait::until("end of the operator's rights", LONG, || async {
        match again.widgets.patch("nothing", &PatchParams::default(), &released).await {
            Err(kube::Error::Api(status)) if status.code == 403 => Some(status),
            _ => None,
        }
    })
    .await;
    assert!(error.message.contains("operator"), "{}", error.message);
    assert!(scene.world.namespace_exists(&name).await, "stuck");
    for widget in ["release", "part"] {
        scene
            .edit(VERSION, "Widget", &name, widget, json!({ "metadata": { "finalizers": [] } }))
            .await;
    }
    wait::until("end of the stuck namespace", LONG, || async {
        !scene.world.namespace_exists(&name).await
    })
    .await;
}
