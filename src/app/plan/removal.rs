//! What a deletion of an environment would do, as far as its caller may see.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use kube::Client;
use serde_json::Value;

use super::{Error, observer, read};
use crate::api::{Environment, convert};
use crate::app::access::Access;
use crate::cluster::observe::Observer;
use crate::domain::inventory::{Entry, Inventory, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::observed::LiveObject;
use crate::domain::outcome::FailureClass;
use crate::domain::plan::teardown::{TeardownPlan, View, preview};
use crate::domain::readiness::Readiness;
use crate::domain::residue::{self, Found};
use crate::domain::retention::Retention;

/// A teardown that has not begun.
#[derive(Debug)]
pub struct Removal {
    /// The stages that are carried out before the first step.
    pub stages: Vec<String>,
    /// The steps in their order; a step that blocks is followed by what happens once it is settled.
    pub steps: Vec<TeardownPlan>,
    /// Guardrails that are there, with their UIDs: they go with the namespace, or stay with it.
    pub guardrails: Vec<(ObjectKey, String)>,
    /// What goes with its owners, counted by kind.
    pub descendants: BTreeMap<String, usize>,
    /// What the namespace holds of others.
    pub foreign: Vec<ObjectKey>,
    /// Volumes that outlive their claims.
    pub volumes: Vec<Volume>,
    /// Kinds and objects that the caller may not see: what is said of them is what the Environment has recorded.
    pub unseen: Vec<String>,
}

/// A volume that its reclaim policy keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The claim in the environment's namespace.
    pub claim: String,
    /// The volume.
    pub name: String,
}

/// So many objects are read at the same time.
const FAN_OUT: usize = 16;

/// Looks at everything that a deletion of `environment` would concern.
///
/// # Errors
/// A read failed for another reason than a missing right. Nothing is written in any case.
pub async fn removal(access: &Access, environment: &Environment) -> Result<Removal, Error> {
    let (identity, inventory) = read(environment)?;
    let (name, namespace) = (&identity.name, identity.name.namespace());
    let project = access.project(&identity.project.namespace, &identity.project.name).await;
    let rules = project
        .map_err(Error::Access)?
        .as_ref()
        .map(convert::project::teardown_rules)
        .unwrap_or_default();
    let observer = observer(access)?;
    let client = observer.connection.controller();
    let contents = observer.contents(std::slice::from_ref(&client), &namespace).await;
    let contents = contents.map_err(Error::Observe)?;
    let mut unseen = contents.unseen;
    let mut view = View {
        foreign: Some(residue::foreign(&inventory, &contents.found)),
        retained: residue::retained(&contents.found),
        ..View::default()
    };
    for (key, entry, live) in look(&observer, &client, &inventory).await {
        let live = match live {
            Err(error) if error.class() == FailureClass::UnknownKind => None,
            Err(error) if error.class() == FailureClass::Forbidden => {
                unseen.push(key.to_string());
                supposed(&key, &entry, name.as_str())
            }
            live => live.map_err(Error::Observe)?,
        };
        view.observed.extend(live.map(|live| (key, live)));
    }
    let foreign = view.foreign.clone().unwrap_or_default();
    match observer.pods(&namespace).await {
        // Pods of ours go with their owners.
        Ok(pods) => view.pods = pods.into_iter().filter(|pod| is_pod_of(&foreign, &pod.name)).collect(),
        Err(error) => unseen.push(format!("who uses the accounts ({})", error.chain())),
    }
    match observer.references_as(&client, &namespace).await {
        Ok(references) => view.references = Some(references),
        Err(error) => unseen.push(format!("what else counts on the accounts ({})", error.chain())),
    }
    let stages = access.teardown_stages(environment).await.map_err(Error::Access)?;
    let stages = stages.unwrap_or_else(|why| {
        unseen.push(format!("teardown stages ({why})"));
        Vec::new()
    });
    let volumes = volumes(&observer, &client, &contents.found, &mut unseen).await;
    let fences = inventory.present().filter(|(_, entry)| entry.stage == Stage::Guardrails);
    let guardrails = fences.filter_map(|(key, _)| Some((key.clone(), view.observed.get(key)?.uid.clone())));
    Ok(Removal {
        stages,
        guardrails: guardrails.collect(),
        steps: preview(name, &inventory, &view, &rules),
        descendants: crate::domain::plan::teardown::descendants(&inventory, &contents.found),
        foreign,
        volumes,
        unseen,
    })
}

type Looked = (ObjectKey, Entry, Result<Option<LiveObject>, crate::cluster::Error>);

async fn look(observer: &Observer, client: &Client, inventory: &Inventory) -> Vec<Looked> {
    let looks: Vec<_> = inventory
        .present()
        .map(|(key, entry)| {
            let (key, entry) = (key.clone(), entry.clone());
            async move {
                let live = observer.read(client.clone(), &key).await;
                (key, entry, live)
            }
        })
        .collect();
    stream::iter(looks).buffer_unordered(FAN_OUT).collect().await
}

/// An object as the inventory has it, where the caller may not see how it is.
fn supposed(key: &ObjectKey, entry: &Entry, environment: &str) -> Option<LiveObject> {
    Some(LiveObject {
        key: key.clone(),
        uid: entry.uid.clone()?,
        version: 0,
        deletion: None,
        environment: Some(environment.to_owned()),
        environment_uid: None,
        ownership: entry.ownership.clone(),
        co_appliers: Vec::new(),
        secret: None,
        readiness: Readiness::Ready,
        owners: Vec::new(),
        shares: BTreeMap::new(),
        shared_content: None,
        retention: Retention::default(),
    })
}

fn is_pod_of(foreign: &[ObjectKey], name: &str) -> bool {
    foreign
        .iter()
        .any(|key| key.group.is_empty() && key.kind == "Pod" && key.name == name)
}

async fn volumes(observer: &Observer, client: &Client, found: &[Found], unseen: &mut Vec<String>) -> Vec<Volume> {
    let claims = found
        .iter()
        .filter(|object| object.key.group.is_empty() && object.key.kind == "PersistentVolumeClaim");
    let mut volumes = Vec::new();
    for claim in claims {
        match volume(observer, client, &claim.key).await {
            Ok(volume) => volumes.extend(volume),
            Err(error) => unseen.push(format!("what becomes of the volume of {} ({})", claim.key, error.chain())),
        }
    }
    volumes
}

async fn volume(observer: &Observer, client: &Client, claim: &ObjectKey) -> Result<Option<Volume>, crate::cluster::Error> {
    let bound = observer.read_whole(client.clone(), claim).await?;
    let name = bound.as_ref().and_then(|claim| claim.pointer("/spec/volumeName")?.as_str());
    let Some(name) = name else { return Ok(None) };
    let key = ObjectKey {
        kind: "PersistentVolume".to_owned(),
        namespace: None,
        name: name.to_owned(),
        ..claim.clone()
    };
    let volume = observer.read_whole(client.clone(), &key).await?;
    let policy = volume
        .as_ref()
        .and_then(|volume| volume.pointer("/spec/persistentVolumeReclaimPolicy"));
    Ok((policy.and_then(Value::as_str) == Some("Retain")).then(|| Volume {
        claim: claim.name.clone(),
        name: key.name,
    }))
}
