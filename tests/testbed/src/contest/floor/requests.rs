//! What the floor sends, made ready before any clock runs.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::content::{self, DEPLOYER, Naming, Object};
use super::super::task::{Environment, Task};

/// The last wave of requests that there can be.
pub(super) const LAST_WAVE: u8 = 6;

/// The waves of an Environment's first writes, before those of the objects.
const AHEAD: u8 = 2;

/// So many hexadecimal digits a digest has in an inventory.
const DIGEST: usize = 32;

/// How objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By POST, which is the quickest, and cannot change anything.
    Post,
    /// By server-side apply.
    Apply,
    /// By server-side apply, and with no more rights than an environment's own deployer has: what a bundle brings is written as it, once
    /// its RoleBinding is there. Such a writer may not give away rights that it lacks, which the API server looks up for every Role and
    /// every RoleBinding.
    Deployer,
    /// As [`Mode::Deployer`], and with the three writes of an Environment around it: what is wished, what will be written before anything is,
    /// and what was. Nobody who has to find all of it again after a crash can do with less.
    Environment,
}

/// One request, ready to be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prepared {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) body: String,
    /// Whom it is sent as, if not as the writer itself.
    pub(super) user: Option<String>,
    /// All of one wave are sent at once, and none before the wave before it is over.
    pub(super) wave: u8,
}

impl Prepared {
    /// The request that writes an object of an environment.
    pub fn write(object: &Object, mode: Mode, naming: &Naming) -> Prepared {
        let (method, path, content_type) = match mode {
            Mode::Post => ("POST", object.collection.clone(), "application/json"),
            Mode::Apply | Mode::Deployer | Mode::Environment => {
                let path = format!("{}/{}?fieldManager=floor&force=true", object.collection, object.name);
                ("PATCH", path, "application/apply-patch+yaml")
            }
        };
        let is_of_bundle = !is_fence(object);
        let deployer = || format!("system:serviceaccount:{}:{DEPLOYER}", naming.project_namespace);
        Prepared {
            method: method.to_owned(),
            path,
            content_type: content_type.to_owned(),
            body: object.body.to_string(),
            user: (mode.is_deployer() && is_of_bundle).then(deployer),
            wave: wave(object, mode),
        }
    }

    /// A request without a body.
    pub(super) fn bare(method: &str, path: String, wave: u8) -> Prepared {
        Prepared {
            method: method.to_owned(),
            path,
            content_type: "application/json".to_owned(),
            body: String::new(),
            user: None,
            wave,
        }
    }

    /// The requests that delete an environment's namespace, and before that its pods with whatever would make them again: a namespace whose
    /// pods are gone when the namespace controller looks at it takes half the time.
    fn delete(namespace: &str) -> Vec<Prepared> {
        let apps = format!("/apis/apps/v1/namespaces/{namespace}");
        let core = format!("/api/v1/namespaces/{namespace}");
        let paths = [
            format!("{apps}/deployments"),
            format!("{apps}/replicasets"),
            format!("{core}/pods?gracePeriodSeconds=0"),
            core,
        ];
        let delete = |(wave, path)| Prepared::bare("DELETE", path, wave);
        (0..).zip(paths).map(delete).collect()
    }

    /// The request that writes an Environment or, with a status, that.
    fn environment(environment: &Environment, rest: Value, path: &str, wave: u8) -> Prepared {
        let Naming {
            namespace: name,
            project_namespace,
            ..
        } = &environment.naming;
        let mut body = json!({ "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment", "metadata": { "name": name } });
        if let (Some(body), Value::Object(rest)) = (body.as_object_mut(), rest) {
            body.extend(rest);
        }
        Prepared {
            method: "PATCH".to_owned(),
            path: format!(
                "/apis/graftling.dev/v1alpha1/namespaces/{project_namespace}/environments/{name}{path}?fieldManager=floor&force=true"
            ),
            content_type: "application/apply-patch+yaml".to_owned(),
            body: body.to_string(),
            user: None,
            wave,
        }
    }
}

impl Mode {
    fn is_deployer(self) -> bool {
        matches!(self, Mode::Deployer | Mode::Environment)
    }
}

/// Whether it is of the fences around what a bundle brings.
fn is_fence(object: &Object) -> bool {
    let fences = ["Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy"];
    fences.contains(&object.kind.as_str()) || object.name == DEPLOYER
}

/// The namespace first, and the rest at once. A deployer needs its RoleBinding before, and a RoleBinding its Role.
fn wave(object: &Object, mode: Mode) -> u8 {
    let wave = match (object.kind.as_str(), mode) {
        ("Namespace", _) => 0,
        (_, Mode::Post | Mode::Apply) => 1,
        _ if is_fence(object) => 1,
        ("RoleBinding", _) => 3,
        _ => 2,
    };
    if mode == Mode::Environment { AHEAD + wave } else { wave }
}

/// The requests of a task.
pub fn requests(task: Task, mode: Mode, environments: &[Environment]) -> Vec<Vec<Prepared>> {
    let of = |environment: &Environment| match task {
        Task::Create => writes(environment, &environment.objects, mode),
        // What is there cannot be posted.
        Task::Change if mode == Mode::Post => writes(environment, &content::changed(&environment.objects), Mode::Apply),
        Task::Change => writes(environment, &content::changed(&environment.objects), mode),
        Task::Delete => Prepared::delete(&environment.naming.namespace),
    };
    environments.iter().map(of).collect()
}

fn writes(environment: &Environment, objects: &[Object], mode: Mode) -> Vec<Prepared> {
    let write = |object| Prepared::write(object, mode, &environment.naming);
    let mut requests: Vec<Prepared> = objects.iter().map(write).collect();
    if mode == Mode::Environment {
        let spec = json!({ "spec": {
            "projectRef": { "name": "shop" },
            "branch": environment.naming.branch,
            "repositoryId": "1",
            "revision": environment.naming.revision,
        } });
        requests.push(Prepared::environment(environment, spec, "", 0));
        for (phase, wave) in [("Deploying", AHEAD - 1), ("Ready", LAST_WAVE)] {
            let status = status(objects, phase);
            requests.push(Prepared::environment(environment, status, "/status", wave));
        }
    }
    requests
}

/// A status with the inventory of these objects, as long as graftling's: digests and UIDs are known once they are written.
fn status(objects: &[Object], phase: &str) -> Value {
    let is_written = phase == "Ready";
    let digest = |name: &str| is_written.then(|| format!("{name:0>DIGEST$}"));
    let entry = |object: &Object| {
        json!({
            "apiVersion": object.body["apiVersion"],
            "kind": object.kind,
            "name": object.name,
            "namespace": object.body["metadata"]["namespace"],
            "stage": "Deploy",
            "digest": digest("d"),
            "ownership": digest("o"),
            "uid": is_written.then_some("00000000-0000-4000-8000-000000000000"),
        })
    };
    let inventory: Vec<Value> = objects.iter().map(entry).collect();
    json!({ "status": { "phase": phase, "inventory": inventory, "message": "14 objects" } })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "an object that cannot be made is the test's failure")]
mod tests {
    use super::super::super::task::Namer;
    use super::*;

    fn sent(mode: Mode) -> Vec<Prepared> {
        let environment = Namer::new("team").environment("feature/a").unwrap();
        requests(Task::Create, mode, &[environment]).remove(0)
    }

    fn waves(requests: &[Prepared], part: &str) -> Vec<u8> {
        let of = requests.iter().filter(|request| request.path.contains(part));
        of.map(|request| request.wave).collect()
    }

    #[test]
    fn an_environment_takes_three_writes_beside_its_objects_and_the_second_before_any_of_them() {
        let requests = sent(Mode::Environment);
        assert_eq!(requests.len(), content::COUNT + 3);
        assert_eq!(waves(&requests, "/environments/"), [0, 1, LAST_WAVE]);
        let objects = requests.iter().filter(|request| !request.path.contains("/environments/"));
        assert!(objects.clone().all(|request| (AHEAD..LAST_WAVE).contains(&request.wave)));
        assert_eq!(objects.filter(|request| request.user.is_some()).count(), 8);
    }

    #[test]
    fn what_makes_pods_goes_before_the_pods_and_they_before_the_namespace() {
        let environment = Namer::new("team").environment("feature/a").unwrap();
        let requests = requests(Task::Delete, Mode::Apply, &[environment]).remove(0);
        assert_eq!(waves(&requests, "/pods?gracePeriodSeconds=0"), [2]);
        assert_eq!(requests.last().unwrap().path, "/api/v1/namespaces/shop-feature-a");
        assert_eq!(requests.last().unwrap().wave, 3);
    }
}
