//! Our own custom resources, kept by watches, and what happened to them.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector::store};
use kube::{Api, Client};
use tokio::sync::mpsc;

use super::settings::Scope;
use crate::api::{Environment, GitHost, Project};
use crate::cluster::backoff::WatchBackoff;
use crate::cluster::error::chain;
use crate::domain::event::RepositoryHint;
use crate::domain::name::GitHostKey;

/// What the watches know.
#[derive(Clone)]
pub struct Stores {
    /// All GitHosts.
    pub githosts: Store<GitHost>,
    /// All Projects.
    pub projects: Store<Project>,
    /// All Environments.
    pub environments: Store<Environment>,
}

/// Something happened to one of our custom resources.
#[derive(Debug, Clone)]
pub enum Change {
    /// A GitHost is new or different.
    GitHost(Box<GitHost>),
    /// A GitHost is gone.
    GitHostGone(Box<GitHost>),
    /// A Project is new or different.
    Project(Box<Project>),
    /// A Project is gone.
    ProjectGone(Box<Project>),
    /// An Environment is new or different.
    Environment(Box<Environment>),
    /// An Environment is gone.
    EnvironmentGone(Box<Environment>),
    /// One of them cannot be understood: which, and why.
    Unreadable(Box<ObjectReference>, String),
}

/// Starts the watches. The tasks end when the receiver of `changes` is dropped.
pub fn start(client: &Client, scope: &Scope, changes: &mpsc::Sender<Change>) -> Stores {
    let (githosts, writer) = store();
    tokio::spawn(follow(
        watch::<GitHost>(client, writer, scope, changes),
        scope.clone(),
        changes.clone(),
        |object| Some(Change::GitHost(object)),
        |object| Some(Change::GitHostGone(object)),
    ));
    let (projects, writer) = store();
    tokio::spawn(follow(
        watch::<Project>(client, writer, scope, changes),
        scope.clone(),
        changes.clone(),
        |object| Some(Change::Project(object)),
        |object| Some(Change::ProjectGone(object)),
    ));
    let (environments, writer) = store();
    tokio::spawn(follow(
        watch::<Environment>(client, writer, scope, changes),
        scope.clone(),
        changes.clone(),
        |object| Some(Change::Environment(object)),
        |object| Some(Change::EnvironmentGone(object)),
    ));
    Stores {
        githosts,
        projects,
        environments,
    }
}

impl Stores {
    /// Waits until every watch has listed once.
    pub async fn ready(&self) {
        // A store whose writer is gone never becomes ready; that happens only while the process ends.
        let _ = futures::join!(
            self.githosts.wait_until_ready(),
            self.projects.wait_until_ready(),
            self.environments.wait_until_ready()
        );
    }

    /// The Projects that a hint about a repository concerns: by the host's identifier of it, which survives a renaming, or by its name.
    ///
    /// Cheap, whatever Projects there are: nothing of them is converted.
    pub fn projects_of(&self, host: &GitHostKey, repository: &RepositoryHint) -> Vec<Arc<Project>> {
        let mut projects = self.projects.state();
        projects.retain(|project| is_of_host(project, host) && is_of_repository(project, repository));
        projects
    }
}

fn is_of_host(project: &Project, host: &GitHostKey) -> bool {
    project.spec.git_host_ref.name == host.name.as_str() && project.metadata.namespace.as_deref() == Some(host.namespace.as_str())
}

fn is_of_repository(project: &Project, repository: &RepositoryHint) -> bool {
    let known = project.status.as_ref().and_then(|status| status.repository_id.as_deref());
    let same_id = repository.id.as_ref().is_some_and(|id| Some(id.as_str()) == known);
    same_id || repository.name.as_str().eq_ignore_ascii_case(&project.spec.repository)
}

/// What cannot be understood is left out and told: one such object must not hide all others. It only comes around the schema, or with
/// definitions of another version.
fn watch<K>(
    client: &Client,
    writer: reflector::store::Writer<K>,
    scope: &Scope,
    changes: &mpsc::Sender<Change>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let (scope, changes) = (scope.clone(), changes.clone());
    watcher(Api::<DeserializeGuard<K>>::all(client.clone()), watcher::Config::default())
        .backoff(WatchBackoff::default())
        .filter_map(move |event| {
            let read = event.map(understand).transpose();
            let (scope, changes) = (scope.clone(), changes.clone());
            async move {
                match read {
                    Some(Ok(Err(invalid))) => {
                        if scope.contains(invalid.metadata.namespace.as_deref()) {
                            tell::<K>(invalid, &changes).await;
                        }
                        None
                    }
                    Some(Ok(Ok(event))) => Some(Ok(event)),
                    Some(Err(error)) => Some(Err(error)),
                    None => None,
                }
            }
        })
        .modify(leave_out_fields)
        .reflect(writer)
}

/// Who wrote when is asked for, which fields never: there is no reason to hold them in memory for each object.
pub(super) fn leave_out_fields<K: kube::Resource>(object: &mut K) {
    for entry in object.meta_mut().managed_fields.iter_mut().flatten() {
        entry.fields_v1 = None;
    }
}

/// The event with its object, the object that cannot be understood, or nothing.
fn understand<K>(event: Event<DeserializeGuard<K>>) -> Option<Result<Event<K>, InvalidObject>> {
    let (object, remake): (_, fn(K) -> Event<K>) = match event {
        Event::Init => return Some(Ok(Event::Init)),
        Event::InitDone => return Some(Ok(Event::InitDone)),
        Event::Apply(object) => (object, Event::Apply),
        Event::InitApply(object) => (object, Event::InitApply),
        // It is over, so nothing needs to be said.
        Event::Delete(DeserializeGuard(Err(_))) => return None,
        Event::Delete(object) => (object, Event::Delete),
    };
    Some(object.0.map(remake))
}

async fn tell<K: kube::Resource<DynamicType = ()>>(invalid: InvalidObject, changes: &mpsc::Sender<Change>) {
    let metadata = invalid.metadata;
    tracing::error!(kind = %K::kind(&()), name = metadata.name.as_deref(), error = %invalid.error, "this object cannot be understood; it is left alone");
    let reference = ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        ..ObjectReference::default()
    };
    // The receiver is gone only while the process ends.
    let _ = changes.send(Change::Unreadable(Box::new(reference), invalid.error)).await;
}

/// Hands on what happened. What a listing holds is handed on when it is complete: only then does the store hold it, and a pass that began
/// before would work on what was there before, and nothing would call for another.
async fn follow<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    scope: Scope,
    changes: mpsc::Sender<Change>,
    applied: impl Fn(Box<K>) -> Option<Change>,
    deleted: impl Fn(Box<K>) -> Option<Change>,
) where
    K: kube::Resource<DynamicType = ()>,
{
    let mut events = std::pin::pin!(events);
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        let news = match event {
            Ok(Event::Init) => {
                listed.clear();
                Vec::new()
            }
            Ok(Event::InitApply(object)) if in_scope(&scope, &object) => {
                listed.extend(applied(Box::new(object)));
                Vec::new()
            }
            Ok(Event::InitDone) => std::mem::take(&mut listed),
            Ok(Event::Apply(object)) if in_scope(&scope, &object) => Vec::from_iter(applied(Box::new(object))),
            Ok(Event::Delete(object)) if in_scope(&scope, &object) => Vec::from_iter(deleted(Box::new(object))),
            Ok(_) => Vec::new(),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), error = %chain(&error), "watch interrupted");
                Vec::new()
            }
        };
        for change in news {
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}

fn in_scope<K: kube::Resource>(scope: &Scope, object: &K) -> bool {
    scope.contains(object.meta().namespace.as_deref())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use futures::stream;
    use serde_json::json;

    use super::*;

    fn project(name: &str) -> Project {
        let host = json!({ "name": "git" });
        let spec = json!({ "repository": "shop", "gitHostRef": host, "bundle": { "name": "web" }, "domain": "example.com" });
        serde_json::from_value(json!({ "metadata": { "name": name, "namespace": "n" }, "spec": spec })).unwrap()
    }

    /// The names that are told of these events.
    async fn told(events: Vec<Event<Project>>) -> Vec<String> {
        let (sender, mut receiver) = mpsc::channel(16);
        let events = stream::iter(events.into_iter().map(Ok));
        let gone = |object| Some(Change::ProjectGone(object));
        follow(events, Scope::default(), sender, |object| Some(Change::Project(object)), gone).await;
        let mut names = Vec::new();
        while let Some(change) = receiver.recv().await {
            if let Change::Project(object) | Change::ProjectGone(object) = change {
                names.push(object.metadata.name.unwrap());
            }
        }
        names
    }

    #[tokio::test]
    async fn f14_what_a_listing_holds_is_told_once_the_store_holds_it() {
        let apply = |name: &str| Event::InitApply(project(name));
        assert!(
            told(vec![Event::Init, apply("a"), apply("b")]).await.is_empty(),
            "a pass would see what was before"
        );
        assert_eq!(told(vec![Event::Init, apply("a"), apply("b"), Event::InitDone]).await, ["a", "b"]);
        let broken_off = vec![
            Event::Init,
            apply("a"),
            Event::Init,
            apply("b"),
            Event::InitDone,
            Event::Apply(project("c")),
        ];
        assert_eq!(told(broken_off).await, ["b", "c"]);
    }
}
