//! Plans as people read them.

use super::cluster::Cluster;
use super::controller::Controller;
use super::*;
use crate::domain::plan::teardown::{Next, TeardownPlan, Tier};

#[test]
fn a_plan_can_be_printed_before_it_is_carried_out() {
    let (mut cluster, mut controller) = (Cluster::default(), Controller::default());
    controller.settle(&mut cluster, &desired(&[("apps/Deployment/web", "one"), ("/ConfigMap/old", "one")]));
    cluster.objects.get_mut(&key("apps/Deployment/web")).unwrap().ownership = None;
    let wish = desired(&[("apps/Deployment/web", "one"), ("/Service/web", "one")]);
    let of_inventory: Vec<_> = controller.stored.iter().map(|(key, _)| key.clone()).collect();
    let observed = cluster.observe(keys(&wish).chain(&of_inventory));
    let text = super::super::deploy::plan(&environment(), UID, &wish, &controller.stored, &observed).to_string();
    let (web, service) = (key("apps/Deployment/web"), key("/Service/web"));
    assert!(text.starts_with("Step 1:\n"));
    assert!(text.contains(&format!("  update {web} (somebody changed it)\n")), "{text}");
    assert!(text.contains(&format!("  create {service}\n")), "{text}");
    controller.settle(&mut cluster, &wish);
    let observed = cluster.observe(keys(&wish));
    let text = super::super::deploy::plan(&environment(), UID, &wish, &controller.stored, &observed).to_string();
    assert_eq!(text, "Nothing to do: everything is as it should be.\n");
}

#[test]
fn feature_x5_what_is_being_deleted_is_told_with_its_finalizers_and_since_when() {
    let mut waiting = Waiting {
        key: key("/ConfigMap/stuck"),
        reason: "is being deleted".into(),
        deletion: Some(Deletion {
            since: "2026-01-01T00:00:00Z".into(),
            finalizers: vec!["a.example.com/x".into(), "b.example.com/y".into()],
        }),
        failed: false,
    };
    let object = waiting.key.to_string();
    assert_eq!(
        waiting.to_string(),
        format!("{object} is being deleted, since 2026-01-01T00:00:00Z; finalizers: a.example.com/x, b.example.com/y")
    );
    waiting.deletion.as_mut().unwrap().finalizers.clear();
    assert_eq!(
        waiting.to_string(),
        format!("{object} is being deleted, since 2026-01-01T00:00:00Z")
    );
    waiting.deletion = None;
    assert_eq!(waiting.to_string(), format!("{object} is being deleted"));
}

#[test]
fn feature_x9_every_step_of_a_teardown_has_words() {
    let (object, delete) = (
        key("/ServiceAccount/web"),
        Delete {
            key: key("/ServiceAccount/web"),
            uid: "7".into(),
            stage: Stage::Deploy,
            removal: Removal::Delete,
        },
    );
    let say = |next| {
        let inventory = Inventory::default();
        let kept = Vec::new();
        TeardownPlan { inventory, next, kept }.to_string()
    };
    let drain = Next::Drain {
        tier: Tier::Identity,
        deletes: vec![delete.clone()],
        waiting: Vec::new(),
    };
    assert_eq!(say(drain), format!("Remove service accounts:\n  delete {object}\n"));
    let released = Delete {
        removal: Removal::Release {
            environment: ENVIRONMENT.into(),
            version: 1,
            others: 1,
        },
        ..delete.clone()
    };
    let leave = Next::Drain {
        tier: Tier::Cluster,
        deletes: vec![released],
        waiting: Vec::new(),
    };
    assert_eq!(
        say(leave),
        format!("Remove objects outside of the namespace:\n  release {object}: 1 other owner\n")
    );
    assert_eq!(say(Next::DeleteNamespace(delete)), format!("Delete {object} (UID 7).\n"));
    assert_eq!(say(Next::LookForForeign), "Look for objects of others in the namespace.\n");
    assert_eq!(say(Next::Conclude), "Everything is gone: scan for residue and write the receipt.\n");
    let names: std::collections::BTreeSet<_> = Tier::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), Tier::ALL.len());
}
