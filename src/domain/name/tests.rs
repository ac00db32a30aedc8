//! Properties of the names of environments.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn project(text: &str) -> ProjectKey {
    text.parse().unwrap()
}

fn compute(project: &ProjectKey, repository: &str, branch: &str) -> EnvironmentName {
    EnvironmentName::compute(Identity {
        host_url: "https://git.example.com",
        repository: &repository.parse().unwrap(),
        branch: &branch.parse().unwrap(),
        project,
    })
}

fn assert_valid(name: &EnvironmentName) {
    check_environment(name.as_str()).unwrap_or_else(|rule| panic!("{name} {rule}"));
    check_label(&format!("seventeen-letters-{name}")).unwrap_or_else(|rule| panic!("service-{name} {rule}"));
    assert!(!name.as_str().starts_with("kube-"));
}

#[test]
fn f76_branches_that_look_alike_get_names_of_their_own() {
    let shop = project("team/shop");
    let names: Vec<_> = ["feature/a", "feature-a", "feature_a", "Feature/A", "feature.a"]
        .map(|branch| compute(&shop, "1", branch))
        .to_vec();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    assert!(names.iter().all(|name| name.as_str().starts_with("shop-feature-a-")), "{names:?}");
}

/// The names of live environments depend on this computation: a change here orphans every one of them.
#[test]
fn f76_a_name_is_the_same_in_every_version() {
    insta::assert_snapshot!(compute(&project("team/shop"), "R_1", "feature/login"), @"shop-feature-login-ffsxf7mraa");
}

#[test]
fn f77_a_million_random_and_adversarial_refs_give_distinct_valid_names() {
    let shop = project("team/shop");
    let mut seen: HashMap<EnvironmentName, String> = HashMap::with_capacity(1_100_000);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..1_000_000_u64 {
        let branch = adversarial_ref(number, &mut seed);
        let name = compute(&shop, "1", &branch);
        if number % 64 == 0 {
            assert_valid(&name);
        }
        if let Some(other) = seen.insert(name.clone(), branch.clone()) {
            assert_eq!(other, branch, "both are named {name}");
        }
    }
}

/// Refs that differ only in what a slug drops, beside refs of random letters.
fn adversarial_ref(number: u64, seed: &mut u64) -> String {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    let base = number / 8;
    match number % 8 {
        0 => format!("feature/{base}"),
        1 => format!("feature-{base}"),
        2 => format!("Feature_{base}"),
        3 => format!("feature/ä{base}"),
        4 => format!("wip-{:010x}", *seed & 0xff_ffff_ffff),
        5 => format!("{}{base}", "long-".repeat(20)),
        6 => format!("🎉{base}"),
        _ => format!("{seed:016x}/{base}"),
    }
}

#[test]
fn f78_strange_branches_get_valid_names_that_are_never_reserved() {
    let longest = "x".repeat(250);
    for branch in [
        "🎉",
        "émile",
        "e\u{301}mile",
        "\u{202e}rtl",
        "---a",
        "kube-system",
        "default",
        "true",
        "012",
        longest.as_str(),
        "_",
        "a/-/b",
    ] {
        let Ok(_) = branch.parse::<BranchName>() else { continue };
        for owner in ["team/shop", "team/a", "team/0", &format!("team/{}", "p".repeat(63))] {
            let name = compute(&project(owner), "1", branch);
            assert_valid(&name);
            assert_ne!(name.as_str(), "default");
        }
    }
    assert_ne!(
        compute(&project("t/p"), "1", "émile"),
        compute(&project("t/p"), "1", "e\u{301}mile")
    );
}

#[test]
fn f79_the_same_branch_of_two_repositories_or_hosts_or_projects_is_two_environments() {
    let branch: BranchName = "main".parse().unwrap();
    let names = [
        ("https://a.example", "1", "team/shop"),
        ("https://a.example", "2", "team/shop"),
        ("https://b.example", "1", "team/shop"),
        ("https://a.example", "1", "team/shop2"),
        ("https://a.example", "1", "other/shop"),
    ]
    .map(|(host_url, repository, owner)| {
        EnvironmentName::compute(Identity {
            host_url,
            repository: &repository.parse().unwrap(),
            branch: &branch,
            project: &project(owner),
        })
    });
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}

#[test]
fn feature_n4_a_project_cannot_claim_the_names_of_kubernetes() {
    for text in ["kube", "kube-shop", "", "Shop", "shop_1", "-shop"] {
        assert!(text.parse::<ProjectName>().is_err(), "{text:?} was accepted");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn feature_n2_any_branch_of_any_project_gets_a_valid_name(branch in "\\PC{1,80}", name in "[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?") {
        let (Ok(branch), Ok(name)) = (branch.parse::<BranchName>(), name.parse::<ProjectName>()) else { return Ok(()) };
        let key = ProjectKey { namespace: "team".parse().unwrap(), name };
        let identity = Identity { host_url: "file:///srv/git", repository: &"7".parse().unwrap(), branch: &branch, project: &key };
        let computed = EnvironmentName::compute(identity);
        assert_valid(&computed);
        prop_assert_eq!(computed, EnvironmentName::compute(identity));
    }
}
