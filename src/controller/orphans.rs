//! Namespaces of environments whose Environment object is lost: found by their label, told, and settled by the one way that removes
//! anything, the teardown of an Environment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, ResourceExt};

use super::settings::Scope;
use super::stores::Stores;
use crate::api::project::{OrphanedNamespace, Project};
use crate::cluster;
use crate::cluster::adoption::{claims, create_for_orphan, environments};
use crate::cluster::publish::{Announcement, Publisher};
use crate::domain::adoption::{Claim, Claimant, NO_REVISION, Verdict, judge, reasons};
use crate::domain::git::{BranchName, Listing, Revision};
use crate::domain::name::{EnvironmentName, Identity, ProjectKey};
use crate::domain::policy::{self, Verdict as BranchVerdict};
use crate::domain::roster::Wanted;
use crate::metrics::Metrics;

/// The orphans as the last look saw them.
#[derive(Default)]
pub struct Orphans {
    known: Mutex<BTreeMap<ProjectKey, Vec<Claim>>>,
    /// UIDs of namespaces without a Project that were told of.
    told: Mutex<BTreeSet<String>>,
}

/// So many are listed in a Project's status.
const LISTED: usize = 20;

impl Orphans {
    /// Looks for them: one listing of namespaces, and one of Environments if there may be any.
    pub async fn find(&self, client: &Client, stores: &Stores, scope: &Scope, metrics: &Metrics, publisher: &Publisher) {
        let found = match look(client, stores, scope).await {
            Ok(found) => found,
            Err(error) => return tracing::warn!(error = %error.chain(), "could not look for namespaces of lost Environments"),
        };
        metrics.orphans(found.values().map(Vec::len).sum());
        self.tell_homeless(stores, publisher, &found).await;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// Those of one Project, for its status.
    pub fn listed(&self, project: &Project) -> Vec<OrphanedNamespace> {
        let key = key_of(project);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_project = key.and_then(|key| known.get(&key).map(|claims| (key, claims)));
        let Some((key, claims)) = of_project else { return Vec::new() };
        let few = claims.iter().take(LISTED);
        few.map(|claim| OrphanedNamespace {
            namespace: claim.name.clone(),
            uid: claim.uid.clone(),
            branch: claim.branch.clone(),
            message: told(claim, &key),
        })
        .collect()
    }

    /// Tells of what the status did not list before.
    pub async fn announce(&self, publisher: &Publisher, project: &Project, listed: &[OrphanedNamespace]) {
        let before: Vec<_> = project
            .status
            .iter()
            .flat_map(|status| &status.orphans)
            .map(|orphan| &orphan.uid)
            .collect();
        let new: Vec<_> = listed.iter().filter(|orphan| !before.contains(&&orphan.uid)).collect();
        let Some(first) = new.first() else { return };
        let announcement = Announcement {
            reason: "Orphaned",
            warning: true,
            note: format!(
                "{} namespaces have lost their Environment, such as {}: {}",
                new.len(),
                first.namespace,
                first.message
            ),
        };
        publisher.announce(&kube::Resource::object_ref(project, &()), &announcement).await;
    }

    /// Makes an Environment anew for each namespace whose branch is not in the listing, so that the roster may retire it as any other:
    /// after two sightings, and within the brake. Those whose branch is there the roster itself has made anew.
    pub async fn settle(&self, client: &Client, project: &policy::Project, host_url: &str, listing: &Listing) {
        let Ok(revision) = NO_REVISION.parse::<Revision>() else { return };
        for claim in self.of(&project.key) {
            let Some((name, branch)) = absent(&claim, project, host_url, listing) else {
                continue;
            };
            let wanted = Wanted {
                grace: None,
                name,
                branch,
                repository: listing.repository.id.clone(),
                revision: revision.clone(),
                pull_request: None,
            };
            match create_for_orphan(client.clone(), &project.key, &wanted, &claim.uid, None).await {
                Ok(_) => {
                    tracing::warn!(project = %project.key, branch = %wanted.branch, environment = %wanted.name, "made a lost Environment anew for its namespace");
                    self.forget(&project.key, &claim.uid);
                }
                Err(error) => {
                    tracing::warn!(project = %project.key, environment = %wanted.name, error = %error.chain(), "could not make a lost Environment anew; the next look tries again");
                }
            }
        }
    }

    /// Those whose Environment was made anew need no words any more.
    pub fn forget_named(&self, project: &ProjectKey, names: impl Iterator<Item = EnvironmentName>) {
        let names: BTreeSet<String> = names.map(|name| name.to_string()).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = known.get_mut(project) {
            claims.retain(|claim| !names.contains(&claim.name));
        }
    }

    fn forget(&self, project: &ProjectKey, uid: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = known.get_mut(project) {
            claims.retain(|claim| claim.uid != uid);
        }
    }

    fn of(&self, project: &ProjectKey) -> Vec<Claim> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(project).cloned().unwrap_or_default()
    }

    /// Where no Project can tell of it, the namespace itself does, and the log.
    async fn tell_homeless(&self, stores: &Stores, publisher: &Publisher, found: &BTreeMap<ProjectKey, Vec<Claim>>) {
        let projects: BTreeSet<ProjectKey> = stores.projects.state().iter().filter_map(|project| key_of(project)).collect();
        for (key, claims) in found.iter().filter(|(key, _)| !projects.contains(key)) {
            for claim in claims {
                if !self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(claim.uid.clone()) {
                    continue;
                }
                let note = format!(
                    "Project {key} and the Environment of this namespace are lost; nothing is removed. To remove it: graftling env adopt {} -n {}, \
                     then graftling env delete {}",
                    claim.name, key.namespace, claim.name
                );
                tracing::warn!(namespace = %claim.name, "{note}");
                let announcement = Announcement {
                    reason: "Orphaned",
                    warning: true,
                    note,
                };
                publisher.announce(&reference(claim), &announcement).await;
            }
        }
    }
}

async fn look(client: &Client, stores: &Stores, scope: &Scope) -> Result<BTreeMap<ProjectKey, Vec<Claim>>, cluster::Error> {
    let mut orphans: BTreeMap<ProjectKey, Vec<Claim>> = BTreeMap::new();
    // First the namespaces: an Environment is there before its namespace, and goes after it.
    let mut claims = claims(client).await?;
    let known: BTreeSet<_> = stores
        .environments
        .state()
        .iter()
        .map(|environment| (environment.namespace(), environment.name_any()))
        .collect();
    claims.retain(|claim| {
        let is_known = known.contains(&(claim.project_namespace.clone(), claim.name.clone()));
        !claim.ending && !claim.retained && !is_known && scope.contains(claim.project_namespace.as_deref())
    });
    if claims.is_empty() {
        return Ok(orphans);
    }
    // The watch may lag, and does not show what cannot be understood.
    let all = environments(client).await?;
    let places: BTreeSet<_> = all
        .iter()
        .map(|environment| (environment.metadata.namespace.clone(), environment.name_any()))
        .collect();
    let uids: BTreeSet<_> = all.iter().filter_map(|environment| environment.metadata.uid.as_deref()).collect();
    claims.retain(|claim| {
        let exists = claim.environment_uid.as_deref().is_some_and(|uid| uids.contains(uid));
        !exists && !places.contains(&(claim.project_namespace.clone(), claim.name.clone()))
    });
    for claim in claims {
        if let Some(key) = claim.project_key() {
            orphans.entry(key).or_default().push(claim);
        }
    }
    Ok(orphans)
}

/// The name and the branch of an orphan that was made for this very repository, by full evidence, and whose branch is not listed.
fn absent(claim: &Claim, project: &policy::Project, host_url: &str, listing: &Listing) -> Option<(EnvironmentName, BranchName)> {
    let name: EnvironmentName = claim.name.parse().ok()?;
    let branch: BranchName = claim.branch.as_ref()?.parse().ok()?;
    let default = listing.repository.default_branch.as_ref();
    let is_whole = default.is_some_and(|default| listing.branches.contains_key(default));
    let claimant = Claimant {
        environment: &name,
        project: &project.key,
        branch: &branch,
        consent: None,
    };
    // Environments belong to a repository by its id, and only the name still tells which.
    let computed = EnvironmentName::compute(Identity {
        host_url,
        repository: &listing.repository.id,
        branch: &branch,
        project: &project.key,
    });
    let is_ours = computed == name && judge(claim, &claimant, false) == Verdict::Adopt;
    let may_go = project.branches.verdict(&branch) != BranchVerdict::Protected;
    (is_whole && is_ours && may_go && !listing.branches.contains_key(&branch)).then_some((name, branch))
}

/// What a Project's status says of an orphan.
fn told(claim: &Claim, project: &ProjectKey) -> String {
    let adopt = format!("graftling env adopt {} -n {}", claim.name, project.namespace);
    let (Ok(name), Some(Ok(branch))) = (claim.name.parse(), claim.branch.as_ref().map(|branch| branch.parse())) else {
        return format!(
            "its Environment is lost, and it does not say for which branch it was made; look at it, then remove it or run: {adopt}"
        );
    };
    let claimant = Claimant {
        environment: &name,
        project,
        branch: &branch,
        consent: None,
    };
    match judge(claim, &claimant, false) {
        Verdict::Refuse { doubts, .. } => format!(
            "its Environment is lost, and it is not taken over by itself: {}; look at it, then remove it or run: {adopt}",
            reasons(&doubts)
        ),
        Verdict::Adopt | Verdict::Ending => format!(
            "its Environment is lost; it is taken over when the next look at the repository shows whether branch {branch} exists, or by: {adopt}"
        ),
    }
}

fn key_of(project: &Project) -> Option<ProjectKey> {
    Some(ProjectKey {
        namespace: project.namespace()?.parse().ok()?,
        name: project.name_any().parse().ok()?,
    })
}

fn reference(claim: &Claim) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Namespace".to_owned()),
        name: Some(claim.name.clone()),
        uid: Some(claim.uid.clone()),
        ..ObjectReference::default()
    }
}
