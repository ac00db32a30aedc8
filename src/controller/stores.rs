//! Our own custom resources, kept by watches, and what happened to them.

mod kept;
mod members;
mod policies;
mod understood;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{Store, store};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::sync::mpsc;

use self::kept::{Beside, Kept, News};
pub use self::members::{Member, Members, existing_of};
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
    /// The same by their Projects.
    pub members: Members,
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
    let members = Members::default();
    Stores {
        githosts: of.follow((), Change::GitHost, Change::GitHostGone),
        projects: of.follow((), Change::Project, Change::ProjectGone),
        environments: of.follow(members.clone(), Change::Environment, Change::EnvironmentGone),
        members,
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
    fn follow<K, B>(
        &self,
        beside: B,
        applied: impl Fn(Box<K>) -> Change + Send + 'static,
        deleted: impl Fn(Box<K>) -> Change + Send + 'static,
    ) -> Store<K>
    where
        K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + Sync + 'static,
        B: Beside<K> + 'static,
    {
        let (store, writer) = store();
        let hidden = Hidden::default();
        let events = self.watch(hidden.clone());
        let follower = Follower {
            scope: self.scope.clone(),
            changes: self.changes.clone(),
            kept: Kept::new(writer, beside, hidden),
        };
        tokio::spawn(follower.follow(events, applied, deleted));
        store
    }

    /// What cannot be understood is left out and told: one such object must not hide all others. It only comes around the schema, or with
    /// definitions of another version.
    fn watch<K>(&self, hidden: Hidden) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
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
struct Follower<K: kube::Resource<DynamicType = ()> + Clone + 'static, B> {
    scope: Scope,
    changes: mpsc::Sender<Change>,
    kept: Kept<K, B>,
}

impl<K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + 'static, B: Beside<K>> Follower<K, B> {
    /// Hands on what happened, once the store holds it: a pass that began before would work on what was there before, and nothing would
    /// call for another.
    async fn follow(
        mut self,
        events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
        applied: impl Fn(Box<K>) -> Change,
        deleted: impl Fn(Box<K>) -> Change,
    ) {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    tracing::warn!(kind = %K::kind(&()), error = %chain(&error), "watch interrupted");
                    continue;
                }
            };
            for news in self.kept.take(event) {
                let change = match news {
                    News::Now(object) if self.is_ours(&object) => applied(Box::new(Arc::unwrap_or_clone(object))),
                    News::Gone(object) if self.is_ours(&object) => deleted(Box::new(Arc::unwrap_or_clone(object))),
                    News::Now(_) | News::Gone(_) => continue,
                };
                if self.changes.send(change).await.is_err() {
                    return;
                }
            }
        }
    }

    fn is_ours(&self, object: &K) -> bool {
        self.scope.contains(object.meta().namespace.as_deref())
    }
}

#[cfg(test)]
mod tests;
