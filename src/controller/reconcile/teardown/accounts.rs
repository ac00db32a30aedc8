//! What has to be kept of ServiceAccounts before they go, and the proof afterwards that their tokens went with them.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use kube::ResourceExt;

use super::super::{Pass, Reconciler};
use crate::api::convert::environment::Identity;
use crate::api::convert::references::record;
use crate::api::environment::Environment;
use crate::cluster;
use crate::cluster::connection::Deployer;
use crate::domain::inventory::Inventory;
use crate::domain::outcome::FailureClass;
use crate::domain::plan::teardown::identities::{self, Account, Proof, Review, Verdict};
use crate::domain::plan::teardown::references::References;
use crate::domain::plan::teardown::retain::Kept;
use crate::domain::plan::teardown::{Next, TeardownPlan, Tier};
use crate::domain::status::{Phase, Report, summarise_refusal, summarise_teardown};

/// A token outlives its account by seconds at most, in the caches of API servers.
const NEXT_LOOK: Duration = Duration::from_secs(5);

/// What the last look at the tokens came to.
pub(super) enum Proved {
    /// Nothing hinders the end.
    All(Vec<Proof>),
    /// A token still authenticates; this is told, and looked at again.
    NotYet(Pass),
}

impl Reconciler {
    /// Records what cannot be seen any more once rights and accounts are gone, before they go.
    pub(super) async fn record_references(
        &self,
        environment: &Environment,
        identity: &Identity,
        plan: &TeardownPlan,
        found: Option<&References>,
    ) -> Result<Environment, cluster::Error> {
        let takes_rights = matches!(&plan.next, Next::Drain { tier: Tier::Access | Tier::Identity, deletes, .. } if !deletes.is_empty());
        let Some(found) = found.filter(|_| takes_rights) else {
            return Ok(environment.clone());
        };
        let mut recorded = environment
            .status
            .as_ref()
            .map(|status| status.references.clone())
            .unwrap_or_default();
        record(&mut recorded, found);
        if environment.status.as_ref().is_some_and(|status| status.references == recorded) {
            return Ok(environment.clone());
        }
        let report = summarise_teardown(plan, &[]);
        self.publish(environment, identity, &report, |status| status.references = recorded)
            .await
    }

    /// Makes a witness of each account that `plan` is about to delete. That there can be none costs the teardown nothing but the proof.
    pub(super) async fn witness_accounts(&self, environment: &Environment, deployer: &Deployer, plan: &TeardownPlan) {
        let uid = environment.uid().unwrap_or_default();
        let mut accounts = identities::about_to_go(plan);
        accounts.retain(|account| self.witnesses.lacks(&uid, account));
        let kept = join_all(accounts.iter().map(|account| self.observer.witness(deployer, account))).await;
        for (account, kept) in accounts.into_iter().zip(kept) {
            if let Err(reason) = &kept {
                tracing::info!(environment = %environment.name_any(), account = %account.key, reason, "the end of an account's tokens cannot be proved");
            }
            self.witnesses.keep(&uid, account, kept);
        }
    }

    /// Has every witness tried: the accounts are gone, so each must be refused.
    pub(super) async fn prove_tokens_dead(
        &self,
        environment: &Environment,
        identity: &Identity,
        inventory: &Inventory,
        kept: &[Kept],
    ) -> Result<Proved, cluster::Error> {
        let uid = environment.uid().unwrap_or_default();
        let mut proofs = Vec::new();
        for account in identities::to_prove(inventory, kept) {
            let verdict = self.verdict(&uid, &account).await?;
            proofs.push(Proof { account, verdict });
        }
        let Some(message) = identities::still_alive(&proofs) else {
            return Ok(Proved::All(proofs));
        };
        let report = Report {
            phase: Phase::Blocked,
            ..summarise_refusal("TokenAlive", &message, inventory.clone(), Some(NEXT_LOOK))
        };
        self.publish(environment, identity, &report, |_| {}).await?;
        Ok(Proved::NotYet(self.pass(&report)))
    }

    async fn verdict(&self, environment_uid: &str, account: &Account) -> Result<Verdict, cluster::Error> {
        let witness = match self.witnesses.get(environment_uid, account) {
            Some(Ok(witness)) => witness,
            Some(Err(reason)) => return Ok(Verdict::NotProved(reason)),
            None => return Ok(Verdict::NotProved(NO_WITNESS.to_owned())),
        };
        let review: Review = match self.observer.review(&witness).await {
            Ok(review) => review,
            Err(error) if error.class() == FailureClass::Forbidden => return Ok(Verdict::NotProved(error.chain())),
            Err(error) => return Err(error),
        };
        Ok(identities::judge(account, &review, witness.is_expired(Timestamp::now())))
    }
}

const NO_WITNESS: &str = "no token was made while the account was there: somebody else removed it, or the server was restarted since";
