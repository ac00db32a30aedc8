//! What a Project says of pull requests → domain.

use crate::api::project::{self, PullRequestFilters, PullRequestPolicy, PullRequests};
use crate::domain::policy::{self, Drafts, Filters, Globs, Needs, OnClose, Pattern};

/// Reads the settings; what is wrong is added to `problems`.
pub(super) fn policy(problems: &mut Vec<String>, settings: &PullRequests) -> policy::PullRequestPolicy {
    if settings.policy == PullRequestPolicy::Branches && settings.filters.is_some() {
        problems.push("spec.pullRequests.filters needs spec.pullRequests.policy: PullRequests or Both".to_owned());
    }
    policy::PullRequestPolicy {
        needs: match settings.policy {
            PullRequestPolicy::Branches => Needs::Branch,
            PullRequestPolicy::PullRequests => Needs::PullRequest,
            PullRequestPolicy::Both => Needs::Either,
        },
        filters: settings
            .filters
            .as_ref()
            .map(|settings| filters(problems, settings))
            .unwrap_or_default(),
        on_close: match settings.on_close {
            project::OnClose::Keep => OnClose::Keep,
            project::OnClose::Sleep => OnClose::Sleep,
            project::OnClose::Teardown => OnClose::Teardown,
        },
    }
}

fn filters(problems: &mut Vec<String>, settings: &PullRequestFilters) -> Filters {
    let mut globs = |name: &str, texts: &[String]| {
        let read = Globs::new(&format!("spec.pullRequests.filters.{name}"), texts);
        read.map_err(|error| problems.push(error.to_string())).unwrap_or_default()
    };
    let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
    Filters {
        source: globs("source", &settings.source),
        target: globs("target", &settings.target),
        paths: globs("paths", &settings.paths),
        labels: settings.labels.iter().cloned().collect(),
        title: patterns(&settings.title),
        authors: patterns(&settings.authors.include),
        not_authors: patterns(&settings.authors.exclude),
        drafts: match settings.drafts {
            project::Drafts::Include => Drafts::Include,
            project::Drafts::Ignore => Drafts::Ignore,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "an unreadable example is the test's failure")]

    use serde_json::json;

    use super::*;

    fn read(settings: serde_json::Value) -> (policy::PullRequestPolicy, Vec<String>) {
        let mut problems = Vec::new();
        let read = policy(&mut problems, &serde_json::from_value(settings).unwrap());
        (read, problems)
    }

    #[test]
    fn a_project_that_says_nothing_of_pull_requests_gives_environments_to_branches_and_keeps_them() {
        let (policy, problems) = read(json!({}));
        assert_eq!((policy.needs, policy.on_close), (Needs::Branch, OnClose::Keep));
        assert_eq!(problems, [] as [&str; 0]);
    }

    #[test]
    fn every_filter_reaches_the_domain_and_a_broken_glob_is_named_with_its_field() {
        let all = json!({ "policy": "Both", "onClose": "Sleep", "filters": {
            "labels": ["preview"], "title": ["*"], "source": ["feature/*"], "target": ["main"], "paths": ["web/**"],
            "authors": { "include": ["ada"], "exclude": ["*[bot]"] }, "drafts": "Ignore",
        }});
        let (policy, problems) = read(all);
        assert_eq!((policy.needs, policy.on_close), (Needs::Either, OnClose::Sleep));
        assert_eq!(problems, [] as [&str; 0]);
        let filters = policy.filters;
        assert_eq!((filters.labels.len(), filters.title.len(), filters.drafts), (1, 1, Drafts::Ignore));
        assert!(filters.source.match_one("feature/a") && !filters.source.match_one("b"));
        assert!(filters.target.match_one("main") && !filters.target.match_one("b"));
        assert!(filters.paths.match_one("web/a/b") && !filters.paths.match_one("api/a"));
        assert!(filters.authors[0].matches("ada") && filters.not_authors[0].matches("renovate[bot]"));
        let (_, problems) = read(json!({ "policy": "PullRequests", "filters": { "paths": ["a["] } }));
        assert_eq!(problems, ["spec.pullRequests.filters.paths: \"a[\" is not a glob"]);
        let (_, problems) = read(json!({ "filters": { "labels": ["a"] } }));
        assert_eq!(problems.len(), 1, "a filter that does nothing is a lie");
    }
}
