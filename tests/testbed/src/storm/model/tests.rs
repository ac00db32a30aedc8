//! The model against worlds made up for it: what it allows, and that it notices every single thing that is wrong.

use serde_json::{Value, json};

use super::super::generate::{Random, Weather, storm};
use super::super::observed::Observed;
use super::super::operation::{Branch, Kind, Operation, Slot, Target};
use super::wish;
use super::{Effect, Model};

const A: Branch = Branch(0);
const B: Branch = Branch(1);

fn name(branch: Branch) -> String {
    format!("shop-{}", branch.0)
}

/// A world in which everything is as it must be, with an environment for each of these branches.
fn ideal(model: &Model, branches: &[Branch]) -> Observed {
    let settings = model.settings();
    let (status, reason) = if settings.suspended {
        ("False", "Suspended")
    } else {
        ("True", "Synced")
    };
    let mut observed = Observed {
        project: json!({ "metadata": { "generation": 3 }, "status": {
            "observedGeneration": 3, "conditions": [{ "type": "Ready", "status": status, "reason": reason }] } }),
        ..Observed::default()
    };
    for branch in branches {
        environment(model, *branch, &mut observed);
    }
    observed
}

fn environment(model: &Model, branch: Branch, observed: &mut Observed) {
    let (name, head) = (name(branch), model.head(branch).unwrap_or_default());
    let url = format!("https://{name}.{}", wish::domain(model.settings().domain));
    observed.environments.push(json!({
        "metadata": { "name": name, "uid": format!("uid of {name}"), "generation": 1 },
        "spec": { "branch": branch.name(), "revision": head },
        "status": { "phase": "Ready", "observedGeneration": 1, "url": url, "message": "ready", "revision": { "applied": head },
            "namespace": { "name": name, "uid": "n" }, "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready" }] },
    }));
    let labels = json!({ "graftling.dev/environment": name });
    let namespace = json!({ "metadata": { "name": name, "uid": "n", "labels": labels } });
    observed.namespaces.insert(name.clone(), namespace);
    for ((kind, object), facts) in wish::objects(model.settings(), model.bundle(), branch, head) {
        let mut live = json!({ "metadata": { "name": object, "uid": format!("uid of {kind} {object}"), "labels": labels } });
        facts.iter().for_each(|(place, value)| set(&mut live, place, value));
        observed.objects.insert((name.clone(), kind.to_owned(), object), live);
    }
}

/// Puts a value at a place, and makes what is on the way.
fn set(object: &mut Value, place: &str, value: &Value) {
    let mut at = object;
    for step in place.split('/').skip(1) {
        let step = step.replace("~1", "/");
        at = match step.parse::<usize>() {
            Ok(_) => {
                if !at.is_array() {
                    *at = json!([{}]);
                }
                &mut at[0]
            }
            Err(_) => &mut at[step.as_str()],
        };
    }
    *at = value.clone();
}

fn push(model: &mut Model, branch: Branch, revision: Option<&str>) {
    let heads = vec![(branch, revision.map(str::to_owned))];
    model.happened(&Operation::Tag(branch), &Effect::Heads(heads));
}

fn done(model: &mut Model, operation: Operation) {
    model.happened(&operation, &Effect::Done(String::new()));
}

/// A model that has settled with environments for A and B.
fn settled() -> (Model, Observed) {
    let mut model = Model::new();
    push(&mut model, A, Some("a1"));
    push(&mut model, B, Some("b1"));
    done(&mut model, Operation::Object(Slot(0), Kind::Service, 1));
    done(&mut model, Operation::Object(Slot(1), Kind::Secret, 2));
    let observed = ideal(&model, &[A, B]);
    assert_eq!(model.complaints(&observed), [""; 0]);
    model.settle(&observed);
    (model, observed)
}

#[track_caller]
fn complains(model: &Model, observed: &Observed, words: &str) {
    let all = model.complaints(observed);
    assert!(all.iter().any(|complaint| complaint.contains(words)), "{words:?} in {all:?}");
}

fn mark_ending(observed: &mut Observed, index: usize, phase: &str, message: &str) {
    let environment = &mut observed.environments[index];
    environment["metadata"]["deletionTimestamp"] = json!("now");
    environment["status"]["phase"] = json!(phase);
    environment["status"]["message"] = json!(message);
    environment["status"]["conditions"] = json!([{ "type": "Ready", "status": "False", "reason": phase }]);
}

#[test]
fn after_every_storm_the_ideal_world_is_right_and_one_without_environments_is_not() {
    for seed in 0..100 {
        let mut model = Model::new();
        let mut random = Random::new(seed);
        for operation in storm(seed, 60, Weather::default()) {
            let effect = match &operation {
                Operation::Push { branch, .. } => Effect::Heads(vec![(*branch, Some(format!("r{}", random.below(9))))]),
                Operation::Delete(branch, _) => Effect::Heads(vec![(*branch, None)]),
                Operation::Values(_) | Operation::Object(..) | Operation::NoObject(_) | Operation::Domain(_) | Operation::Quota(_) => {
                    Effect::Done(String::new())
                }
                _ => Effect::Aside,
            };
            model.happened(&operation, &effect);
            if operation == Operation::Quiet {
                let there: Vec<_> = Branch::all().filter(|branch| model.head(*branch).is_some()).collect();
                let observed = ideal(&model, &there);
                assert_eq!(model.complaints(&observed), [""; 0], "seed {seed}");
                assert!(there.is_empty() || !model.complaints(&ideal(&model, &[])).is_empty(), "seed {seed}");
                model.settle(&observed);
            }
        }
    }
}

#[test]
fn whatever_is_missing_changed_or_left_over_is_noticed() {
    let (model, observed) = settled();
    for (key, object) in &observed.objects {
        let mut without = observed.clone();
        without.objects.remove(key);
        complains(&model, &without, &format!("{} {} is missing", key.1, key.2));
        let mut unlabelled = observed.clone();
        let mut bare = object.clone();
        bare["metadata"]["labels"] = json!({});
        unlabelled.objects.insert(key.clone(), bare);
        complains(&model, &unlabelled, "does not bear our label");
    }
    for ((kind, object), facts) in wish::objects(model.settings(), model.bundle(), A, "a1") {
        for (place, _) in facts {
            let mut other = observed.clone();
            let live = other
                .objects
                .get_mut(&(name(A), kind.to_owned(), object.clone()))
                .expect("it is there");
            set(live, place, &json!("another"));
            complains(&model, &other, place);
        }
    }
    let mut more = observed.clone();
    more.objects.insert((name(A), "Service".to_owned(), "old".to_owned()), json!({}));
    complains(&model, &more, "Service old is there, and nobody wants it");
    let mut left = observed.clone();
    let orphan = json!({ "metadata": { "labels": { "graftling.dev/environment": "shop-9" } } });
    left.namespaces.insert("shop-9".to_owned(), orphan);
    complains(&model, &left, "is left over");
    let mut twice = observed;
    let again = twice.environments[0].clone();
    twice.environments.push(again);
    complains(&model, &twice, "(S2)");
}

#[test]
fn feature_x7_an_environment_whose_branch_was_there_all_the_time_must_not_be_gone_or_going() {
    let (model, mut observed) = settled();
    observed.environments.remove(0);
    complains(&model, &observed, "(S4)");
    let (model, mut observed) = settled();
    mark_ending(&mut observed, 0, "Deleting", "");
    complains(&model, &observed, "its teardown does not end");
    // Nor while nothing is to be retired, or where the branch is excluded.
    for operation in [Operation::Suspend(true), Operation::Exclude(vec![A])] {
        let (mut model, _) = settled();
        done(&mut model, operation);
        complains(&model, &ideal(&model, &[B]), "(S4)");
    }
}

#[test]
fn what_was_deleted_and_made_anew_behind_everybodys_back_is_noticed() {
    let (mut model, observed) = settled();
    let mut environment = observed.clone();
    set(&mut environment.environments[1], "/metadata/uid", &json!("another"));
    complains(&model, &environment, "(S4, S9)");
    let mut object = observed.clone();
    let key = (name(A), "Deployment".to_owned(), "web".to_owned());
    set(
        object.objects.get_mut(&key).expect("it is there"),
        "/metadata/uid",
        &json!("another"),
    );
    complains(&model, &object, "Deployment web was deleted and made anew (S9)");
    done(&mut model, Operation::Remove(A, Target::Web));
    assert_eq!(model.complaints(&object), [""; 0], "somebody deleted it");
    push(&mut model, B, None);
    push(&mut model, B, Some("b1"));
    assert_eq!(model.complaints(&environment), [""; 0], "its branch was gone for a moment");
}

#[test]
fn statuses_that_do_not_tell_the_truth_are_noticed() {
    let (mut model, observed) = settled();
    let not = |place: &str, value: Value| {
        let mut other = observed.clone();
        set(&mut other.environments[0], place, &value);
        other
    };
    complains(&model, &not("/status/phase", json!("Deploying")), "it is not ready");
    complains(&model, &not("/status/revision/applied", json!("a0")), "has applied");
    complains(&model, &not("/status/url", json!("https://elsewhere")), "its URL is");
    complains(&model, &not("/metadata/generation", json!(2)), "older generation");
    complains(&model, &not("/status/namespace/uid", json!("m")), "another UID");
    push(&mut model, A, Some("a2"));
    complains(&model, &observed, "it is to show a1 and not a2");
    done(&mut model, Operation::Break);
    complains(&model, &ideal(&model, &[A, B]), "it cannot be ready");
}

#[test]
fn f26_a_broken_template_must_not_touch_what_runs() {
    let (mut model, mut observed) = settled();
    done(&mut model, Operation::Break);
    for environment in &mut observed.environments {
        environment["status"]["phase"] = json!("Failed");
        environment["status"]["message"] = json!("templates/all.yaml:9: no such value");
        environment["status"]["conditions"] = json!([{ "type": "Ready", "status": "False", "reason": "RenderFailed" }]);
    }
    assert_eq!(model.complaints(&observed), [""; 0]);
    observed.objects.remove(&(name(B), "Deployment".to_owned(), "web".to_owned()));
    complains(&model, &observed, "Deployment web, which was there, is gone");
    done(&mut model, Operation::Remove(B, Target::Web));
    assert_eq!(model.complaints(&observed), [""; 0], "somebody else removed it");
}

#[test]
fn threat_t40_what_others_put_there_stays_and_holds_a_teardown_up_until_they_take_it_away() {
    let (mut model, mut observed) = settled();
    model.happened(&Operation::Plant(A), &Effect::Done("theirs-1".to_owned()));
    let key = (name(A), "ConfigMap".to_owned(), "theirs-1".to_owned());
    complains(&model, &observed, "(S1)");
    observed.objects.insert(key.clone(), json!({ "data": { "whose": "theirs" } }));
    assert_eq!(model.complaints(&observed), [""; 0]);
    model.settle(&observed);
    push(&mut model, A, None);
    mark_ending(&mut observed, 0, "Blocked", "ConfigMap theirs-1 was not created by graftling");
    assert_eq!(model.complaints(&observed), [""; 0]);
    let gone = ideal(&model, &[B]);
    complains(&model, &gone, "(S1)");
    mark_ending(&mut observed, 0, "Blocked", "something");
    complains(&model, &observed, "does not name one");
    done(&mut model, Operation::Unplant(A));
    complains(&model, &observed, "its teardown does not end");
    assert_eq!(model.complaints(&gone), [""; 0]);
}

#[test]
fn f42_what_lost_our_label_holds_a_teardown_up_until_it_has_it_again() {
    let (mut model, mut observed) = settled();
    done(&mut model, Operation::Unlabel(A, Target::Keys));
    assert_eq!(model.complaints(&observed), [""; 0], "put back");
    push(&mut model, A, None);
    mark_ending(&mut observed, 0, "Blocked", "v1 Secret keys no longer bears graftling's label");
    assert_eq!(model.complaints(&observed), [""; 0]);
    let key = (name(A), "Secret".to_owned(), "keys".to_owned());
    let live = observed.objects.entry(key).or_default();
    set(live, "/metadata/labels", &json!({}));
    model.settle(&observed);
    assert_eq!(model.complaints(&observed), [""; 0], "as long as it takes");
    mark_ending(&mut observed, 0, "Blocked", "v1 Secret others no longer bears graftling's label");
    complains(&model, &observed, "does not name one");
    done(&mut model, Operation::Unplant(A));
    complains(&model, &observed, "its teardown does not end");
    assert_eq!(model.complaints(&ideal(&model, &[B])), [""; 0]);
}

#[test]
fn f41_a_namespace_of_others_is_named_and_left_alone() {
    let (mut model, mut observed) = settled();
    push(&mut model, A, None);
    let gone = ideal(&model, &[B]);
    model.settle(&gone);
    model.happened(&Operation::PlantNamespace(A), &Effect::Done(name(A)));
    push(&mut model, A, Some("a2"));
    set(&mut observed.environments[0], "/spec/revision", &json!("a2"));
    set(&mut observed.environments[0], "/status/phase", &json!("Failed"));
    set(
        &mut observed.environments[0],
        "/status/message",
        &json!("Namespace shop-0 was not created by graftling"),
    );
    observed.environments[0]["status"]["conditions"] = json!([{ "type": "Ready", "status": "False", "reason": "NotOurs" }]);
    complains(&model, &observed, "(S1)");
    observed
        .namespaces
        .insert(name(A), json!({ "metadata": { "labels": { "whose": "theirs" } } }));
    assert_eq!(model.complaints(&observed), [""; 0]);
    let message = observed.environments[0]["status"]["message"].take();
    set(
        &mut observed.environments[0],
        "/status/message",
        &json!("templates/all.yaml:9: no such value"),
    );
    complains(&model, &observed, "a namespace of others is in its way");
    let mut broken = model.clone();
    done(&mut broken, Operation::Break);
    assert!(
        !broken
            .complaints(&observed)
            .iter()
            .any(|complaint| complaint.contains("in its way")),
        "either may be told"
    );
    observed.environments[0]["status"]["message"] = message;
    observed.namespaces.insert(
        name(A),
        json!({ "metadata": { "labels": { "whose": "theirs", "graftling.dev/environment": "x" } } }),
    );
    complains(&model, &observed, "(S1)");
}

#[test]
fn feature_l5_a_limit_makes_branches_wait_and_ends_nothing() {
    let (mut model, _) = settled();
    done(&mut model, Operation::Limit(Some(2)));
    let two = ideal(&model, &[A, B]);
    model.settle(&two);
    push(&mut model, Branch(2), Some("c1"));
    let mut two = ideal(&model, &[A, B]);
    complains(&model, &two, "it waits for room, and the Project's status does not say so");
    two.project["status"]["skipped"] = json!([{ "branch": Branch(2).name(), "reason": "no room" }]);
    assert_eq!(model.complaints(&two), [""; 0]);
    complains(&model, &ideal(&model, &[A, B, Branch(2)]), "there may be 2");
    done(&mut model, Operation::Limit(Some(1)));
    assert_eq!(model.complaints(&two), [""; 0], "those that are there stay");
    done(&mut model, Operation::Limit(None));
    complains(&model, &two, "it has no environment");
}

#[test]
fn f64_the_brake_may_hold_four_and_not_three() {
    for (count, allowed) in [(4, true), (3, false)] {
        let mut model = Model::new();
        let all: Vec<_> = Branch::all().collect();
        all.iter().for_each(|branch| push(&mut model, *branch, Some("r1")));
        let before = ideal(&model, &all);
        model.settle(&before);
        let gone = &all[..count];
        gone.iter().for_each(|branch| push(&mut model, *branch, None));
        let mut held = before.clone();
        complains(&model, &held, "the branch is gone, and its environment is not");
        let names: Vec<_> = gone.iter().map(|branch| branch.name()).collect();
        held.project["status"]["brake"] = json!({ "branches": names });
        held.project["status"]["conditions"] = json!([{ "type": "Ready", "status": "False", "reason": "Braked" }]);
        assert_eq!(model.complaints(&held).is_empty(), allowed, "{:?}", model.complaints(&held));
        let rest = ideal(&model, &all[count..]);
        assert_eq!(model.complaints(&rest), [""; 0], "nothing has to be held");
        if allowed {
            model.settle(&held);
            complains(&model, &rest, "it goes although nobody released it (S4)");
            push(&mut model, all[0], Some("r2"));
            assert_eq!(
                model.complaints(&held).len(),
                2,
                "the brake holds one that is there, and it shows what it was"
            );
            done(&mut model, Operation::ReleaseBrake);
            assert!(!model.complaints(&rest).iter().any(|complaint| complaint.contains("released")));
        }
    }
}
