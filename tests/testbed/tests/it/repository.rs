//! Repositories behave as those of a Git host.

use std::fs;

use testbed::Repository;

#[test]
fn commits_arrive_in_the_bare_repository() {
    let repository = Repository::create().unwrap();
    let main = repository.head("main").unwrap().expect("there from the beginning");
    let revision = repository.commit("feature/a", &[("src/app.txt", "one"), ("b.txt", "two")]).unwrap();
    assert_eq!(repository.head("feature/a").unwrap(), Some(revision.clone()));
    assert_eq!(repository.head("main").unwrap(), Some(main.clone()), "main did not move");
    assert_eq!(repository.git(["show", &format!("{revision}:src/app.txt")]).unwrap(), "one");
    assert_eq!(repository.git(["rev-parse", &format!("{revision}^")]).unwrap().trim(), main);
    let second = repository.commit("feature/a", &[("src/app.txt", "three")]).unwrap();
    assert_eq!(repository.git(["rev-parse", &format!("{second}^")]).unwrap().trim(), revision);
}

#[test]
fn a_missing_branch_has_no_head() {
    let repository = Repository::create().unwrap();
    repository.commit("feature/a", &[]).unwrap();
    assert_eq!(repository.head("feature").unwrap(), None, "a prefix of a name is another name");
}

#[test]
fn a_forced_push_moves_a_branch_back() {
    let repository = Repository::create().unwrap();
    let old = repository.commit("feature", &[("a", "1")]).unwrap();
    repository.commit("feature", &[("a", "2")]).unwrap();
    repository.force_push("feature", &old).unwrap();
    assert_eq!(repository.head("feature").unwrap(), Some(old));
}

#[test]
fn many_branches_come_and_go_in_one_push_and_the_hook_really_runs() {
    let repository = Repository::create().unwrap();
    let log = repository.path().join("received");
    repository.install_post_receive("{ echo push; cat; } >>received").unwrap();
    let revisions = repository.push_many(&[("a", &[("f", "1")]), ("b", &[("f", "1")])]).unwrap();
    assert_ne!(revisions[0], revisions[1]);
    repository.delete_branches(&["a", "b"]).unwrap();
    assert_eq!(repository.head("a").unwrap(), None);
    let none = "0".repeat(40);
    let expected = format!(
        "push\n{none} {a} refs/heads/a\n{none} {b} refs/heads/b\npush\n{a} {none} refs/heads/a\n{b} {none} refs/heads/b\n",
        a = revisions[0],
        b = revisions[1]
    );
    assert_eq!(fs::read_to_string(log).unwrap(), expected);
}

#[test]
fn a_renamed_branch_keeps_its_revision() {
    let repository = Repository::create().unwrap();
    let revision = repository.commit("old", &[("a", "1")]).unwrap();
    repository.rename_branch("old", "new").unwrap();
    assert_eq!(repository.head("old").unwrap(), None);
    assert_eq!(repository.head("new").unwrap(), Some(revision));
}

#[test]
fn a_tag_may_have_the_name_of_a_branch() {
    let repository = Repository::create().unwrap();
    let main = repository.head("main").unwrap().unwrap();
    let branch = repository.commit("same", &[("a", "1")]).unwrap();
    repository.tag("same", &main).unwrap();
    assert_eq!(repository.head("same").unwrap(), Some(branch.clone()));
    let later = repository.commit("same", &[("a", "2")]).unwrap();
    assert_eq!(repository.git(["rev-parse", &format!("{later}^")]).unwrap().trim(), branch);
    repository.delete_tag("same").unwrap();
    assert_eq!(repository.git(["ls-remote", "--tags", "origin"]).unwrap(), "");
}

#[test]
fn a_failure_tells_the_command_and_what_git_said() {
    let repository = Repository::create().unwrap();
    let error = repository.force_push("feature", "no-such-revision").expect_err("git refuses");
    let text = error.to_string();
    assert!(
        text.starts_with("`git push --quiet origin +no-such-revision:refs/heads/feature` failed"),
        "{text}"
    );
    assert!(text.contains("does not match any"), "{text}");
}

#[test]
fn branch_names_with_shell_and_unicode_characters_work() {
    let repository = Repository::create().unwrap();
    for name in [
        "feature/$(touch x)".replace(' ', "-"),
        "grün/✓".to_owned(),
        "true".to_owned(),
        "a'b\"c".to_owned(),
    ] {
        let revision = repository.commit(&name, &[("f", &name)]).unwrap();
        assert_eq!(repository.head(&name).unwrap(), Some(revision), "{name}");
    }
}
