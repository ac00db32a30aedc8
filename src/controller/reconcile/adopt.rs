//! Taking over what a lost Environment of the same branch has left: its UIDs are recorded before anything else is done.

use std::time::Duration;

use kube::{Resource, ResourceExt};

use super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::convert::first_deploy;
use crate::api::environment::{DeployerStatus, Environment};
use crate::api::keys;
use crate::cluster;
use crate::cluster::adoption::{Belongings, bound_deployer, namespace_key};
use crate::cluster::connection::Deployer;
use crate::cluster::publish::Announcement;
use crate::domain::adoption::{Claim, Claimant, Verdict, judge, reasons, rebuild};
use crate::domain::inventory::Inventory;
use crate::domain::manifest::ObjectKey;
use crate::domain::plan::{Observed, Plan};
use crate::domain::status::{Phase, Report, summarise_refusal};

/// How long until evidence that was found wanting is looked at again.
const PATIENTLY: Duration = Duration::from_secs(30);
/// How long until a namespace that is ending is looked at again.
const NAMESPACE: Duration = Duration::from_secs(2);

impl Reconciler {
    /// What hinders a deployment may be what a lost Environment of the branch has left: then it is taken over. `None` if it is somebody
    /// else's without a doubt.
    pub(super) async fn adopt_for_deployment(
        &self,
        environment: &Environment,
        own: (&Identity, &Inventory),
        plan: &Plan,
        observed: &Observed,
        deployer: &Deployer,
    ) -> Result<Option<Pass>, cluster::Error> {
        let name = own.0.name.as_str();
        let claims_to_be_ours = |key: &ObjectKey| observed.get(key).is_some_and(|live| live.is_labelled_for(name));
        if !plan.obstacles.iter().any(|obstacle| claims_to_be_ours(&obstacle.key)) {
            return Ok(None);
        }
        let namespace = observed.get(&namespace_key(&own.0.name)).map(|live| live.uid.as_str());
        let claim = self.observer.claim(&own.0.name).await?;
        if claim.as_ref().map(|claim| claim.uid.as_str()) != namespace {
            // The watch still shows an earlier namespace.
            return Ok(Some(Pass::again_soon()));
        }
        self.adopt(environment, own, deployer, Phase::Deploying).await
    }

    /// What is left after a teardown may belong to an earlier incarnation of the environment, whose UIDs are recorded nowhere.
    pub(super) async fn adopt_for_teardown(
        &self,
        environment: &Environment,
        own: (&Identity, &Inventory),
        deployer: &Deployer,
    ) -> Result<Option<Pass>, cluster::Error> {
        let (identity, inventory) = own;
        let bound = match inventory.is_empty() {
            true => bound_deployer(&self.observer, &identity.name, &identity.project).await?,
            false => None,
        };
        self.adopt(environment, own, &bound.unwrap_or_else(|| deployer.clone()), Phase::Deleting)
            .await
    }

    /// One pass over an Environment that was made anew for a namespace: nothing is deployed until its branch is seen.
    pub(super) async fn take_over(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: Inventory,
    ) -> Result<Pass, cluster::Error> {
        if inventory.is_empty() {
            let deployer = match bound_deployer(&self.observer, &identity.name, &identity.project).await? {
                Some(deployer) => deployer,
                None => self.deployer_of_project(identity),
            };
            if let Some(pass) = self.adopt(environment, (identity, &inventory), &deployer, Phase::Deploying).await? {
                return Ok(pass);
            }
        }
        let message = format!(
            "the Environment of namespace {} was lost and is made anew; nothing is deployed until branch {} is seen, and nothing removed \
             until it is proven to be gone",
            identity.name, identity.branch
        );
        let refusal = summarise_refusal("AwaitingBranch", &message, inventory, Some(PATIENTLY));
        let report = Report {
            phase: Phase::Pending,
            ..refusal
        };
        self.publish(environment, identity, &report, |_| {}).await?;
        Ok(self.pass(&report))
    }

    /// Whether this Environment only takes over.
    pub(super) fn only_takes_over(environment: &Environment) -> bool {
        environment.annotations().contains_key(keys::ADOPTING_ANNOTATION)
    }

    fn deployer_of_project(&self, identity: &Identity) -> Deployer {
        use kube::runtime::reflector::ObjectRef;
        let reference = ObjectRef::new(identity.project.name.as_str()).within(identity.project.namespace.as_str());
        let stored = self.stores.projects.get(&reference);
        match stored.and_then(|stored| self.stores.policies.of(&stored).ok()) {
            Some(project) => Deployer {
                namespace: project.key.namespace.clone(),
                name: project.deployer.clone(),
            },
            None => self.default_deployer(identity),
        }
    }

    async fn adopt(
        &self,
        environment: &Environment,
        own: (&Identity, &Inventory),
        deployer: &Deployer,
        phase: Phase,
    ) -> Result<Option<Pass>, cluster::Error> {
        let (identity, inventory) = own;
        let claim = self.observer.claim(&identity.name).await?;
        if claim.as_ref().is_some_and(|claim| claim.retained) {
            return Ok(None);
        }
        let claim = claim.filter(|claim| !is_recorded(inventory, identity, claim));
        let consent = environment.annotations().get(keys::ADOPT_ANNOTATION).map(String::as_str);
        let claimant = Claimant {
            environment: &identity.name,
            project: &identity.project,
            branch: &identity.branch,
            consent,
        };
        if let Some(claim) = &claim {
            match self.judge_adoption(claim, &claimant, &identity.uid).await? {
                Verdict::Adopt => {}
                Verdict::Ending => return self.await_end(environment, own, phase).await.map(Some),
                Verdict::Refuse { doubts, curable } => {
                    let message = refusal(identity, claim, &reasons(&doubts), curable, phase);
                    return self.refuse_to_adopt(environment, own, &message, phase).await.map(Some);
                }
            }
        }
        let is_trusting = claim.as_ref().is_some_and(|claim| consent == Some(claim.uid.as_str()));
        let belongings = self.observer.belongings(deployer, &identity.name, is_trusting).await?;
        let mut ours = belongings.ours.clone();
        // The namespace is taken over as it was judged, and not as it may be by now.
        ours.retain(|(key, _)| *key != namespace_key(&identity.name));
        ours.extend(claim.iter().map(|claim| (namespace_key(&identity.name), claim.uid.clone())));
        let rebuilt = rebuild(inventory, &ours);
        if rebuilt == *inventory {
            return Ok(None);
        }
        self.record(environment, (identity, rebuilt), deployer, phase, (claim.as_ref(), &belongings))
            .await
            .map(Some)
    }

    /// The Environment that a namespace names is asked for last: it costs a listing.
    async fn judge_adoption(&self, claim: &Claim, claimant: &Claimant<'_>, own_uid: &str) -> Result<Verdict, cluster::Error> {
        let verdict = judge(claim, claimant, false);
        let Some(earlier) = claim.environment_uid.as_deref().filter(|uid| *uid != own_uid) else {
            return Ok(verdict);
        };
        if verdict == Verdict::Adopt && self.observer.environment_exists(earlier).await? {
            return Ok(judge(claim, claimant, true));
        }
        Ok(verdict)
    }

    /// The UIDs first: whatever happens next, nothing of what was taken over can get lost again.
    async fn record(
        &self,
        environment: &Environment,
        (identity, inventory): (&Identity, Inventory),
        deployer: &Deployer,
        phase: Phase,
        (claim, belongings): (Option<&Claim>, &Belongings),
    ) -> Result<Pass, cluster::Error> {
        let lost = claim.and_then(|claim| claim.environment_uid.as_deref()).unwrap_or("unknown");
        let message = format!(
            "took over {} objects of the lost Environment with the UID {lost}{}{}",
            belongings.ours.len(),
            asked_by(environment, claim),
            doubtful(belongings)
        );
        let report = Report {
            phase,
            ..summarise_refusal("Adopted", &message, inventory, None)
        };
        let complete = |status: &mut crate::api::EnvironmentStatus| {
            status.deployer.get_or_insert_with(|| DeployerStatus {
                namespace: deployer.namespace.to_string(),
                name: deployer.name.to_string(),
            });
            // What it has shown before is lost, and what runs only the first time must not run again over its data.
            if !Self::only_takes_over(environment) {
                first_deploy::record(status, &identity.revision);
            }
            if claim.is_some() {
                status.revision.get_or_insert_default().superseded = true;
            }
        };
        let written = self.publish(environment, identity, &report, complete).await?;
        tracing::info!(environment = %environment.name_any(), branch = %environment.spec.branch, "{message}");
        let announcement = Announcement {
            reason: "Adopted",
            warning: true,
            note: message,
        };
        self.publisher.announce(&written.object_ref(&()), &announcement).await;
        Ok(Pass::again_soon())
    }

    async fn await_end(&self, environment: &Environment, own: (&Identity, &Inventory), phase: Phase) -> Result<Pass, cluster::Error> {
        let message = format!(
            "Namespace {} of an earlier environment is being deleted; nothing is written until it is gone",
            own.0.name
        );
        let report = Report {
            phase,
            ..summarise_refusal("NamespaceEnding", &message, own.1.clone(), Some(NAMESPACE))
        };
        self.publish(environment, own.0, &report, |_| {}).await?;
        Ok(self.pass(&report))
    }

    async fn refuse_to_adopt(
        &self,
        environment: &Environment,
        own: (&Identity, &Inventory),
        message: &str,
        phase: Phase,
    ) -> Result<Pass, cluster::Error> {
        let report = Report {
            phase: match phase {
                Phase::Deleting => Phase::Blocked,
                _ => Phase::Failed,
            },
            ..summarise_refusal("UnknownIncarnation", message, own.1.clone(), Some(PATIENTLY))
        };
        self.publish(environment, own.0, &report, |_| {}).await?;
        Ok(self.pass(&report))
    }
}

fn is_recorded(inventory: &Inventory, identity: &Identity, claim: &Claim) -> bool {
    let entry = inventory.get(&namespace_key(&identity.name));
    entry.is_some_and(|entry| entry.uid.as_deref() == Some(claim.uid.as_str()))
}

fn refusal(identity: &Identity, claim: &Claim, doubts: &str, curable: bool, phase: Phase) -> String {
    let name = &identity.name;
    let adopt = format!("run: graftling env adopt {name} -n {}", identity.project.namespace);
    let way_out = match (curable, phase) {
        (true, Phase::Deleting) => format!("if it is, {adopt}; if it is not, take its label graftling.dev/environment off"),
        (false, Phase::Deleting) => "take its label graftling.dev/environment off".to_owned(),
        (true, _) => format!("look at it, then {adopt}, or remove the namespace"),
        (false, _) => "remove whichever is not wanted any more".to_owned(),
    };
    format!(
        "Namespace {name} (UID {}) exists and was not created for this environment; nothing is written to it: {doubts}; {way_out}",
        claim.uid
    )
}

fn asked_by(environment: &Environment, claim: Option<&Claim>) -> String {
    let annotations = environment.annotations();
    let asked = claim.is_some_and(|claim| annotations.get(keys::ADOPT_ANNOTATION) == Some(&claim.uid));
    match annotations.get(keys::ADOPT_BY_ANNOTATION) {
        Some(who) if asked => format!(", as asked by {}", who.chars().take(80).collect::<String>()),
        _ if asked => ", as asked".to_owned(),
        _ => String::new(),
    }
}

fn doubtful(belongings: &Belongings) -> String {
    match belongings.doubtful.as_slice() {
        [] => String::new(),
        [first, ..] => format!(
            "; {} others bear its label without showing that graftling made them, such as {first}, and are left alone",
            belongings.doubtful.len()
        ),
    }
}
