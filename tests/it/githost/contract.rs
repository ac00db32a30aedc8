//! The contract of `GitHost`: the same tests for every provider.

use std::collections::BTreeMap;

use graftling::domain::git::Provider;
use graftling::githost::{Class, Error};

use super::{Case, branch};

#[tokio::test]
async fn a_listing_holds_every_branch_of_many_pages_with_its_head_and_nothing_else() {
    for case in Case::all().await {
        let (old, new) = (case.scratch.commit("old"), case.scratch.commit("new"));
        let names: Vec<_> = (0..250).map(|number| format!("refs/heads/feature/{number:03}")).collect();
        case.scratch.set(&old, &names.iter().map(String::as_str).collect::<Vec<_>>());
        case.scratch
            .set(&new, &["refs/heads/main", "refs/tags/v1", "refs/notes/commits", "refs/pull/1/head"]);
        let listing = case.host.listing(&case.name).await.expect(case.label);
        let mut expected: BTreeMap<_, _> = names
            .iter()
            .map(|name| (branch(&name[11..]), old.parse().expect("a commit")))
            .collect();
        expected.insert(branch("main"), new.parse().expect("a commit"));
        assert_eq!(listing.branches, expected, "{}", case.label);
        assert_eq!(listing.repository.default_branch, Some(branch("main")), "{}", case.label);
        assert!(listing.pull_requests.is_empty(), "{}", case.label);
    }
}

#[tokio::test]
async fn a_repository_answers_with_the_same_identity_everywhere() {
    for case in Case::all().await {
        case.scratch.set(&case.scratch.commit("one"), &["refs/heads/main"]);
        let repository = case.host.repository(&case.name).await.expect(case.label);
        let listing = case.host.listing(&case.name).await.expect(case.label);
        let lookup = case.host.lookup(&case.name, &branch("main")).await.expect(case.label);
        assert_eq!(repository, listing.repository, "{}", case.label);
        assert_eq!(repository, lookup.repository, "{}", case.label);
        let id = match case.provider {
            Provider::Bitbucket if case.label == super::bitbucket::CLOUD => format!("00000000-0000-4000-8000-{:012}", super::ID),
            Provider::Github | Provider::Gitlab | Provider::Bitbucket | Provider::Gitea => super::ID.to_string(),
            Provider::Git => "shop.git".to_owned(),
        };
        assert_eq!(repository.id.as_str(), id, "{}", case.label);
    }
}

#[tokio::test]
async fn a_branch_is_looked_up_by_its_exact_name_however_unusual() {
    let unusual = [
        "a/b/c",
        "émile/🎉",
        "50%",
        "50%25",
        "issue#7",
        "a+b&c=d",
        "main.x",
        "x@y",
        "refs/heads/x",
        "semi;colon",
        "'\"$(id)`",
    ];
    for case in Case::all().await {
        let (main, other) = (case.scratch.commit("main"), case.scratch.commit("other"));
        case.scratch.set(&main, &["refs/heads/main"]);
        let refs: Vec<_> = unusual.iter().map(|name| format!("refs/heads/{name}")).collect();
        case.scratch.set(&other, &refs.iter().map(String::as_str).collect::<Vec<_>>());
        let listing = case.host.listing(&case.name).await.expect(case.label);
        assert_eq!(listing.branches.len(), unusual.len() + 1, "{}", case.label);
        for name in unusual {
            let lookup = case.host.lookup(&case.name, &branch(name)).await.expect(name);
            assert_eq!(lookup.branch, branch(name), "{}", case.label);
            assert_eq!(lookup.head, Some(other.parse().expect("a commit")), "{}: {name}", case.label);
        }
    }
}

#[tokio::test]
async fn a_branch_is_absent_even_when_others_begin_with_its_name() {
    for case in Case::all().await {
        case.scratch.set(
            &case.scratch.commit("one"),
            &["refs/heads/main", "refs/heads/feature/a", "refs/heads/feature-b"],
        );
        for name in ["feature", "feature/a/b", "feature/", "mai", "main2", "Main"] {
            let Ok(name) = name.parse() else { continue };
            let lookup = case.host.lookup(&case.name, &name).await.expect(case.label);
            assert_eq!(lookup.head, None, "{}: {name}", case.label);
            assert_eq!(lookup.pull_request, None, "{}: {name}", case.label);
        }
    }
}

#[tokio::test]
async fn branches_that_are_looked_up_together_stand_where_each_of_them_stands_alone() {
    for case in Case::all().await {
        let (main, other) = (case.scratch.commit("main"), case.scratch.commit("other"));
        case.scratch.set(&main, &["refs/heads/main", "refs/heads/a/b"]);
        case.scratch.set(&other, &["refs/heads/a-c", "refs/heads/a/bc", "refs/tags/gone"]);
        for names in [&["a/b", "main", "a-c"][..], &["a/b", "gone", "a"], &["gone"]] {
            let branches: Vec<_> = names.iter().map(|name| branch(name)).collect();
            let together = case.host.lookups(&case.name, &branches).await.expect(case.label);
            if case.provider != Provider::Git {
                assert_eq!(together, [], "{}", case.label);
                continue;
            }
            let mut alone = Vec::new();
            for branch in &branches {
                alone.push(case.host.lookup(&case.name, branch).await.expect(case.label));
            }
            assert_eq!(together, alone, "{}", case.label);
            let heads: Vec<_> = together.iter().map(|lookup| lookup.head.is_some()).collect();
            assert_eq!(heads, names.iter().map(|name| !["gone", "a"].contains(name)).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn f69_a_tag_with_the_name_of_a_branch_is_not_the_branch() {
    for case in Case::all().await {
        let (main, tagged) = (case.scratch.commit("main"), case.scratch.commit("tagged"));
        case.scratch.set(&main, &["refs/heads/main", "refs/heads/both"]);
        case.scratch.set(&tagged, &["refs/tags/both", "refs/tags/only"]);
        let both = case.host.lookup(&case.name, &branch("both")).await.expect(case.label);
        assert_eq!(both.head, Some(main.parse().expect("a commit")), "{}", case.label);
        let only = case.host.lookup(&case.name, &branch("only")).await.expect(case.label);
        assert_eq!(only.head, None, "{}", case.label);
    }
}

#[tokio::test]
async fn f66_a_force_push_and_a_move_to_an_older_commit_are_what_the_next_answer_says() {
    for case in Case::all().await {
        let (old, new) = (case.scratch.commit("old"), case.scratch.commit("new"));
        case.scratch.set(&old, &["refs/heads/main"]);
        for head in [&new, &old, &new] {
            case.scratch.set(head, &["refs/heads/x"]);
            let lookup = case.host.lookup(&case.name, &branch("x")).await.expect(case.label);
            assert_eq!(lookup.head, Some(head.parse().expect("a commit")), "{}", case.label);
        }
        case.scratch.delete("refs/heads/x");
        let lookup = case.host.lookup(&case.name, &branch("x")).await.expect(case.label);
        assert_eq!(lookup.head, None, "{}", case.label);
    }
}

#[tokio::test]
async fn f64_a_deleted_repository_is_an_error_and_never_an_absent_branch() {
    for case in Case::all().await {
        case.scratch.set(&case.scratch.commit("one"), &["refs/heads/main", "refs/heads/x"]);
        case.delete_repository();
        let answers = [
            case.host.repository(&case.name).await.expect_err(case.label),
            case.host.listing(&case.name).await.expect_err(case.label),
            case.host.lookup(&case.name, &branch("x")).await.expect_err(case.label),
        ];
        for error in answers {
            assert!(matches!(error, Error::RepositoryNotFound { .. }), "{}: {error:?}", case.label);
            assert_eq!(error.class(), Class::NeedsAttention);
        }
    }
}

#[tokio::test]
async fn f64_an_empty_repository_proves_nothing_about_branches() {
    for case in Case::all().await {
        case.host.repository(&case.name).await.expect(case.label);
        let listing = case.host.listing(&case.name).await.expect_err(case.label);
        assert!(matches!(listing, Error::Unusable { .. }), "{}: {listing:?}", case.label);
        let lookup = case.host.lookup(&case.name, &branch("x")).await.expect_err(case.label);
        assert!(matches!(lookup, Error::Unusable { .. }), "{}: {lookup:?}", case.label);
    }
}

#[tokio::test]
async fn f64_a_listing_without_the_default_branch_is_refused_by_name() {
    for case in Case::all().await {
        case.scratch.set(&case.scratch.commit("one"), &["refs/heads/x", "refs/heads/y"]);
        let error = case.host.listing(&case.name).await.expect_err(case.label);
        assert!(
            error.to_string().contains("default branch main is missing"),
            "{}: {error}",
            case.label
        );
    }
}
