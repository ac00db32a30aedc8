//! Who wrote which value, and that this never changes what the values are.
#![allow(clippy::unwrap_used, reason = "the test's own literals are mappings")]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::render::merge_values;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn layered(defaults: Value, layers: &[(Origin, Value)]) -> Layered {
    let layers: Vec<_> = layers
        .iter()
        .map(|(origin, values)| Layer::new(origin.clone(), map(values.clone())))
        .collect();
    layer_values(&map(defaults), &layers)
}

fn told(layered: &Layered) -> Vec<String> {
    let told = |(path, origin): (&ValuePath, &Origin)| format!("{path}: {origin:?}");
    let deleted = layered.deleted().map(|(path, origin)| format!("{path} deleted: {origin:?}"));
    layered.leaves().map(told).chain(deleted).collect()
}

#[test]
fn feature_p1_every_value_knows_who_wrote_it() {
    let layered = layered(
        json!({ "image": "a", "web": { "replicas": 1, "port": 80, "probe": "/" }, "config": {}, "args": [1] }),
        &[
            (Origin::Project, json!({ "web": { "replicas": 2 }, "config": { "A": "1" } })),
            (Origin::Rule("release/*".into()), json!({ "web": { "replicas": 3, "probe": null } })),
            (Origin::BranchFile, json!({ "config": { "B": "2" } })),
            (Origin::Environment, json!({ "args": [2], "config": { "A": null } })),
        ],
    );
    assert_eq!(
        told(&layered),
        [
            "args: Environment",
            "config.B: BranchFile",
            "image: Bundle",
            "web.port: Bundle",
            "web.replicas: Rule(\"release/*\")",
            "config.A deleted: Environment",
            "web.probe deleted: Rule(\"release/*\")",
        ]
    );
    let origin = |names: &[&str]| layered.origin(&ValuePath::new(names.iter().copied())).cloned();
    assert_eq!(
        origin(&["web"]),
        Some(Origin::Rule("release/*".into())),
        "the strongest layer below"
    );
    assert_eq!(origin(&["args", "0"]), Some(Origin::Environment), "a list is one value");
    assert_eq!(origin(&["config", "A"]), Some(Origin::Environment), "who took it away");
    assert_eq!(origin(&["nowhere"]), None);
}

#[test]
fn what_was_deleted_and_written_again_belongs_to_whom_wrote_it() {
    let layered = layered(
        json!({ "web": { "a": 1 } }),
        &[
            (Origin::Project, json!({ "web": null })),
            (Origin::Environment, json!({ "web": { "b": 2 } })),
        ],
    );
    assert_eq!(told(&layered), ["web.b: Environment"]);
}

#[test]
fn a_layer_of_another_shape_wins_and_is_told_with_both_origins() {
    let layered = layered(
        json!({ "web": { "a": 1 }, "list": [1] }),
        &[
            (Origin::Project, json!({ "web": true })),
            (Origin::BranchFile, json!({ "list": { "x": 1 }, "web": { "b": 1 } })),
        ],
    );
    assert_eq!(
        Value::Object(layered.values().clone()),
        json!({ "web": { "b": 1 }, "list": { "x": 1 } })
    );
    let told: Vec<_> = layered.clashes().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "values.web: a value that is no mapping from the Project's spec.values replaces the mapping from the bundle's values.yaml",
            "values.list: a mapping from .graftling.yaml of the branch replaces the value that is no mapping from the bundle's values.yaml",
            "values.web: a mapping from .graftling.yaml of the branch replaces the value that is no mapping from the Project's spec.values",
        ]
    );
}

/// Few names, so that layers meet one another, and every shape.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(1)),
        Just(json!("x")),
        Just(json!([])),
        Just(json!({}))
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            3 => prop::collection::btree_map("[abc.]", inner.clone(), 0..4).prop_map(|entries| json!(entries)),
            1 => prop::collection::vec(inner, 0..3).prop_map(|items| json!(items)),
        ]
    })
}

fn mappings() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[abc.]", values(), 0..4).prop_map(|entries| map(json!(entries)))
}

/// Names say what they hold (`m` a mapping, `v` a value), and nothing is null.
fn agreeing() -> impl Strategy<Value = Map<String, Value>> {
    let leaves = || prop::collection::btree_map("v[12]", prop_oneof![Just(json!(1)), Just(json!([2]))], 0..3);
    let inner = leaves().prop_map(|entries| json!(entries)).prop_recursive(3, 16, 3, move |inner| {
        (leaves(), prop::collection::btree_map("m[12]", inner, 0..3)).prop_map(|(mut leaves, mappings)| {
            leaves.extend(mappings);
            json!(leaves)
        })
    });
    inner.prop_map(map)
}

fn leaves_of(values: &Map<String, Value>) -> Vec<ValuePath> {
    let mut leaves = BTreeMap::new();
    mark_leaves(values, &mut ValuePath::default(), &mut leaves);
    leaves.into_keys().collect()
}

proptest! {
    #[test]
    fn origins_never_change_the_values_and_cover_exactly_the_leaves(defaults in mappings(), layers in prop::collection::vec(mappings(), 0..5)) {
        let layers: Vec<_> = layers.into_iter().enumerate()
            .map(|(number, values)| Layer::new(Origin::File(number.to_string()), values))
            .collect();
        let layered = layer_values(&defaults, &layers);
        let merged = layers.iter().map(|layer| &layer.values).fold(defaults, merge_values);
        prop_assert_eq!(layered.values(), &merged);
        let known: Vec<_> = layered.leaves().map(|(path, _)| path.clone()).collect();
        prop_assert_eq!(known, leaves_of(&merged));
        for (path, _) in layered.deleted() {
            prop_assert!(layered.get(path).is_none(), "{} is there", path);
        }
    }

    #[test]
    fn a_value_comes_from_the_last_layer_that_has_one_there(layers in prop::collection::vec(agreeing(), 1..5)) {
        let layers: Vec<_> = layers.into_iter().enumerate()
            .map(|(number, values)| Layer::new(Origin::File(number.to_string()), values))
            .collect();
        let layered = layer_values(&Map::new(), &layers);
        prop_assert!(layered.clashes().is_empty());
        for (path, origin) in layered.leaves().filter(|(path, _)| layered.get(path).is_some_and(|value| !value.is_object())) {
            let last = layers.iter().rev().find(|layer| leaves_of(&layer.values).contains(path));
            prop_assert_eq!(last.map(|layer| &layer.origin), Some(origin));
        }
    }

    /// With nulls it is not, and need not be: a null deletes from what is below it, and below a patch there is nothing yet.
    #[test]
    fn merging_is_associative_where_shapes_agree_and_nothing_is_deleted(a in agreeing(), b in agreeing(), c in agreeing()) {
        let left = merge_values(merge_values(a.clone(), &b), &c);
        let right = merge_values(a.clone(), &merge_values(b, &c));
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(merge_values(a.clone(), &a), a);
    }
}
