//! Who has to look at what: changes of our custom resources and of live objects become triggers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::errands::Errands;
use super::hosts::Hosts;
use super::inbox::Offer;
use super::memory::Memory;
use super::outbox::Bell;
use super::relay;
use super::stores::{Change, Stores};
use super::sync::Sync;
use super::witnesses::Witnesses;
use crate::api::convert;
use crate::api::project::{BranchHead, BundleRevision, RepositoryBundle};
use crate::api::{Environment, GitHost, Project, keys};
use crate::cluster::live::Wake;
use crate::cluster::publish::{Announcement, Publisher};
use crate::domain::event::{DeliveryId, Happening, Hint, RepositoryHint};

/// Sends the leader's work to those who do it.
pub struct Dispatcher {
    /// Our custom resources.
    pub stores: Stores,
    /// Connections to Git hosts.
    pub hosts: Hosts,
    /// Writes the status of GitHosts.
    pub publisher: Publisher,
    /// Sweeps.
    pub sync: Arc<Sync>,
    /// What we wrote last.
    pub memory: Memory,
    /// Tokens of accounts that are being removed.
    pub witnesses: Witnesses,
    /// What is asked of the outside.
    pub errands: Errands,
    /// Who tells others of environments.
    pub bells: Vec<Bell>,
    /// Environments to work on.
    pub triggers: mpsc::Sender<ObjectRef<Environment>>,
}

/// What was last seen of an object, to tell a change that matters from our own status writes.
#[derive(Default)]
struct Seen {
    githosts: HashMap<String, Option<i64>>,
    projects: HashMap<String, ProjectVersion>,
    environments: HashMap<String, EnvironmentVersion>,
}

#[derive(PartialEq, Clone)]
struct ProjectVersion {
    generation: Option<i64>,
    release: Option<String>,
    hint: Option<String>,
    comment: Option<String>,
    /// The head of the default branch, if templates come from there.
    templates: Option<BranchHead>,
}

/// The generation, which namespace somebody asked to take over, and how far its life is extended, which the status shows as a deadline.
type EnvironmentVersion = (Option<i64>, Option<String>, Option<String>);

impl ProjectVersion {
    fn of(project: &Project) -> Self {
        let of_default_branch = |bundle: &RepositoryBundle| bundle.from == BundleRevision::DefaultBranch;
        let reads_default_branch = project.spec.bundle.repository.as_ref().is_some_and(of_default_branch);
        let head = project.status.as_ref().and_then(|status| status.default_branch.clone());
        Self {
            templates: head.filter(|_| reads_default_branch),
            generation: project.metadata.generation,
            release: project.annotations().get(keys::RELEASE_BRAKE_ANNOTATION).cloned(),
            hint: project.annotations().get(keys::HINT_ANNOTATION).cloned(),
            comment: project.annotations().get(keys::COMMENT_HINT_ANNOTATION).cloned(),
        }
    }
}

/// How often the Secrets of GitHosts are read anew, so that a rotated secret is taken up; sooner if sweeps are more frequent.
const SECRETS: Duration = Duration::from_secs(60);
/// So many GitHosts are read anew at the same time.
const CONCURRENT_HOSTS: usize = 8;
/// Whatever hangs keeps no other from its turn for longer.
const PATIENCE: Duration = Duration::from_secs(30);

impl Dispatcher {
    /// Dispatches until the senders are gone.
    pub async fn run(self, mut changes: mpsc::Receiver<Change>, mut woken: mpsc::Receiver<Wake>) {
        let mut seen = Seen::default();
        let mut secrets = tokio::time::interval(SECRETS.min(self.sync.settings.sweep_interval));
        let mut round = None;
        self.catch_up(&mut seen).await;
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Some(change) => self.change(change, &mut seen).await,
                    None => return,
                },
                wake = woken.recv() => match wake {
                    Some((namespace, name)) => self.trigger(&name, &namespace).await,
                    None => return,
                },
                _ = secrets.tick() => self.refresh_hosts(&mut round),
            }
        }
    }

    /// Changes may have been taken while this replica followed: begin with everything. Projects are about to be swept anyway; but what
    /// their annotations hold now is no news.
    async fn catch_up(&self, seen: &mut Seen) {
        let scope = &self.sync.settings.scope;
        for project in self.stores.projects.state() {
            seen.projects
                .insert(project.uid().unwrap_or_default(), ProjectVersion::of(&project));
        }
        let environments = self.stores.environments.state();
        for environment in environments
            .iter()
            .filter(|object| scope.contains(object.metadata.namespace.as_deref()))
        {
            self.environment(environment, seen).await;
        }
    }

    async fn change(&self, change: Change, seen: &mut Seen) {
        match change {
            Change::GitHost(object) => self.githost(*object, seen),
            Change::GitHostGone(object) => self.githost_gone(*object, seen),
            Change::Project(object) => self.project(*object, seen).await,
            Change::ProjectGone(object) => self.project_gone(&object, seen).await,
            Change::Environment(object) => self.environment(&object, seen).await,
            Change::EnvironmentGone(object) => self.environment_gone(&object, seen),
            Change::Unreadable(reference, problem) => self.unreadable(&reference, &problem).await,
        }
    }

    async fn unreadable(&self, reference: &ObjectReference, problem: &str) {
        let announcement = Announcement {
            reason: "Unreadable",
            warning: true,
            note: format!(
                "this object cannot be understood, so it is left alone and nothing of it is removed: {problem}; mend the field, or run the \
                 version of graftling that wrote it"
            ),
        };
        self.publisher.announce(reference, &announcement).await;
    }

    fn githost(&self, object: GitHost, seen: &mut Seen) {
        let uid = object.uid().unwrap_or_default();
        if seen.githosts.insert(uid, object.metadata.generation) == Some(object.metadata.generation) {
            return;
        }
        let (hosts, publisher, sync) = (self.hosts.clone(), self.publisher.clone(), self.sync.clone());
        tokio::spawn(async move {
            hosts.refresh(&object, Some(&publisher)).await;
            sync.sweep_projects_of(&object).await;
        });
    }

    /// Its Projects say at once that nobody can tell any more which branches there are.
    fn githost_gone(&self, object: GitHost, seen: &mut Seen) {
        self.hosts.remove(&object);
        seen.githosts.remove(&object.uid().unwrap_or_default());
        let sync = self.sync.clone();
        tokio::spawn(async move { sync.sweep_projects_of(&object).await });
    }

    /// One round at a time: an API server that answers slowly is not asked for more and more.
    fn refresh_hosts(&self, round: &mut Option<AbortOnDropHandle<()>>) {
        if round.as_ref().is_some_and(|round| !round.is_finished()) {
            return;
        }
        let mut objects = self.stores.githosts.state();
        objects.retain(|object| self.sync.settings.scope.contains(object.metadata.namespace.as_deref()));
        let (hosts, publisher) = (self.hosts.clone(), self.publisher.clone());
        *round = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let refresh = |object: Arc<GitHost>| {
                let (hosts, publisher) = (&hosts, &publisher);
                async move {
                    if tokio::time::timeout(PATIENCE, hosts.refresh(&object, Some(publisher)))
                        .await
                        .is_err()
                    {
                        tracing::warn!(githost = %object.name_any(), "the Secrets of a GitHost could not be read in time; what is known goes on");
                    }
                }
            };
            stream::iter(objects).for_each_concurrent(CONCURRENT_HOSTS, refresh).await;
        })));
    }

    /// A changed Project is looked at at once, and so are all its environments; a relayed hint is taken in.
    async fn project(&self, object: Project, seen: &mut Seen) {
        let version = ProjectVersion::of(&object);
        let uid = object.uid().unwrap_or_default();
        let before = seen.projects.insert(uid, version.clone());
        if let (Some(before), Some(text)) = (&before, &version.hint)
            && before.hint != version.hint
            && let Some(hint) = relay::read(text)
        {
            self.offer(hint);
        }
        if let (Some(before), Some(text)) = (&before, &version.comment)
            && before.comment != version.comment
            && let Some(comment) = relay::read_comment(text)
            && self.sync.inbox.offer_comment(comment) == Offer::Full
        {
            tracing::warn!("too many comments wait; whoever wrote this one has to write it again");
        }
        if before.as_ref().is_some_and(|before| before.templates != version.templates) {
            self.trigger_environments_of(&object).await;
        }
        let same = before.is_some_and(|before| before.generation == version.generation && before.release == version.release);
        if same {
            return;
        }
        self.trigger_environments_of(&object).await;
        let sync = self.sync.clone();
        tokio::spawn(async move { sync.sweep_project(&object).await });
    }

    /// Its environments stay, and have to say why nothing happens to them any more.
    async fn project_gone(&self, object: &Project, seen: &mut Seen) {
        let uid = object.uid().unwrap_or_default();
        seen.projects.remove(&uid);
        self.stores.policies.forget(&uid);
        self.trigger_environments_of(object).await;
    }

    async fn trigger_environments_of(&self, project: &Project) {
        let namespace = project.namespace().unwrap_or_default();
        for environment in self.stores.members.of(&namespace, &project.name_any()) {
            self.bells.iter().for_each(|bell| bell.changed(&environment));
            self.trigger(&environment.name_any(), &namespace).await;
        }
    }

    async fn environment(&self, object: &Environment, seen: &mut Seen) {
        self.memory.caught_up(object);
        self.bells.iter().for_each(|bell| bell.changed(object));
        let uid = object.uid().unwrap_or_default();
        let version = (
            object.metadata.generation,
            object.annotations().get(keys::ADOPT_ANNOTATION).cloned(),
            object.annotations().get(keys::EXTENDED_ANNOTATION).cloned(),
        );
        if seen.environments.insert(uid, version.clone()) != Some(version) {
            self.trigger(&object.name_any(), &object.namespace().unwrap_or_default()).await;
        }
    }

    /// The branch may have come back while its environment was being torn down.
    fn environment_gone(&self, object: &Environment, seen: &mut Seen) {
        let uid = object.uid().unwrap_or_default();
        self.bells.iter().for_each(|bell| bell.gone(object));
        seen.environments.remove(&uid);
        self.memory.release(&uid);
        self.witnesses.release(&uid);
        self.errands.forget(&uid);
        let reference = ObjectRef::new(&object.spec.project_ref.name).within(&object.namespace().unwrap_or_default());
        let project = self.stores.projects.get(&reference);
        let Some(Ok(project)) = project.map(|project| self.stores.policies.of(&project)) else {
            return;
        };
        let Ok(identity) = convert::environment::identity(object) else {
            return;
        };
        self.offer(Hint {
            host: project.host.clone(),
            repository: RepositoryHint {
                id: Some(identity.repository),
                name: project.repository.clone(),
            },
            branch: identity.branch,
            happening: Happening::BranchPushed,
            delivery: DeliveryId::default(),
        });
    }

    fn offer(&self, hint: Hint) {
        if self.sync.inbox.offer(hint) == Offer::Full {
            tracing::warn!("the inbox is full; the next sweep finds what this hint was about");
        }
    }

    /// Live objects are watched over the whole cluster: those of another server's environments are not ours to work on.
    async fn trigger(&self, name: &str, namespace: &str) {
        if !self.sync.settings.scope.contains(Some(namespace)) {
            return;
        }
        // The receiver is gone only while the process ends.
        let _ = self.triggers.send(ObjectRef::new(name).within(namespace)).await;
    }
}
