//! What counts on accounts, for the status and the receipt.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::environment::references::{AccountReferences, CloudIdentity};
use crate::api::project::{self, OnReference};
use crate::api::receipt::{DanglingReference, TokenProof};
use crate::domain::plan::teardown::identities::{Proof, Verdict};
use crate::domain::plan::teardown::references::{Reaction, Reference, ReferenceRules, References};

/// Reads what a Project says of references.
pub fn rules(settings: &project::References) -> ReferenceRules {
    let read = |wish| match wish {
        OnReference::Block => Reaction::Block,
        OnReference::Report => Reaction::Report,
    };
    ReferenceRules {
        bindings: read(settings.bindings),
        tokens: read(settings.tokens),
        cloud_identities: read(settings.cloud_identities),
    }
}

/// Adds to what the status has already: after a restart nobody sees again what is gone by then.
pub fn record(recorded: &mut AccountReferences, found: &References) {
    for identity in &found.cloud_identities {
        let identity = CloudIdentity {
            account: identity.account.name.clone(),
            annotation: identity.annotation.clone(),
            value: identity.value.clone(),
        };
        if !recorded.cloud_identities.contains(&identity) {
            recorded.cloud_identities.push(identity);
        }
    }
    for token in &found.tokens {
        let secret = format!("{} of ServiceAccount {}", token.secret, token.account);
        if !recorded.token_secrets.contains(&secret) {
            recorded.token_secrets.push(secret);
        }
    }
}

/// A binding as a receipt lists it.
pub fn dangling(reference: &Reference) -> DanglingReference {
    DanglingReference {
        binding: reference.binding.to_string(),
        namespace: reference.binding.namespace.clone(),
        names: reference.subject.to_string(),
        severity: reference.severity().name().to_owned(),
    }
}

/// A proof as a receipt lists it.
pub fn proof(proof: &Proof, at: &Time) -> TokenProof {
    let (proved_dead, not_proved) = match &proof.verdict {
        Verdict::Dead => (Some(at.clone()), None),
        Verdict::Alive => (None, Some("a token still authenticates".to_owned())),
        Verdict::NotProved(reason) => (None, Some(reason.clone())),
    };
    TokenProof {
        account: proof.account.key.name.clone(),
        uid: proof.account.uid.clone(),
        proved_dead,
        not_proved,
    }
}
