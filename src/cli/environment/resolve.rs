//! Which environment a person means by a text.

use kube::ResourceExt;

use crate::api::Environment;
use crate::app::access::Scope;
use crate::cli::printable::printable;
use crate::domain::name::ProjectName;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// A branch or an environment's name.
    pub text: &'a str,
    /// The Project that it has to belong to.
    pub project: Option<&'a ProjectName>,
    /// Where it was looked for.
    pub scope: &'a Scope,
}

/// Why it is not clear which environment is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// None is.
    #[error("there is no environment {wanted:?}{place}{}", similar(near))]
    FindNone {
        /// What was asked for.
        wanted: String,
        /// Where it was looked for: ` in namespace …`, or nothing.
        place: String,
        /// Branches that are written almost like it.
        near: Vec<String>,
    },
    /// Several are.
    #[error(
        "{wanted:?} means several environments:\n  {}\nchoose one by its name, or with --project or --namespace",
        candidates.join("\n  ")
    )]
    FindSeveral {
        /// What was asked for.
        wanted: String,
        /// Each of them, with what tells it from the others.
        candidates: Vec<String>,
    },
}

/// How many near names are offered.
const NEAR: usize = 5;

/// The environment of exactly this name, else that of this branch.
///
/// # Errors
/// There is none, or more than one.
pub fn resolve<'a>(wanted: &Wanted<'_>, environments: &'a [Environment]) -> Result<&'a Environment, ResolveError> {
    let eligible = || environments.iter().filter(|environment| belongs(environment, wanted.project));
    let mut found: Vec<&Environment> = eligible().filter(|environment| environment.name_any() == wanted.text).collect();
    if found.is_empty() {
        found = eligible().filter(|environment| environment.spec.branch == wanted.text).collect();
    }
    match found.as_slice() {
        [] => Err(ResolveError::FindNone {
            wanted: wanted.text.to_owned(),
            place: place(wanted.scope, wanted.project),
            near: near(wanted.text, eligible().map(|environment| environment.spec.branch.as_str())),
        }),
        [one] => Ok(one),
        several => Err(ResolveError::FindSeveral {
            wanted: wanted.text.to_owned(),
            candidates: several.iter().map(|environment| candidate(environment)).collect(),
        }),
    }
}

/// Where was looked, worded to follow a statement.
pub fn place(scope: &Scope, project: Option<&ProjectName>) -> String {
    let namespace = match scope {
        Scope::Namespace(namespace) => format!(" in namespace {namespace}"),
        Scope::AllNamespaces => String::new(),
    };
    match project {
        Some(project) => format!("{namespace} of project {project}"),
        None => namespace,
    }
}

fn belongs(environment: &Environment, project: Option<&ProjectName>) -> bool {
    project.is_none_or(|project| environment.spec.project_ref.name == project.as_str())
}

fn candidate(environment: &Environment) -> String {
    let namespace = environment.namespace().unwrap_or_default();
    let project = &environment.spec.project_ref.name;
    format!("{} (project {project}, namespace {namespace})", environment.name_any())
}

fn similar(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; similar branches: {}", near.join(", ")),
    }
}

/// The branches nearest to `text`: those that contain it or differ in few letters, best first.
fn near<'a>(text: &str, branches: impl Iterator<Item = &'a str>) -> Vec<String> {
    let text = text.to_lowercase();
    let tolerance = 2.max(text.chars().count() / 4);
    let mut ranked: Vec<(usize, &str)> = branches
        .filter_map(|branch| {
            let lower = branch.to_lowercase();
            let distance = distance(&text, &lower);
            let contains = !text.is_empty() && lower.contains(&text);
            (contains || distance <= tolerance).then_some((distance, branch))
        })
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    ranked.into_iter().take(NEAR).map(|(_, branch)| printable(branch)).collect()
}

/// How many letters have to be put in, taken out or exchanged to make one text of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other_letter) in other.iter().enumerate() {
            let exchanged = diagonal + usize::from(letter != *other_letter);
            diagonal = row[column + 1];
            row[column + 1] = exchanged.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed resolution is the test's failure")]

    use super::*;

    fn environment(namespace: &str, project: &str, branch: &str, name: &str) -> Environment {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "graftling.dev/v1alpha1",
            "kind": "Environment",
            "metadata": { "namespace": namespace, "name": name },
            "spec": {
                "projectRef": { "name": project },
                "branch": branch,
                "repositoryId": "1",
                "revision": "ab".repeat(20),
            },
        }))
        .unwrap()
    }

    fn check(text: &str, project: Option<&str>, environments: &[Environment]) -> Result<String, ResolveError> {
        let project = project.map(|name| name.parse().unwrap());
        let scope = Scope::Namespace("team".parse().unwrap());
        let wanted = Wanted {
            text,
            project: project.as_ref(),
            scope: &scope,
        };
        resolve(&wanted, environments).map(ResourceExt::name_any)
    }

    #[test]
    fn a_branch_names_its_environment() {
        let list = [environment("team", "shop", "feature/a", "shop-feature-a-1")];
        assert_eq!(check("feature/a", None, &list).unwrap(), "shop-feature-a-1");
    }

    #[test]
    fn an_exact_name_wins_over_a_branch_of_that_name() {
        let list = [
            environment("team", "shop", "shop-b-2", "shop-shop-b-2-1"),
            environment("team", "shop", "b", "shop-b-2"),
        ];
        assert_eq!(check("shop-b-2", None, &list).unwrap(), "shop-b-2");
    }

    #[test]
    fn a_branch_of_two_projects_is_ambiguous_and_both_are_listed() {
        let list = [
            environment("team", "shop", "a", "shop-a-1"),
            environment("team", "web", "a", "web-a-2"),
        ];
        let message = check("a", None, &list).unwrap_err().to_string();
        assert!(message.contains("shop-a-1 (project shop, namespace team)"), "{message}");
        assert!(message.contains("web-a-2 (project web, namespace team)"), "{message}");
        assert!(message.contains("--project"), "{message}");
        assert_eq!(check("a", Some("web"), &list).unwrap(), "web-a-2");
    }

    #[test]
    fn an_environment_of_another_project_is_not_found() {
        let list = [environment("team", "shop", "a", "shop-a-1")];
        let message = check("shop-a-1", Some("web"), &list).unwrap_err().to_string();
        assert_eq!(message, "there is no environment \"shop-a-1\" in namespace team of project web");
    }

    #[test]
    fn branches_differ_by_their_case() {
        let list = [environment("team", "shop", "Feature/A", "shop-feature-a-1")];
        let error = check("feature/a", None, &list).unwrap_err();
        assert!(
            matches!(&error, ResolveError::FindNone { near, .. } if near == &["Feature/A"]),
            "{error}"
        );
    }

    #[test]
    fn a_misspelt_branch_is_answered_with_the_nearest_ones_first() {
        let list: Vec<Environment> = ["feature/log", "feature/login", "feature/login-page", "main", "fix/cart"]
            .iter()
            .map(|branch| environment("team", "shop", branch, &format!("shop-{}", branch.replace('/', "-"))))
            .collect();
        let error = check("feature/logn", None, &list).unwrap_err();
        assert!(
            matches!(&error, ResolveError::FindNone { near, .. } if near == &["feature/log", "feature/login"]),
            "{error}"
        );
        let error = check("login", None, &list).unwrap_err();
        assert!(
            matches!(&error, ResolveError::FindNone { near, .. } if near == &["feature/login", "feature/login-page"]),
            "{error}"
        );
        let error = check("zzz", None, &list).unwrap_err();
        assert!(matches!(&error, ResolveError::FindNone { near, .. } if near.is_empty()), "{error}");
    }

    #[test]
    fn a_distance_counts_single_letters() {
        for (one, other, expected) in [("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
