//! Follows one environment: its status, and the objects that it consists of, as they come, change and go.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt, TryStreamExt};
use graftling::api::environment::{Environment, EnvironmentStatus, Phase};
use graftling::api::keys;
use graftling::domain::name::EnvironmentName;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};

use crate::chart::NAMESPACE;
use crate::screen::{Mark, Screen};
use crate::story::LIMIT;

/// The kinds that are followed: those of guardrails and of the bundle `web`.
const KINDS: [(&str, &str); 12] = [
    ("", "Namespace"),
    ("", "ResourceQuota"),
    ("", "LimitRange"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("", "ServiceAccount"),
    ("", "Secret"),
    ("", "ConfigMap"),
    ("apps", "Deployment"),
    ("", "Service"),
    ("networking.k8s.io", "Ingress"),
];

/// The watches of one environment, and what they have shown so far.
pub struct Follower {
    sightings: SelectAll<BoxStream<'static, watcher::Result<Sighting>>>,
    objects: BTreeMap<String, Version>,
    environment: Option<Environment>,
    told: Told,
}

enum Sighting {
    /// `None`: there is no such environment, or no more.
    Environment(Option<Box<Environment>>),
    Object(String, Option<Version>),
}

/// What differs after a change that matters, and not after an object has merely become ready.
#[derive(PartialEq, Clone)]
struct Version {
    uid: Option<String>,
    generation: Option<i64>,
    applied: Option<String>,
    deleting: bool,
}

/// What was said already.
#[derive(Default)]
struct Told {
    story: Option<(Phase, String)>,
    ready_stages: BTreeSet<String>,
}

impl Follower {
    /// Begins to watch, before there is anything to see.
    pub fn new(client: &Client, name: &EnvironmentName) -> Self {
        let environments: Api<Environment> = Api::namespaced(client.clone(), NAMESPACE);
        let environment = watcher::watch_object(environments, name.as_str())
            .map_ok(|seen| Sighting::Environment(seen.map(Box::new)))
            .boxed();
        let config = watcher::Config::default().labels(&format!("{}={name}", keys::ENVIRONMENT_LABEL));
        let objects = KINDS.iter().map(|(group, kind)| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
            let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client.clone(), &resource);
            watcher::watcher(api, config.clone())
                .try_filter_map(move |event| std::future::ready(Ok(sighting(kind, event))))
                .boxed()
        });
        Self {
            sightings: std::iter::once(environment).chain(objects).collect(),
            objects: BTreeMap::new(),
            environment: None,
            told: Told::default(),
        }
    }

    /// Tells what happens until the environment is ready at `revision`.
    pub async fn until_ready(&mut self, revision: &str, screen: &mut Screen) -> anyhow::Result<EnvironmentStatus> {
        self.tell_until(screen, |_, environment| {
            let status = environment.and_then(|environment| environment.status.clone())?;
            let applied = status.revision.as_ref().and_then(|seen| seen.applied.as_deref());
            (status.phase == Some(Phase::Ready) && applied == Some(revision)).then_some(status)
        })
        .await
    }

    /// Tells what happens until nothing of the environment is left.
    pub async fn until_gone(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        self.tell_until(screen, |objects, environment| (environment.is_none() && objects == 0).then_some(()))
            .await
    }

    async fn tell_until<T>(
        &mut self,
        screen: &mut Screen,
        reached: impl Fn(usize, Option<&Environment>) -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let live = self.live();
            tokio::select! {
                sighting = self.sightings.next() => match sighting {
                    Some(Ok(sighting)) => self.take(sighting, screen)?,
                    // The watch begins anew by itself.
                    Some(Err(_)) => {}
                    None => bail!("the watches ended"),
                },
                () = screen.animate(&live) => {}
                () = tokio::time::sleep_until(deadline) => bail!("nothing more after {} s; the last word was: {live}", LIMIT.as_secs()),
            }
            if let Some(value) = reached(self.objects.len(), self.environment.as_ref()) {
                screen.clear();
                return Ok(value);
            }
        }
    }

    fn live(&self) -> String {
        match self
            .environment
            .as_ref()
            .map(|environment| environment.status.clone().unwrap_or_default())
        {
            None => "waiting for the environment".to_owned(),
            Some(status) => status.message.unwrap_or_else(|| "waiting for its status".to_owned()),
        }
    }

    fn take(&mut self, sighting: Sighting, screen: &mut Screen) -> anyhow::Result<()> {
        match sighting {
            Sighting::Object(title, Some(version)) => self.take_object(title, version, screen),
            Sighting::Object(title, None) => {
                if self.objects.remove(&title).is_some() {
                    screen.line(Mark::Removed, title);
                }
            }
            Sighting::Environment(seen) => {
                let before = std::mem::replace(&mut self.environment, seen.map(|environment| *environment));
                self.tell_environment(before.as_ref(), screen)?;
            }
        }
        Ok(())
    }

    fn take_object(&mut self, title: String, version: Version, screen: &mut Screen) {
        match self.objects.insert(title.clone(), version.clone()) {
            None => screen.line(Mark::Added, title),
            Some(before) if before == version => {}
            Some(before) if version.deleting && !before.deleting => screen.line(Mark::Step, format!("{title} is being deleted")),
            Some(_) if version.deleting => {}
            Some(_) => screen.line(Mark::Changed, title),
        }
    }

    fn tell_environment(&mut self, before: Option<&Environment>, screen: &mut Screen) -> anyhow::Result<()> {
        let Some(environment) = &self.environment else {
            if before.is_some() {
                screen.line(Mark::Removed, "Environment: the finalizer is off, the object is gone");
            }
            return Ok(());
        };
        if before.is_none() {
            screen.line(Mark::Added, format!("Environment {}", environment.name_any()));
        }
        let status = environment.status.clone().unwrap_or_default();
        let (Some(phase), message) = (status.phase, status.message.unwrap_or_default()) else {
            return Ok(());
        };
        let story = Some((phase, message.clone()));
        if self.told.story != story {
            self.told.story = story;
            let mark = if phase == Phase::Ready { Mark::Done } else { Mark::Step };
            screen.line(mark, format!("{phase:?}: {message}"));
        }
        if matches!(phase, Phase::Failed | Phase::Blocked) {
            bail!("the environment is {phase:?}: {message}");
        }
        for stage in status
            .stages
            .iter()
            .filter(|stage| stage.state == "Ready" && phase == Phase::Deploying)
        {
            if self.told.ready_stages.insert(stage.name.clone()) {
                screen.line(Mark::Done, format!("stage {}", stage.name));
            }
        }
        Ok(())
    }
}

fn sighting(kind: &str, event: Event<PartialObjectMeta<DynamicObject>>) -> Option<Sighting> {
    let (object, version) = match event {
        Event::Apply(object) | Event::InitApply(object) => {
            let version = Version::of(&object);
            (object, Some(version))
        }
        Event::Delete(object) => (object, None),
        Event::Init | Event::InitDone => return None,
    };
    Some(Sighting::Object(format!("{kind} {}", object.name_any()), version))
}

impl Version {
    fn of(object: &PartialObjectMeta<DynamicObject>) -> Self {
        let metadata = &object.metadata;
        let ours = metadata
            .managed_fields
            .iter()
            .flatten()
            .find(|entry| entry.manager.as_deref() == Some(keys::FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply"));
        Self {
            uid: metadata.uid.clone(),
            generation: metadata.generation,
            applied: ours.and_then(|entry| entry.time.as_ref()).map(|time| time.0.to_string()),
            deleting: metadata.deletion_timestamp.is_some(),
        }
    }
}
