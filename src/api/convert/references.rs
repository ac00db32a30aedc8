//! What counts on accounts, for the status and the receipt.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::environment::references::{AccountReferences, CloudIdentity};
use crate::api::project::{self, OnReference};
use crate::api::receipt::TokenProof;
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
pub fn dangling(reference: &Reference) -> String {
    let namespace = reference.binding.namespace.as_ref();
    let place = namespace.map(|namespace| format!(" in Namespace {namespace}")).unwrap_or_default();
    format!(
        "{}{place} still names {} (severity {})",
        reference.binding,
        reference.subject,
        reference.severity().name()
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::manifest::ObjectKey;
    use crate::domain::plan::teardown::references;

    #[test]
    fn f52_without_a_word_of_the_project_what_the_cluster_holds_blocks_and_what_a_cloud_holds_is_reported() {
        assert_eq!(rules(&project::References::default()), ReferenceRules::default());
        let read: project::References = serde_json::from_value(serde_json::json!({ "bindings": "Report" })).unwrap_or_default();
        let wanted = ReferenceRules {
            bindings: Reaction::Report,
            ..ReferenceRules::default()
        };
        assert_eq!(rules(&read), wanted, "the rest keeps its default");
    }

    #[test]
    fn f54_what_is_recorded_is_kept_once_however_often_it_is_seen() {
        let account = ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: "ServiceAccount".into(),
            namespace: Some("shop-a".into()),
            name: "web".into(),
        };
        let identity = references::CloudIdentity {
            account,
            uid: "1".into(),
            annotation: "eks.amazonaws.com/role-arn".into(),
            value: "arn".into(),
        };
        let found = References {
            cloud_identities: vec![identity],
            ..References::default()
        };
        let mut recorded = AccountReferences::default();
        record(&mut recorded, &found);
        record(&mut recorded, &found);
        record(&mut recorded, &References::default());
        assert_eq!(recorded.cloud_identities.len(), 1);
    }
}
