//! Approvals: whether the API server proves who wrote them, and those that the server itself writes.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::Error;
use super::connection::within;
use crate::api::convert;
use crate::api::environment::{Environment, requests};
use crate::domain::name::ObjectName;
use crate::domain::run::approval::Approval;

/// Looks for the admission policy `name` and its binding of the same name.
///
/// `None`: approvals prove who wrote them. Otherwise what is missing, with what to do about it: then none counts, since whoever may change
/// an Environment could write one in the name of others.
///
/// # Errors
/// It could not be read whether they are there.
pub async fn unproven(client: Client, name: &ObjectName) -> Result<Option<String>, Error> {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client);
    let what = || format!("ValidatingAdmissionPolicy {name}");
    let read = |source| Error::Read { what: what(), source };
    let (policy, binding) = tokio::try_join!(
        within(|| format!("read {}", what()), policies.get_opt(name.as_str()), read),
        within(|| format!("read the binding of {}", what()), bindings.get_opt(name.as_str()), read),
    )?;
    let problem = match (policy.and_then(|policy| policy.spec), binding.and_then(|binding| binding.spec)) {
        (None, _) => Some(format!("{} is missing", what())),
        (_, None) => Some(format!("{} has no binding of that name", what())),
        (Some(policy), Some(_)) if !is_strict(&policy) => Some(format!("{} lets requests through that it cannot judge", what())),
        (Some(_), Some(binding)) if !denies(&binding, name) => Some(format!("the binding of {} does not deny everywhere", what())),
        (Some(_), Some(_)) => None,
    };
    Ok(problem
        .map(|problem| format!("{problem}, so nobody proves who wrote it; install it with graftling's chart (admissionPolicies.enabled)")))
}

/// Writes what was said elsewhere into an Environment, unless the same stands there already, and takes away what was said of earlier runs.
/// Whether it was written.
///
/// # Errors
/// The write failed, or the Environment has changed since it was read.
pub async fn write(client: Client, environment: &Environment, approval: &Approval, now: &Time) -> Result<bool, Error> {
    let said = &environment.spec.approvals;
    let stored = convert::requests::stored_approval(approval, now);
    let key = |word: &requests::Approval| (word.run, word.stage.clone(), word.attempt, word.by.clone());
    if said.iter().any(|word| key(word) == key(&stored) && word.verdict == stored.verdict) {
        return Ok(false);
    }
    let kept = said
        .iter()
        .filter(|word| word.run >= stored.run && key(word) != key(&stored))
        .cloned();
    let mut words: Vec<_> = kept.collect();
    words.push(stored);
    let api: Api<Environment> = Api::namespaced(client, &environment.namespace().unwrap_or_default());
    let name = environment.name_any();
    let body = json!({
        "metadata": { "uid": environment.uid(), "resourceVersion": environment.resource_version() },
        "spec": { "approvals": words },
    });
    let (params, patch) = (PatchParams::default(), Patch::Merge(&body));
    let written = within(
        || format!("write an approval of Environment {name}"),
        api.patch(&name, &params, &patch),
        |source| Error::Write {
            what: format!("approval of Environment {name}"),
            source,
        },
    );
    written.await.map(|_| true)
}

/// Whether what the policy cannot judge is refused, and it looks at Environments both when they are made and when they change.
fn is_strict(policy: &ValidatingAdmissionPolicySpec) -> bool {
    let has = |list: Option<&Vec<String>>, wanted: &str| list.is_some_and(|list| list.iter().any(|word| word == wanted || word == "*"));
    let rules = policy
        .match_constraints
        .as_ref()
        .and_then(|constraints| constraints.resource_rules.as_ref());
    let looks = rules.into_iter().flatten().any(|rule| {
        has(rule.api_groups.as_ref(), "graftling.dev")
            && has(rule.resources.as_ref(), "environments")
            && ["CREATE", "UPDATE"]
                .iter()
                .all(|operation| has(rule.operations.as_ref(), operation))
    });
    looks && policy.failure_policy.as_deref().unwrap_or("Fail") == "Fail"
}

/// Whether the binding makes the API server refuse what the policy refuses, wherever that is.
fn denies(binding: &ValidatingAdmissionPolicyBindingSpec, name: &ObjectName) -> bool {
    let denies = binding.validation_actions.iter().flatten().any(|action| action == "Deny");
    denies && binding.match_resources.is_none() && binding.policy_name.as_deref() == Some(name.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::{Value, json};

    use super::*;

    fn policy(change: Value) -> ValidatingAdmissionPolicySpec {
        let mut spec = json!({
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [{
                "apiGroups": ["graftling.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["environments"],
            }] },
        });
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    fn binding(change: Value) -> ValidatingAdmissionPolicyBindingSpec {
        let mut spec = json!({ "policyName": "graftling-approvals", "validationActions": ["Deny"] });
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_policy_counts_only_where_it_refuses_what_it_cannot_judge_and_looks_at_every_write() {
        assert!(is_strict(&policy(json!({}))));
        assert!(!is_strict(&policy(json!({ "failurePolicy": "Ignore" }))));
        assert!(!is_strict(&policy(json!({ "matchConstraints": {} }))));
        let updates = json!([{ "apiGroups": ["graftling.dev"], "operations": ["UPDATE"], "resources": ["environments"] }]);
        assert!(!is_strict(&policy(json!({ "matchConstraints": { "resourceRules": updates } }))));
    }

    #[test]
    fn a_binding_counts_only_where_it_denies_and_nothing_narrows_it() {
        let name: ObjectName = "graftling-approvals".parse().unwrap();
        assert!(denies(&binding(json!({})), &name));
        assert!(!denies(&binding(json!({ "validationActions": ["Warn"] })), &name));
        assert!(!denies(&binding(json!({ "policyName": "other" })), &name));
        assert!(!denies(&binding(json!({ "matchResources": {} })), &name));
    }
}
