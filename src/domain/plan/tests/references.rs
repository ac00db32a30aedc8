//! Properties of what keeps an account: bindings elsewhere, tokens of others, trust in clouds, pods that end slowly.

use proptest::prelude::*;

use super::cluster::{Cluster, Write};
use super::controller::Controller;
use super::*;
use crate::domain::plan::teardown::references::{
    CloudIdentity, Reaction, Reference, ReferenceRules, References, Severity, Subject, TokenSecret, dangling,
};
use crate::domain::plan::teardown::{Next, Pod, Tier};

const ACCOUNT: &str = "/ServiceAccount/web";
const ROLE: &str = "rbac.authorization.k8s.io/RoleBinding/web";
const ROLE_ARN: &str = "arn:aws:iam::111122223333:role/web";

fn settled(objects: &[&str]) -> (Cluster, Controller) {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    let objects: Vec<_> = objects.iter().map(|name| (*name, "one")).collect();
    controller.settle(&mut cluster, &desired(&objects));
    (cluster, controller)
}

fn elsewhere(kind: &str, name: &str, subject: Subject) -> Reference {
    let namespace = (kind == "RoleBinding").then(|| "production".to_owned());
    let binding = ObjectKey {
        namespace,
        ..key(&format!("rbac.authorization.k8s.io/{kind}/{name}"))
    };
    Reference {
        binding,
        uid: "theirs".into(),
        subject,
    }
}

fn web() -> Subject {
    Subject::Account("web".into())
}

/// One reference of each kind that is about the account.
fn one_of_each(cluster: &Cluster) -> References {
    References {
        bindings: vec![elsewhere("RoleBinding", "reads", web())],
        tokens: vec![TokenSecret {
            secret: key("/Secret/legacy"),
            uid: "theirs".into(),
            account: "web".into(),
        }],
        cloud_identities: vec![CloudIdentity {
            account: key(ACCOUNT),
            uid: cluster.objects[&key(ACCOUNT)].uid.clone(),
            annotation: "eks.amazonaws.com/role-arn".into(),
            value: ROLE_ARN.into(),
        }],
    }
}

fn rules(bindings: Reaction, tokens: Reaction, cloud_identities: Reaction) -> ReferenceRules {
    ReferenceRules {
        bindings,
        tokens,
        cloud_identities,
    }
}

fn touched(cluster: &Cluster) -> Vec<&ObjectKey> {
    let deleted = cluster.log.iter().filter_map(|write| match write {
        Write::Delete(key) => Some(key),
        _ => None,
    });
    deleted.filter(|key| Tier::of(key) >= Tier::Access).collect()
}

fn reaction() -> impl Strategy<Value = Reaction> {
    prop::sample::select(vec![Reaction::Block, Reaction::Report])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn f52_f53_f54_what_the_rules_block_keeps_every_right_and_account_and_what_they_report_keeps_nothing(
        bindings in reaction(), tokens in reaction(), clouds in reaction(),
    ) {
        let (mut cluster, mut controller) = settled(&["apps/Deployment/web", ROLE, ACCOUNT]);
        cluster.references = one_of_each(&cluster);
        controller.rules.references = rules(bindings, tokens, clouds);
        let next = controller.tear_down(&mut cluster, false);
        let blocks = [bindings, tokens, clouds].iter().filter(|reaction| **reaction == Reaction::Block).count();
        match next {
            Next::Conclude => prop_assert_eq!(blocks, 0),
            Next::Blocked(obstacles) => {
                prop_assert_eq!(obstacles.len(), blocks);
                prop_assert_eq!(touched(&cluster), Vec::<&ObjectKey>::new(), "S5");
                prop_assert!(!cluster.objects.contains_key(&key("apps/Deployment/web")), "what runs is gone nevertheless");
                // Whoever is in the way takes it away; then the rest follows.
                cluster.references = References::default();
                prop_assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert!(cluster.objects.is_empty(), "L2");
    }
}

fn obstacles(next: Next) -> Vec<String> {
    match next {
        Next::Blocked(obstacles) => obstacles.iter().map(ToString::to_string).collect(),
        other => panic!("it should be blocked: {other:?}"),
    }
}

#[test]
fn f52_f53_a_binding_elsewhere_is_named_with_the_account_and_both_ways_out_the_gravest_first() {
    let (mut cluster, mut controller) = settled(&[ACCOUNT]);
    cluster.references.bindings = vec![
        elsewhere("RoleBinding", "reads", web()),
        elsewhere("ClusterRoleBinding", "rules-all", Subject::AllAccounts),
        elsewhere("RoleBinding", "of-another", Subject::Account("somebody".into())),
    ];
    let said = obstacles(controller.tear_down(&mut cluster, false));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("ClusterRoleBinding rules-all") && said[0].contains("every ServiceAccount"));
    for words in [
        "RoleBinding reads in Namespace production",
        "ServiceAccount web",
        "remove the binding",
        "policy.references.bindings",
    ] {
        assert!(said[1].contains(words), "no {words} in {}", said[1]);
    }
    let severities: Vec<_> = dangling(&controller.stored, &[], &cluster.references.bindings)
        .iter()
        .map(Reference::severity)
        .collect();
    assert_eq!(severities, [Severity::High, Severity::Medium]);
}

#[test]
fn f52_a_binding_of_the_environment_itself_is_no_reference_and_another_of_its_name_is() {
    let outside = "rbac.authorization.k8s.io/ClusterRoleBinding/x";
    let (mut cluster, mut controller) = settled(&[ROLE, outside, ACCOUNT]);
    let own = |name: &str, uid: &str| Reference {
        binding: key(name),
        uid: uid.into(),
        subject: web(),
    };
    let uid = cluster.objects[&key(outside)].uid.clone();
    cluster.references.bindings = vec![own(outside, "another")];
    assert_eq!(obstacles(controller.tear_down(&mut cluster, false)).len(), 1);
    cluster.references.bindings = vec![own(outside, &uid)];
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn f52_without_any_account_bindings_of_default_and_of_all_accounts_keep_the_namespace() {
    for subject in [Subject::AllAccounts, Subject::Account("default".into())] {
        let (mut cluster, mut controller) = settled(&["/ConfigMap/settings"]);
        cluster.references.bindings = vec![elsewhere("RoleBinding", "pulls", subject)];
        obstacles(controller.tear_down(&mut cluster, false));
        assert!(cluster.objects.contains_key(&namespace_key()));
        cluster.references.bindings.clear();
        assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    }
}

#[test]
fn f52_a_binding_does_not_hinder_what_is_left_after_the_namespace_is_gone_already() {
    let (mut cluster, mut controller) = settled(&[ROLE, ACCOUNT]);
    cluster.references.bindings = vec![elsewhere("ClusterRoleBinding", "rules-all", web())];
    cluster.objects.clear();
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude, "feature_x11");
}

#[test]
fn f58_a_token_of_ours_or_of_an_account_of_others_is_no_reference() {
    let (mut cluster, mut controller) = settled(&["/Secret/keys", ACCOUNT]);
    let token = |name: &str, uid: &str, account: &str| TokenSecret {
        secret: key(&format!("/Secret/{name}")),
        uid: uid.into(),
        account: account.into(),
    };
    let ours = cluster.objects[&key("/Secret/keys")].uid.clone();
    cluster.references.tokens = vec![token("keys", &ours, "web"), token("legacy", "theirs", "somebody")];
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn f54_an_identity_in_a_cloud_is_named_with_the_trust_that_outlives_it() {
    let (mut cluster, mut controller) = settled(&[ACCOUNT]);
    cluster.references = References {
        cloud_identities: one_of_each(&cluster).cloud_identities,
        ..References::default()
    };
    controller.rules.references.cloud_identities = Reaction::Block;
    let said = obstacles(controller.tear_down(&mut cluster, false));
    for words in [
        "ServiceAccount web",
        "eks.amazonaws.com/role-arn",
        ROLE_ARN,
        "trust policy of the AWS IAM role",
        "annotation off",
    ] {
        assert!(said[0].contains(words), "no {words} in {said:?}");
    }
}

#[test]
fn f54_annotations_of_every_cloud_are_known_and_no_other_is_told() {
    let annotations: BTreeMap<String, String> = [
        ("eks.amazonaws.com/role-arn", ROLE_ARN),
        ("iam.gke.io/gcp-service-account", "web@shop.iam.gserviceaccount.com"),
        ("azure.workload.identity/client-id", "00000000-0000-0000-0000-000000000000"),
        ("example.com/password", "hunter2"),
    ]
    .map(|(annotation, value)| (annotation.to_owned(), value.to_owned()))
    .into();
    let found = CloudIdentity::of(&key(ACCOUNT), "1", &annotations);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|identity| identity.annotation != "example.com/password"));
}

#[test]
fn f49_f51_a_pod_that_ends_slowly_keeps_account_and_rights_and_is_waited_for() {
    let (mut cluster, mut controller) = settled(&[ROLE, ACCOUNT]);
    let pod = Pod {
        name: "web-1".into(),
        service_account: "web".into(),
        deletion: Some(Deletion {
            since: "2026-01-01T00:00:00Z".into(),
            finalizers: Vec::new(),
        }),
    };
    cluster.make_foreign(&key("/ReplicationController/web"), false);
    cluster.pods.push((key("/ReplicationController/web"), pod));
    for _ in 0..3 {
        let next = controller.teardown(&mut cluster, false, None).unwrap();
        let Next::Drain { deletes, waiting, .. } = next else {
            panic!("it should wait: {next:?}")
        };
        assert_eq!((deletes.len(), waiting.len()), (0, 1));
        let said = waiting[0].to_string();
        assert!(said.contains("Pod web-1") && said.contains("since 2026"), "{said}");
        cluster.tick();
    }
    assert_eq!(touched(&cluster), Vec::<&ObjectKey>::new(), "S5");
    cluster.objects.remove(&key("/ReplicationController/web"));
    cluster.pods.clear();
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
}

#[test]
fn f52_feature_x3_a_binding_that_names_only_what_is_kept_keeps_nothing_from_its_end() {
    let (mut cluster, mut controller) = settled(&["apps/Deployment/web", ROLE, ACCOUNT, "/Service/web"]);
    cluster.objects.get_mut(&key("apps/Deployment/web")).unwrap().retained = true;
    cluster.references.bindings = vec![
        elsewhere("RoleBinding", "reads", web()),
        elsewhere("RoleBinding", "pulls", Subject::AllAccounts),
    ];
    assert_eq!(controller.tear_down(&mut cluster, false), Next::Conclude);
    assert!(cluster.objects.contains_key(&key(ACCOUNT)) && !cluster.objects.contains_key(&key("/Service/web")));
}
