//! Environments in the forms that `--output` offers.

use clap::ValueEnum;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use crate::api::Environment;
use crate::api::environment::{GraceState, Phase};
use crate::cli::output::{OutputError, json, yaml};
use crate::cli::table::{age, table};

/// The forms of output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people
    #[default]
    Table,
    /// More columns
    Wide,
    /// The objects as JSON
    Json,
    /// The objects as YAML
    Yaml,
    /// Only kind and name, for scripts
    Name,
}

/// Objects as kubectl lists them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<Environment>,
}

/// What stands in a cell that has no content.
pub const NONE: &str = "<none>";

// === impl Format ===

impl Format {
    /// Whether a sentence says more than an empty output.
    pub fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// Several environments. `everywhere`: they may come from several namespaces.
pub fn list(environments: &[Environment], format: Format, everywhere: bool, now: Timestamp) -> Result<String, OutputError> {
    let objects = || Listed {
        api_version: "v1",
        kind: "List",
        items: environments.iter().map(presentable).collect(),
    };
    match format {
        Format::Table | Format::Wide => Ok(columns(environments, format == Format::Wide, everywhere, now)),
        Format::Json => json(&objects()),
        Format::Yaml => yaml(&objects()),
        Format::Name => Ok(environments.iter().map(|environment| reference(environment) + "\n").collect()),
    }
}

/// One environment.
pub fn one(environment: &Environment, format: Format, everywhere: bool, now: Timestamp) -> Result<String, OutputError> {
    match format {
        Format::Json => json(&presentable(environment)),
        Format::Yaml => yaml(&presentable(environment)),
        format => list(std::slice::from_ref(environment), format, everywhere, now),
    }
}

/// Kind and name, as kubectl takes them.
pub fn reference(environment: &Environment) -> String {
    format!("environment.graftling.dev/{}", environment.name_any())
}

/// The phase in one word. A deletion shows before anybody has written it into the status.
pub fn phase(environment: &Environment) -> String {
    let written = environment.status.as_ref().and_then(|status| status.phase);
    let deleting = environment.metadata.deletion_timestamp.is_some();
    match written {
        Some(phase @ (Phase::Deleting | Phase::Blocked)) => format!("{phase:?}"),
        _ if deleting => format!("{:?}", Phase::Deleting),
        Some(phase) => format!("{phase:?}"),
        None => NONE.to_owned(),
    }
}

/// How long an environment is kept whose branch is gone, worded to follow its phase. Empty for every other.
pub fn kept(environment: &Environment, now: Timestamp) -> String {
    let grace = environment.spec.grace.as_ref();
    match grace.filter(|_| environment.metadata.deletion_timestamp.is_none()) {
        Some(grace) if grace.state == GraceState::Sleeping => String::new(),
        Some(grace) if grace.until.0 > now => format!(" ({} left)", age(Some(now), grace.until.0)),
        Some(_) => " (ends at the next look)".to_owned(),
        None => String::new(),
    }
}

/// The first twelve digits of a revision, for people.
pub fn short(revision: &str) -> String {
    revision.chars().take(12).collect()
}

fn columns(environments: &[Environment], wide: bool, everywhere: bool, now: Timestamp) -> String {
    let mut header = vec!["BRANCH", "PHASE", "REVISION", "URL", "AGE"];
    if everywhere {
        header.insert(0, "NAMESPACE");
    }
    if wide {
        header.extend(["NAME", "PROJECT", "MESSAGE"]);
    }
    table(
        &header,
        environments.iter().map(|environment| row(environment, wide, everywhere, now)),
    )
}

fn row(environment: &Environment, wide: bool, everywhere: bool, now: Timestamp) -> Vec<String> {
    let status = environment.status.clone().unwrap_or_default();
    let none = || NONE.to_owned();
    let applied = status.revision.and_then(|revision| revision.applied);
    let created = environment.creation_timestamp().map(|time| time.0);
    let mut cells = vec![
        environment.spec.branch.clone(),
        phase(environment) + &kept(environment, now),
        applied.as_deref().map_or_else(none, short),
        status.url.unwrap_or_else(none),
        age(created, now),
    ];
    if everywhere {
        cells.insert(0, environment.namespace().unwrap_or_default());
    }
    if wide {
        cells.push(environment.name_any());
        cells.push(environment.spec.project_ref.name.clone());
        cells.push(status.message.unwrap_or_else(none));
    }
    cells
}

/// Without the bookkeeping of field ownership, which kubectl does not show either.
fn presentable(environment: &Environment) -> Environment {
    let mut environment = environment.clone();
    environment.metadata.managed_fields = None;
    environment
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an output that cannot be made is the test's failure")]

    use super::*;

    fn environments() -> Vec<Environment> {
        let revision = "0123456789abcdef0123456789abcdef01234567";
        serde_json::from_value(serde_json::json!([
            {
                "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment",
                "metadata": {
                    "name": "shop-feature-a-aaaaaaaaaa", "namespace": "team", "creationTimestamp": "2026-01-01T00:00:00Z",
                    "managedFields": [{ "manager": "graftling" }],
                },
                "spec": { "projectRef": { "name": "shop" }, "branch": "feature/a", "repositoryId": "1", "revision": revision },
                "status": {
                    "phase": "Ready", "url": "https://shop-feature-a-aaaaaaaaaa.example.com",
                    "revision": { "wanted": revision, "applied": revision }, "message": "Everything is ready",
                },
            },
            {
                "apiVersion": "graftling.dev/v1alpha1", "kind": "Environment",
                "metadata": { "name": "shop-b-bbbbbbbbbb", "namespace": "team", "creationTimestamp": "2026-01-01T01:30:00Z" },
                "spec": { "projectRef": { "name": "shop" }, "branch": "b", "repositoryId": "1", "revision": revision },
            },
        ]))
        .unwrap()
    }

    fn shown(format: Format, everywhere: bool) -> String {
        let now: Timestamp = "2026-01-01T02:00:00Z".parse().unwrap();
        list(&environments(), format, everywhere, now).unwrap()
    }

    #[test]
    fn a_table_has_kubectl_s_columns() {
        insta::assert_snapshot!(shown(Format::Table, false), @r"
        BRANCH      PHASE    REVISION       URL                                             AGE
        feature/a   Ready    0123456789ab   https://shop-feature-a-aaaaaaaaaa.example.com   120m
        b           <none>   <none>         <none>                                          30m
        ");
    }

    #[test]
    fn a_wide_table_of_all_namespaces_tells_environments_apart() {
        insta::assert_snapshot!(shown(Format::Wide, true), @r"
        NAMESPACE   BRANCH      PHASE    REVISION       URL                                             AGE    NAME                        PROJECT   MESSAGE
        team        feature/a   Ready    0123456789ab   https://shop-feature-a-aaaaaaaaaa.example.com   120m   shop-feature-a-aaaaaaaaaa   shop      Everything is ready
        team        b           <none>   <none>         <none>                                          30m    shop-b-bbbbbbbbbb           shop      <none>
        ");
    }

    #[test]
    fn names_can_be_given_to_kubectl() {
        assert_eq!(
            shown(Format::Name, true),
            "environment.graftling.dev/shop-feature-a-aaaaaaaaaa\nenvironment.graftling.dev/shop-b-bbbbbbbbbb\n"
        );
    }

    #[test]
    fn json_and_yaml_hold_the_same_list_without_managed_fields() {
        let from_json: serde_json::Value = serde_json::from_str(&shown(Format::Json, false)).unwrap();
        let from_yaml: serde_json::Value = serde_saphyr::from_str(&shown(Format::Yaml, false)).unwrap();
        assert_eq!(from_json, from_yaml);
        assert_eq!(from_json["kind"], "List");
        assert_eq!(from_json["items"][0]["kind"], "Environment");
        assert_eq!(from_json["items"][0]["metadata"]["managedFields"], serde_json::Value::Null);
    }

    #[test]
    fn one_environment_as_json_is_the_object_itself() {
        let text = one(&environments()[0], Format::Json, false, Timestamp::UNIX_EPOCH).unwrap();
        let object: Environment = serde_json::from_str(&text).unwrap();
        assert_eq!(object, presentable(&environments()[0]));
    }

    #[test]
    fn feature_x12_an_environment_without_its_branch_shows_how_long_it_is_kept() {
        let mut environment = environments().remove(0);
        environment.spec.grace = serde_json::from_value(serde_json::json!({
            "state": "Resting", "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z", "reason": "because",
        }))
        .unwrap();
        let at = |text: &str| kept(&environment, text.parse().unwrap());
        assert_eq!(at("2026-01-01T02:00:00Z"), " (22h left)");
        assert_eq!(at("2026-01-02T00:00:00Z"), " (ends at the next look)");
        environment.metadata.deletion_timestamp = environment.metadata.creation_timestamp.clone();
        assert_eq!(kept(&environment, Timestamp::UNIX_EPOCH), "");
    }

    #[test]
    fn a_deletion_shows_before_the_status_says_so() {
        let mut environment = environments().remove(0);
        environment.metadata.deletion_timestamp = environment.metadata.creation_timestamp.clone();
        assert_eq!(phase(&environment), "Deleting");
    }
}
