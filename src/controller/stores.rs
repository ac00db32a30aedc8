//! Our own custom resources, kept by watches, and what happened to them.

mod policies;
mod understood;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, reflector::store};
use kube::{Api, Client};
use tokio::sync::mpsc;

pub use self::policies::Policies;
use self::understood::{Understood, Unreadable};
use super::settings::{Scope, Settings};
use crate::api::{Environment, GitHost, Project};
use crate::cluster::error::chain;
use crate::cluster::relist::relisting;
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
    /// What the Projects say.
    pub policies: Policies,
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
pub fn start(client: &Client, settings: &Settings, changes: &mpsc::Sender<Change>) -> Stores {
    let of = Watched {
        client: client.clone(),
        scope: settings.scope.clone(),
        resync: settings.resync,
        changes: changes.clone(),
    };
    Stores {
        githosts: of.follow(Change::GitHost, Change::GitHostGone),
        projects: of.follow(Change::Project, Change::ProjectGone),
        environments: of.follow(Change::Environment, Change::EnvironmentGone),
        policies: Policies::default(),
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
        projects.retain(|project| {
            let is_primary = is_of_host(project, host) && is_of_repository(project, repository);
            is_primary || is_mirrored(project, host, repository)
        });
        projects
    }
}

/// Whether a host has a mirror of that name. Its identifier there is not known: after a renaming, the Project has to name it anew.
fn is_mirrored(project: &Project, host: &GitHostKey, repository: &RepositoryHint) -> bool {
    let is_here = project.metadata.namespace.as_deref() == Some(host.namespace.as_str());
    is_here
        && project.spec.mirrors.iter().any(|mirror| {
            mirror.git_host_ref.name == host.name.as_str() && repository.name.as_str().eq_ignore_ascii_case(&mirror.repository)
        })
}

fn is_of_host(project: &Project, host: &GitHostKey) -> bool {
    project.spec.git_host_ref.name == host.name.as_str() && project.metadata.namespace.as_deref() == Some(host.namespace.as_str())
}

fn is_of_repository(project: &Project, repository: &RepositoryHint) -> bool {
    let known = project.status.as_ref().and_then(|status| status.repository_id.as_deref());
    let same_id = repository.id.as_ref().is_some_and(|id| Some(id.as_str()) == known);
    same_id || repository.name.as_str().eq_ignore_ascii_case(&project.spec.repository)
}

/// What all our watches have.
struct Watched {
    client: Client,
    scope: Scope,
    resync: Duration,
    changes: mpsc::Sender<Change>,
}

impl Watched {
    /// Begins to watch a kind, and hands on what happens to it.
    fn follow<K>(
        &self,
        applied: impl Fn(Box<K>) -> Change + Send + 'static,
        deleted: impl Fn(Box<K>) -> Change + Send + 'static,
    ) -> Store<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
    {
        let (kept, writer) = store();
        let hidden = Hidden::default();
        let events = self.watch(writer, hidden.clone());
        let follower = Follower {
            scope: self.scope.clone(),
            changes: self.changes.clone(),
            kept: kept.clone(),
            hidden,
        };
        tokio::spawn(follower.follow(events, applied, deleted));
        kept
    }

    /// What cannot be understood is left out and told: one such object must not hide all others. It only comes around the schema, or with
    /// definitions of another version.
    fn watch<K>(&self, writer: reflector::store::Writer<K>, hidden: Hidden) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
    {
        let (scope, changes) = (self.scope.clone(), self.changes.clone());
        let api = Api::<Understood<K>>::all(self.client.clone());
        relisting(api, watcher::Config::default(), self.resync)
            .filter_map(move |event| {
                let read = event.map(understand).transpose();
                let (scope, changes, hidden) = (scope.clone(), changes.clone(), hidden.clone());
                async move {
                    match read {
                        Some(Ok(Err(unreadable))) => {
                            hidden.insert(unreadable.metadata.uid.clone());
                            if scope.contains(unreadable.metadata.namespace.as_deref()) {
                                tell::<K>(unreadable, &changes).await;
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
}

/// The UIDs of objects that were there and could not be understood: no listing shows them, and yet they are not gone.
#[derive(Clone, Default)]
struct Hidden(Arc<Mutex<HashSet<String>>>);

impl Hidden {
    fn insert(&self, uid: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(uid);
    }

    fn contains(&self, uid: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(uid)
    }
}

/// Who wrote when is asked for, which fields never: there is no reason to hold them in memory for each object.
pub(super) fn leave_out_fields<K: kube::Resource>(object: &mut K) {
    for entry in object.meta_mut().managed_fields.iter_mut().flatten() {
        entry.fields_v1 = None;
    }
}

/// The event with its object, the object that cannot be understood, or nothing.
fn understand<K>(event: Event<Understood<K>>) -> Option<Result<Event<K>, Unreadable>> {
    let (object, remake): (_, fn(K) -> Event<K>) = match event {
        Event::Init => return Some(Ok(Event::Init)),
        Event::InitDone => return Some(Ok(Event::InitDone)),
        Event::Apply(object) => (object, Event::Apply),
        Event::InitApply(object) => (object, Event::InitApply),
        // It is over, so nothing needs to be said.
        Event::Delete(Understood(Err(_))) => return None,
        Event::Delete(object) => (object, Event::Delete),
    };
    Some(object.0.map(remake))
}

async fn tell<K: kube::Resource<DynamicType = ()>>(unreadable: Unreadable, changes: &mpsc::Sender<Change>) {
    let Unreadable { metadata, problem } = unreadable;
    tracing::error!(kind = %K::kind(&()), name = metadata.name.as_deref(), error = %problem, "this object cannot be understood; it is left alone");
    let reference = ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        ..ObjectReference::default()
    };
    // The receiver is gone only while the process ends.
    let _ = changes.send(Change::Unreadable(Box::new(reference), problem)).await;
}

/// Hands on what happened to the objects of one kind.
struct Follower<K: kube::Resource<DynamicType = ()> + 'static> {
    scope: Scope,
    changes: mpsc::Sender<Change>,
    kept: Store<K>,
    hidden: Hidden,
}

impl<K: kube::Resource<DynamicType = ()> + Clone + 'static> Follower<K> {
    /// Hands on what happened. What a listing holds is handed on when it is complete: only then does the store hold it, and a pass that began
    /// before would work on what was there before, and nothing would call for another. What was there before a listing and is not in it has
    /// ended unseen, and is handed on as any end.
    async fn follow(
        self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
        applied: impl Fn(Box<K>) -> Change,
        deleted: impl Fn(Box<K>) -> Change,
    ) {
        let mut events = std::pin::pin!(events);
        let mut before = Vec::new();
        let mut listed = Vec::new();
        let mut shown = HashSet::new();
        while let Some(event) = events.next().await {
            let news = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    shown.clear();
                    // Until the listing is complete, the store holds what was before.
                    before = self.kept.state();
                    Vec::new()
                }
                Ok(Event::InitApply(object)) => {
                    shown.extend(object.meta().uid.clone());
                    if self.is_ours(&object) {
                        listed.push(applied(Box::new(object)));
                    }
                    Vec::new()
                }
                Ok(Event::InitDone) => {
                    let gone = std::mem::take(&mut before)
                        .into_iter()
                        .filter(|object| self.is_gone(object, &shown));
                    let gone = gone.map(|object| deleted(Box::new(K::clone(&object))));
                    gone.chain(std::mem::take(&mut listed)).collect()
                }
                Ok(Event::Apply(object)) if self.is_ours(&object) => vec![applied(Box::new(object))],
                Ok(Event::Delete(object)) if self.is_ours(&object) => vec![deleted(Box::new(object))],
                Ok(_) => Vec::new(),
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), error = %chain(&error), "watch interrupted");
                    Vec::new()
                }
            };
            for change in news {
                if self.changes.send(change).await.is_err() {
                    return;
                }
            }
        }
    }

    fn is_ours(&self, object: &K) -> bool {
        self.scope.contains(object.meta().namespace.as_deref())
    }

    fn is_gone(&self, object: &K, shown: &HashSet<String>) -> bool {
        let uid = object.meta().uid.as_deref().unwrap_or_default();
        self.is_ours(object) && !shown.contains(uid) && !self.hidden.contains(uid)
    }
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
        serde_json::from_value(json!({ "metadata": { "name": name, "namespace": "n", "uid": name }, "spec": spec })).unwrap()
    }

    /// The names that are told of these events, with a minus before those that are told to be gone.
    async fn told(events: Vec<Event<Project>>) -> Vec<String> {
        let (sender, mut receiver) = mpsc::channel(16);
        let (kept, writer) = store();
        let events = stream::iter(events.into_iter().map(Ok)).reflect(writer);
        let follower = Follower {
            scope: Scope::default(),
            changes: sender,
            kept,
            hidden: Hidden::default(),
        };
        follower.follow(events, Change::Project, Change::ProjectGone).await;
        let mut names = Vec::new();
        while let Some(change) = receiver.recv().await {
            match change {
                Change::Project(object) => names.push(object.metadata.name.unwrap()),
                Change::ProjectGone(object) => names.push(format!("-{}", object.metadata.name.unwrap())),
                _ => {}
            }
        }
        names
    }

    #[tokio::test]
    async fn f18_what_a_new_listing_does_not_hold_any_more_is_told_to_be_gone() {
        let apply = |name: &str| Event::InitApply(project(name));
        let listing = vec![Event::Init, apply("a"), apply("b"), Event::InitDone];
        let broken_off = vec![Event::Init, Event::Init];
        let again = vec![apply("b"), apply("c"), Event::InitDone];
        let all = [listing, broken_off, again].concat();
        assert_eq!(told(all).await, ["a", "b", "-a", "b", "c"]);
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
