//! The Environments of each Project. A delivery is about one branch of one Project, so nobody goes through all Environments of the cluster
//! for it, and none is converted again that has not changed.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use super::kept::Beside;
use crate::api::{Environment, convert};
use crate::domain::roster::Existing;

/// An Environment of a Project.
#[derive(Debug)]
pub struct Member {
    environment: Arc<Environment>,
    existing: OnceLock<Option<Arc<Existing>>>,
}

impl Member {
    /// A version of an Environment.
    pub fn new(environment: Arc<Environment>) -> Self {
        Self {
            environment,
            existing: OnceLock::new(),
        }
    }

    /// What the rule needs of it, converted once for this version; `None` if it cannot be read.
    pub fn existing(&self) -> Option<&Arc<Existing>> {
        let read = || convert::environment::existing(&self.environment).ok().map(Arc::new);
        self.existing.get_or_init(read).as_ref()
    }
}

/// What the rule needs of several. Those that cannot be read are left out.
pub fn existing_of(members: &[Arc<Member>]) -> Vec<Arc<Existing>> {
    members.iter().filter_map(|member| member.existing().cloned()).collect()
}

impl Deref for Member {
    type Target = Environment;

    fn deref(&self) -> &Environment {
        &self.environment
    }
}

/// By name.
type OfProject = BTreeMap<String, Arc<Member>>;
/// By namespace, then by the name of the Project.
type All = HashMap<String, HashMap<String, OfProject>>;

/// The Environments by Project. Cheap to clone.
///
/// # Guarantees
/// They are those of the store of Environments, in the same versions, whenever that is ready.
#[derive(Debug, Clone, Default)]
pub struct Members(Arc<RwLock<All>>);

impl Members {
    /// The Environments of a Project, by their names.
    pub fn of(&self, namespace: &str, project: &str) -> Vec<Arc<Member>> {
        let all = self.read();
        let members = project_of(&all, namespace, project).into_iter();
        members.flat_map(|members| members.values().cloned()).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, All> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut All) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Beside<Environment> for Members {
    /// Whoever asks meanwhile waits until all are there.
    fn fill(&mut self, complete: impl FnOnce() -> Vec<Arc<Environment>>) -> Vec<Arc<Environment>> {
        self.change(|all| {
            let environments = complete();
            for environment in &environments {
                put(all, environment.clone());
            }
            environments
        })
    }

    fn replace(&mut self, before: Option<&Environment>, now: Option<Arc<Environment>>) {
        self.change(|all| {
            if let Some(before) = before {
                remove(all, before);
            }
            if let Some(now) = now {
                put(all, now);
            }
        });
    }
}

fn project_of<'a>(all: &'a All, namespace: &str, project: &str) -> Option<&'a OfProject> {
    all.get(namespace)?.get(project)
}

/// Its namespace, its Project and its name.
fn place(environment: &Environment) -> (&str, &str, &str) {
    let metadata = &environment.metadata;
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        &environment.spec.project_ref.name,
        metadata.name.as_deref().unwrap_or_default(),
    )
}

fn put(all: &mut All, environment: Arc<Environment>) {
    let (namespace, project, name) = place(&environment);
    let of_namespace = all.entry(namespace.to_owned()).or_default();
    let of_project = of_namespace.entry(project.to_owned()).or_default();
    of_project.insert(name.to_owned(), Arc::new(Member::new(environment)));
}

/// Nothing stays of a Project without Environments.
fn remove(all: &mut All, environment: &Environment) {
    let (namespace, project, name) = place(environment);
    let Some(of_namespace) = all.get_mut(namespace) else { return };
    let Some(of_project) = of_namespace.get_mut(project) else { return };
    of_project.remove(name);
    if of_project.is_empty() {
        of_namespace.remove(project);
    }
    if of_namespace.is_empty() {
        all.remove(namespace);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn environment(project: &str, name: &str, revision: char) -> Arc<Environment> {
        let revision = revision.to_string().repeat(40);
        let spec = json!({ "projectRef": { "name": project }, "branch": name, "repositoryId": "1", "revision": revision });
        let name = format!("{project}-{name}-aaaaaaaaaa");
        let metadata = json!({ "name": name, "namespace": "team", "uid": name, "resourceVersion": "1" });
        Arc::new(serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap())
    }

    /// The branches of a Project with the first digit of their revisions.
    fn branches(members: &Members, project: &str) -> Vec<String> {
        let told = |member: &Arc<Member>| format!("{}{}", member.spec.branch, &member.spec.revision[..1]);
        members.of("team", project).iter().map(told).collect()
    }

    #[test]
    fn each_project_has_its_own() {
        let mut members = Members::default();
        let listed = || {
            vec![
                environment("shop", "b", '1'),
                environment("till", "c", '1'),
                environment("shop", "a", '1'),
            ]
        };
        assert_eq!(members.fill(listed).len(), 3);
        assert_eq!(
            (branches(&members, "shop"), branches(&members, "till")),
            (vec!["a1".to_owned(), "b1".to_owned()], vec!["c1".to_owned()])
        );
        assert_eq!((members.of("team", "shop").len(), members.of("other", "shop").len()), (2, 0));
    }

    #[test]
    fn each_is_there_in_the_version_that_was_shown_last_and_gone_with_nothing_left() {
        let mut members = Members::default();
        let (before, now) = (environment("shop", "a", '1'), environment("shop", "a", '2'));
        members.replace(None, Some(before.clone()));
        members.replace(Some(&before), Some(now.clone()));
        assert_eq!(branches(&members, "shop"), ["a2"]);
        members.replace(Some(&now), None);
        assert!(members.read().is_empty());
    }

    #[test]
    fn a_version_is_converted_once() {
        let mut members = Members::default();
        let before = environment("shop", "a", '1');
        members.replace(None, Some(before.clone()));
        let existing = |members: &Members| members.of("team", "shop")[0].existing().unwrap().clone();
        let first = existing(&members);
        assert!(Arc::ptr_eq(&first, &existing(&members)));
        members.replace(Some(&before), Some(environment("shop", "a", '2')));
        assert!(existing(&members).revision.starts_with('2'));
    }

    #[test]
    fn one_that_cannot_be_read_is_a_member_and_nothing_that_the_rule_sees() {
        let mut unreadable = Environment::clone(&environment("shop", "a", '1'));
        unreadable.spec.repository_id = String::new();
        let mut members = Members::default();
        members.replace(None, Some(Arc::new(unreadable)));
        members.replace(None, Some(environment("shop", "b", '1')));
        let all = members.of("team", "shop");
        assert_eq!((all.len(), existing_of(&all).len()), (2, 1));
    }

    #[test]
    fn f14_whoever_asks_while_the_first_listing_is_taken_in_waits_for_all_of_it() {
        let mut members = Members::default();
        let (sender, receiver) = mpsc::channel();
        let asking = members.clone();
        members.fill(|| {
            thread::spawn(move || sender.send(asking.of("team", "shop").len()));
            let early = receiver.recv_timeout(Duration::from_millis(20));
            assert!(early.is_err(), "{early:?} while the store is about to be ready");
            vec![environment("shop", "a", '1'), environment("shop", "b", '1')]
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(30)), Ok(2));
    }
}
