//! The objects of a `job` or `steps` stage: one Job, and a ServiceAccount without any right unless the bundle names one.
//!
//! They pass the same gate as what templates give. The Job makes one pod and never a second: tries are the run's to count.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::container::{Container, EnvFrom, Variable};
use super::facts::JobFacts;
use super::job::Job;
use super::security::{self, Contexts};
use super::steps::Steps;
use super::workload::Workload;
use super::{checkout, outputs};
use crate::domain::manifest::{Manifest, ObjectKey, Refusal, Source, admit};
use crate::domain::render::Document;

/// The label and annotation that name the stage.
pub const STAGE_LABEL: &str = "graftling.dev/stage";
/// The label and annotation that hold the number of the run.
pub const RUN_LABEL: &str = crate::domain::manifest::RUN_ANNOTATION;

/// The container of a `job` stage.
pub const JOB_CONTAINER: &str = "job";

/// The file that objects of stages come from.
const FILE: &str = "pipeline.yaml";

/// The objects of a `job` stage, in the order in which they are applied.
///
/// # Errors
/// What the Project does not allow, and what the namespace would not admit.
pub fn of_job(job: &Job, facts: &JobFacts<'_>) -> Result<Vec<Manifest>, Vec<Refusal>> {
    let contexts = security::contexts(facts.pod_security, &job.workload.security, false);
    let main = container(JOB_CONTAINER, &job.container, facts, &contexts);
    let pod = Map::from_iter([("containers".to_owned(), json!([main]))]);
    build(pod, &job.workload, &contexts, facts)
}

/// The objects of a `steps` stage. Every step but the last is an init container, since those run one after the other; the last is the
/// pod's only other container, so the pod ends as it does.
///
/// # Errors
/// What the Project does not allow, and what the namespace would not admit.
pub fn of_steps(steps: &Steps, facts: &JobFacts<'_>) -> Result<Vec<Manifest>, Vec<Refusal>> {
    let contexts = security::contexts(facts.pod_security, &steps.workload.security, true);
    let mut containers: Vec<Value> = Vec::with_capacity(steps.run.len() + 1);
    let mut volumes = vec![json!({ "name": "workspace", "emptyDir": { "sizeLimit": steps.workspace } })];
    if steps.checks_out(facts.is_teardown) {
        containers.push(json!({
            "name": checkout::CONTAINER,
            "image": facts.tools_image,
            "command": checkout::wait_command(),
            "securityContext": contexts.container,
            // A quota may ask every container for them. A pod counts the most that one of these containers asks for, so they cost nothing.
            "resources": { "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "cpu": "1", "memory": "128Mi" } },
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [mount("workspace", checkout::WORKSPACE), mount("checkout", checkout::STATE)],
        }));
        volumes.push(json!({ "name": "checkout", "emptyDir": { "sizeLimit": "1Mi" } }));
    }
    for step in &steps.run {
        let mut container = container(&step.name, &step.container, facts, &contexts);
        container["volumeMounts"] = json!([mount("workspace", checkout::WORKSPACE)]);
        if step.container.working_dir.is_none() {
            container["workingDir"] = json!(checkout::WORKSPACE);
        }
        containers.push(container);
    }
    let last = containers.pop().into_iter().collect::<Vec<_>>();
    let mut pod = Map::from_iter([("containers".to_owned(), json!(last)), ("volumes".to_owned(), json!(volumes))]);
    if !containers.is_empty() {
        pod.insert("initContainers".to_owned(), json!(containers));
    }
    build(pod, &steps.workload, &contexts, facts)
}

fn mount(volume: &str, path: &str) -> Value {
    json!({ "name": volume, "mountPath": path })
}

fn container(name: &str, told: &Container, facts: &JobFacts<'_>, contexts: &Contexts) -> Value {
    let own = told.env.iter().map(|(name, variable)| match variable {
        Variable::Text(text) => json!({ "name": name, "value": text }),
        Variable::Secret { name: object, key } => json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": object, "key": key } } }),
        Variable::ConfigMap { name: object, key } => {
            json!({ "name": name, "valueFrom": { "configMapKeyRef": { "name": object, "key": key } } })
        }
    });
    let env: Vec<Value> = facts.variables().into_iter().chain(own).collect();
    let sources = told.env_from.iter().map(|source| match source {
        EnvFrom::Secret(name) => json!({ "secretRef": { "name": name } }),
        EnvFrom::ConfigMap(name) => json!({ "configMapRef": { "name": name } }),
    });
    let mut container = json!({
        "name": name,
        "image": told.image,
        "env": env,
        "securityContext": contexts.container,
        "terminationMessagePath": outputs::FILE,
        // What is written there are the outputs; of a container that failed without, the last lines of its log say most.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let mut set = |field: &str, value: Value| container[field] = value;
    if !told.command.is_empty() {
        set("command", json!(told.command));
    }
    if !told.args.is_empty() {
        set("args", json!(told.args));
    }
    if !told.env_from.is_empty() {
        set("envFrom", sources.collect());
    }
    if let Some(folder) = &told.working_dir {
        set("workingDir", json!(folder));
    }
    if let Some(resources) = &told.resources {
        set("resources", resources.clone());
    }
    container
}

fn build(
    mut pod: Map<String, Value>,
    workload: &Workload,
    contexts: &Contexts,
    facts: &JobFacts<'_>,
) -> Result<Vec<Manifest>, Vec<Refusal>> {
    let name = facts.name();
    pod.insert("restartPolicy".to_owned(), json!("Never"));
    pod.insert("enableServiceLinks".to_owned(), json!(false));
    pod.insert("securityContext".to_owned(), contexts.pod.clone());
    pod.insert(
        "serviceAccountName".to_owned(),
        json!(workload.service_account.as_ref().unwrap_or(&name)),
    );
    if workload.service_account.is_none() {
        pod.insert("automountServiceAccountToken".to_owned(), json!(false));
    }
    if !workload.image_pull_secrets.is_empty() {
        let secrets: Vec<Value> = workload.image_pull_secrets.iter().map(|name| json!({ "name": name })).collect();
        pod.insert("imagePullSecrets".to_owned(), json!(secrets));
    }
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": facts.timeout.as_secs().max(1),
            "template": { "metadata": {}, "spec": pod },
        },
    });
    let mut objects = vec![job];
    if workload.service_account.is_none() {
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": name },
            "automountServiceAccountToken": false,
        }));
    }
    let document = |value| Document {
        file: FILE.to_owned(),
        line: facts.line,
        value,
    };
    let admitted = admit(objects.into_iter().map(document).collect(), facts.admission);
    let refused = refused(contexts, facts);
    match admitted {
        Ok(manifests) if refused.is_empty() => Ok(manifests.into_iter().map(|manifest| mark(manifest, facts)).collect()),
        admitted => Err(admitted.err().into_iter().flatten().chain(refused).collect()),
    }
}

/// What the namespace would not admit of the pod.
fn refused(contexts: &Contexts, facts: &JobFacts<'_>) -> Vec<Refusal> {
    let refusal = |(field, reason): (&str, String)| Refusal {
        source_place: Source {
            file: FILE.to_owned(),
            line: facts.line,
        },
        object: format!("stage {}", facts.stage),
        field: format!("securityContext.{field}"),
        reason,
    };
    security::refused(facts.pod_security, contexts).into_iter().map(refusal).collect()
}

/// Adds what no template may write: which stage and run an object belongs to.
fn mark(manifest: Manifest, facts: &JobFacts<'_>) -> Manifest {
    let Manifest { key, body, source, .. } = manifest;
    let mut body = Arc::unwrap_or_clone(body);
    let marks = [(STAGE_LABEL, facts.stage.to_owned()), (RUN_LABEL, facts.run.to_string())];
    for (mark, value) in &marks {
        body["metadata"]["labels"][mark] = json!(value);
        if is_job(&key) {
            body["spec"]["template"]["metadata"]["labels"][mark] = json!(value);
        }
    }
    Manifest::new(key, body, source)
}

fn is_job(key: &ObjectKey) -> bool {
    key.group == "batch" && key.kind == "Job"
}
