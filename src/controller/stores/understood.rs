//! An object of which a watch may give one that cannot be understood, without breaking off for all others.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An object, or what can be said of it where the rest of it cannot be understood.
#[derive(Debug, Clone)]
pub(super) struct Understood<K>(pub(super) Result<K, Unreadable>);

/// An object that is not as its kind is.
#[derive(Debug, Clone)]
pub(super) struct Unreadable {
    pub(super) metadata: ObjectMeta,
    pub(super) problem: String,
}

/// What every object has.
#[derive(Deserialize)]
struct Named {
    metadata: ObjectMeta,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Understood<K> {
    /// Only what is no object, or has no metadata, is an error: of that nobody could say what it is.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // From text, as every other answer is read: reading from values would be the same program code a second time, half a megabyte.
        let text = Value::deserialize(deserializer)?.to_string();
        match serde_json::from_str(&text) {
            Ok(object) => Ok(Self(Ok(object))),
            Err(error) => {
                let Named { metadata } = serde_json::from_str(&text).map_err(D::Error::custom)?;
                let problem = error.to_string();
                Ok(Self(Err(Unreadable { metadata, problem })))
            }
        }
    }
}

impl<K: Resource> Resource for Understood<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(kind: &K::DynamicType) -> Cow<'_, str> {
        K::kind(kind)
    }

    fn group(kind: &K::DynamicType) -> Cow<'_, str> {
        K::group(kind)
    }

    fn version(kind: &K::DynamicType) -> Cow<'_, str> {
        K::version(kind)
    }

    fn plural(kind: &K::DynamicType) -> Cow<'_, str> {
        K::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use serde_json::json;

    use super::*;
    use crate::api::Project;

    fn read(object: Value) -> Result<Understood<Project>, serde_json::Error> {
        serde_json::from_value(object)
    }

    #[test]
    fn what_is_as_its_kind_is_has_all_of_it() {
        let spec = json!({ "repository": "shop", "gitHostRef": { "name": "git" }, "bundle": { "name": "web" }, "domain": "example.com" });
        let object = json!({ "metadata": { "name": "shop", "labels": { "a": "b" } }, "spec": spec });
        let whole: Project = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(json!(read(object).unwrap().0.unwrap()), json!(whole));
    }

    #[test]
    fn what_is_otherwise_tells_which_it_is_and_why() {
        let read = read(json!({ "metadata": { "name": "shop", "namespace": "team", "uid": "1" }, "spec": { "repository": 7 } }));
        let read = read.unwrap();
        assert_eq!((read.meta().name.as_deref(), read.meta().uid.as_deref()), (Some("shop"), Some("1")));
        let unreadable = read.0.unwrap_err();
        assert!(unreadable.problem.contains("expected a string"), "{}", unreadable.problem);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for value in [json!(7), json!({ "spec": {} }), json!({ "metadata": "shop" })] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }
}
