//! How an object that is still there shows that it belongs to an environment that is gone, or merely speaks of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use regex::Regex;

use crate::domain::manifest::ObjectKey;
use crate::domain::manifest::scope::OWNER_ANNOTATION_PREFIX;

/// What objects of one environment would be recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The environment's name, which is its namespace's too and belongs to nobody else.
    pub environment: String,
    /// The UID of its Environment.
    pub environment_uid: String,
    /// Every UID that its inventory recorded.
    pub uids: BTreeSet<String>,
}

/// The metadata of an object, as far as it can give anything away.
#[derive(Debug, Clone, Copy)]
pub struct Metadata<'a> {
    /// Which object.
    pub key: &'a ObjectKey,
    /// Its UID.
    pub uid: &'a str,
    /// Its labels.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// Its annotations.
    pub annotations: Option<&'a BTreeMap<String, String>>,
    /// The UIDs of its owners.
    pub owners: &'a [&'a str],
}

/// How an object shows that it has to do with an environment. The first that holds is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// It bears the label.
    Label,
    /// It says that it was made for this very Environment.
    MadeFor,
    /// The environment is named among its owners.
    Owner,
    /// The inventory recorded its UID.
    Recorded,
    /// Something of the inventory owns it.
    OwnedByRecorded,
    /// Its metadata mentions the environment's name: where.
    Mention(Cow<'static, str>),
}

/// An object that shows something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Which object.
    pub key: ObjectKey,
    /// Its UID.
    pub uid: String,
    /// What it shows.
    pub evidence: Evidence,
    /// Whether a teardown kept it, of this environment or of an earlier one of its branch.
    pub retained: bool,
}

/// Whether the trace may be there without anything being wrong: a teardown kept it, the one that is over now (`kept` are UIDs) or an
/// earlier one of the same branch, or its namespace, which is among `traces` under its mark.
pub fn is_kept(trace: &Trace, traces: &[Trace], kept: &BTreeSet<&str>) -> bool {
    let is_home = |home: &&Trace| home.key.kind == "Namespace" && Some(&home.key.name) == trace.key.namespace.as_ref();
    let stays = |trace: &Trace| trace.retained || kept.contains(trace.uid.as_str());
    stays(trace) || traces.iter().find(is_home).is_some_and(stays)
}

/// Finds what objects have to do with any of many environments, in one look at each object.
#[derive(Debug)]
pub struct Index {
    names: HashMap<String, usize>,
    environment_uids: HashMap<String, usize>,
    /// A shared object is in the inventories of several environments.
    uids: HashMap<String, Vec<usize>>,
    mentioned: Option<Regex>,
    marks: Marks,
}

/// The keys that our marks are found under.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// The label that names the environment.
    pub environment_label: &'static str,
    /// The annotation with the Environment's UID.
    pub environment_uid_annotation: &'static str,
}

// === impl Evidence ===

impl Evidence {
    /// Whether it proves that the object is the environment's; everybody may mention a name.
    pub fn is_proof(&self) -> bool {
        !matches!(self, Self::Mention(_))
    }
}

impl std::fmt::Display for Evidence {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Label => "bears the label of this environment",
            Self::MadeFor => "says that it was made for this environment",
            Self::Owner => "names this environment among its owners",
            Self::Recorded => "has a UID that this environment's inventory recorded",
            Self::OwnedByRecorded => "is owned by an object of this environment",
            Self::Mention(place) => place,
        })
    }
}

// === impl Index ===

impl Index {
    /// An index of `environments`, which are told by their place from then on.
    pub fn new<'a>(environments: impl IntoIterator<Item = &'a Traces>, marks: Marks) -> Self {
        let mut index = Self {
            names: HashMap::new(),
            environment_uids: HashMap::new(),
            uids: HashMap::new(),
            mentioned: None,
            marks,
        };
        for (place, traces) in environments.into_iter().enumerate() {
            index.names.insert(traces.environment.clone(), place);
            index.environment_uids.insert(traces.environment_uid.clone(), place);
            for uid in &traces.uids {
                index.uids.entry(uid.clone()).or_default().push(place);
            }
        }
        let mut names: Vec<_> = index.names.keys().map(|name| regex::escape(name)).collect();
        // Of two names of which one begins the other, the longer is tried first.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        // Names of environments are short and plain, so that only an empty list gives no pattern.
        index.mentioned = (!names.is_empty()).then(|| Regex::new(&names.join("|")).ok()).flatten();
        index
    }

    /// The environments that the object has to do with, each with the best evidence.
    pub fn find(&self, object: &Metadata<'_>) -> BTreeMap<usize, Evidence> {
        let mut found = BTreeMap::new();
        let mut tell = |place: usize, evidence: Evidence| {
            let best = found.entry(place).or_insert_with(|| evidence.clone());
            if evidence < *best {
                *best = evidence;
            }
        };
        let recorded = self.uids.get(object.uid).into_iter().flatten();
        recorded.for_each(|place| tell(*place, Evidence::Recorded));
        for owner in object.owners {
            let places = self.uids.get(*owner).into_iter().flatten();
            places.for_each(|place| tell(*place, Evidence::OwnedByRecorded));
        }
        for (key, value) in object.labels.into_iter().flatten() {
            match self.names.get(value) {
                Some(place) if key == self.marks.environment_label => tell(*place, Evidence::Label),
                _ => self.mentions(value, &mut tell, || format!("mentions this environment in its label {key}")),
            }
        }
        for (key, value) in object.annotations.into_iter().flatten() {
            if key == self.marks.environment_uid_annotation {
                self.environment_uids
                    .get(value)
                    .into_iter()
                    .for_each(|place| tell(*place, Evidence::MadeFor));
            } else if let Some(owner) = key.strip_prefix(OWNER_ANNOTATION_PREFIX) {
                self.names.get(owner).into_iter().for_each(|place| tell(*place, Evidence::Owner));
            } else {
                self.mentions(value, &mut tell, || format!("mentions this environment in its annotation {key}"));
            }
        }
        self.mentions(&object.key.name, &mut tell, || "mentions this environment in its name".to_owned());
        if let Some(place) = object.key.namespace.as_ref().and_then(|namespace| self.names.get(namespace)) {
            tell(*place, Evidence::Mention("is in a namespace of this environment's name".into()));
        }
        found
    }

    fn mentions(&self, text: &str, tell: &mut impl FnMut(usize, Evidence), words: impl Fn() -> String) {
        for found in self.mentioned.iter().flat_map(|names| names.find_iter(text)) {
            if let Some(place) = self.names.get(found.as_str()) {
                tell(*place, Evidence::Mention(words().into()));
            }
        }
    }
}

/// Kinds that say nothing of what is left: records of what happened, signs of life, measurements that nothing stores, and what is ours.
pub fn says_nothing(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("" | "events.k8s.io", "Event") | ("coordination.k8s.io", "Lease") | ("graftling.dev", "Environment") | ("", "ComponentStatus")
    ) || group == "metrics.k8s.io"
        || group.ends_with(".metrics.k8s.io")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        environment_label: "graftling.dev/environment",
        environment_uid_annotation: "graftling.dev/environment-uid",
    };

    fn traces(environment: &str, uids: &[&str]) -> Traces {
        Traces {
            environment: environment.into(),
            environment_uid: format!("uid-of-{environment}"),
            uids: uids.iter().map(ToString::to_string).collect(),
        }
    }

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// What an object with this metadata shows of `shop-a` and `shop-b`.
    fn shown(name: &str, uid: &str, labels: &[(&str, &str)], annotations: &[(&str, &str)], owners: &[&str]) -> Vec<(usize, Evidence)> {
        let environments = [traces("shop-a", &["1", "7"]), traces("shop-b", &["2", "7"])];
        let key = ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: Some("elsewhere".into()),
            name: name.into(),
        };
        let (labels, annotations) = (map(labels), map(annotations));
        let metadata = Metadata {
            key: &key,
            uid,
            labels: Some(&labels),
            annotations: Some(&annotations),
            owners,
        };
        Index::new(&environments, MARKS).find(&metadata).into_iter().collect()
    }

    #[test]
    fn feature_x13_each_mark_of_ours_proves_whose_an_object_is() {
        for (found, evidence) in [
            (
                shown("x", "9", &[("graftling.dev/environment", "shop-a")], &[], &[]),
                Evidence::Label,
            ),
            (
                shown("x", "9", &[], &[("graftling.dev/environment-uid", "uid-of-shop-a")], &[]),
                Evidence::MadeFor,
            ),
            (shown("x", "9", &[], &[("owner.graftling.dev/shop-a", "d")], &[]), Evidence::Owner),
            (shown("x", "1", &[], &[], &[]), Evidence::Recorded),
            (shown("x", "9", &[], &[], &["8", "1"]), Evidence::OwnedByRecorded),
        ] {
            assert!(evidence.is_proof());
            assert_eq!(found, [(0, evidence)]);
        }
    }

    #[test]
    fn feature_x13_a_name_alone_is_a_mention_and_no_proof() {
        for found in [
            shown("backup-of-shop-a-1", "9", &[], &[], &[]),
            shown("x", "9", &[("app", "shop-a")], &[], &[]),
            shown("x", "9", &[], &[("note", "was made for shop-a, once")], &[]),
            // The label of an environment whose name is longer is that one's.
            shown("x", "9", &[("graftling.dev/environment", "shop-a-other")], &[], &[]),
        ] {
            assert!(matches!(found.as_slice(), [(0, evidence)] if !evidence.is_proof()), "{found:?}");
        }
        assert_eq!(shown("shop", "9", &[("app", "shop")], &[], &[]), []);
    }

    #[test]
    fn one_object_may_show_something_of_several_environments() {
        let found = shown("x", "7", &[("graftling.dev/environment", "shop-b")], &[], &[]);
        assert_eq!(found, [(0, Evidence::Recorded), (1, Evidence::Label)]);
    }

    #[test]
    fn records_and_measurements_say_nothing_of_what_is_left() {
        assert!(says_nothing("", "Event") && says_nothing("metrics.k8s.io", "PodMetrics"));
        assert!(!says_nothing("", "ConfigMap") && !says_nothing("homes.example.com", "Lease"));
    }
}
