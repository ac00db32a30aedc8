#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use futures::stream;
use serde_json::json;

use super::*;

/// A Project of that name and UID, in a version that one character stands for.
fn project(name: &str, version: char) -> Project {
    let host = json!({ "name": "git" });
    let spec = json!({ "repository": "shop", "gitHostRef": host, "bundle": { "name": "web" }, "domain": "example.com" });
    let metadata = json!({ "name": name, "namespace": "n", "uid": name, "resourceVersion": version });
    serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
}

/// The events of a listing of what is written as `a1 b2`: names with a version.
fn listing(objects: &str) -> Vec<Event<Project>> {
    let shown = objects.split_whitespace().map(|text| Event::InitApply(read(text)));
    [Event::Init].into_iter().chain(shown).chain([Event::InitDone]).collect()
}

fn read(text: &str) -> Project {
    let mut parts = text.chars();
    project(&parts.next().unwrap().to_string(), parts.next().unwrap())
}

fn written(project: &Project) -> String {
    let metadata = &project.metadata;
    format!(
        "{}{}",
        metadata.name.as_deref().unwrap(),
        metadata.resource_version.as_deref().unwrap()
    )
}

/// What is told of these events, with a minus before those that are told to be gone, and what the store holds after them.
async fn followed(events: Vec<Event<Project>>, hidden: Hidden) -> (String, String) {
    let (sender, mut receiver) = mpsc::channel(16);
    let (store, writer) = store();
    let follower = Follower {
        scope: Scope::default(),
        changes: sender,
        kept: Kept::new(writer, (), hidden),
    };
    let events = stream::iter(events.into_iter().map(Ok));
    follower.follow(events, Change::Project, Change::ProjectGone).await;
    let mut told = Vec::new();
    while let Some(change) = receiver.recv().await {
        match change {
            Change::Project(object) => told.push(written(&object)),
            Change::ProjectGone(object) => told.push(format!("-{}", written(&object))),
            _ => {}
        }
    }
    let mut held: Vec<_> = store.state().iter().map(|project| written(project)).collect();
    held.sort();
    (told.join(" "), held.join(" "))
}

/// As [`followed`], with what is told of the first listing in the order of names: it comes in none.
async fn told(first: &str, then: Vec<Event<Project>>) -> (String, String) {
    let events = [listing(first), then].concat();
    let (told, held) = followed(events, Hidden::default()).await;
    let mut told: Vec<_> = told.split(' ').collect();
    let of_first = first.split_whitespace().count();
    told[..of_first].sort_unstable();
    assert_eq!(told[..of_first].join(" "), first);
    (told[of_first..].join(" "), held)
}

fn pair(told: &str, held: &str) -> (String, String) {
    (told.to_owned(), held.to_owned())
}

#[tokio::test]
async fn f18_what_a_new_listing_does_not_hold_any_more_is_told_to_be_gone() {
    let broken_off = vec![Event::Init, Event::Init];
    let again = [broken_off, listing("b1 c1")[1..].to_vec()].concat();
    assert_eq!(told("a1 b1", again).await, pair("c1 -a1", "b1 c1"));
}

#[tokio::test]
async fn f19_of_a_new_listing_only_what_differs_is_told() {
    assert_eq!(told("a1 b1", listing("a1 b1")).await, pair("", "a1 b1"));
    assert_eq!(told("a1 b1", listing("a2 b1")).await, pair("a2", "a2 b1"));
    let missed_before = [listing("a1 b1 c1"), listing("b1 c1")].concat();
    assert_eq!(told("a1 b1", missed_before).await, pair("c1 -a1", "b1 c1"));
}

#[tokio::test]
async fn f19_an_object_that_was_made_again_unseen_is_told_to_be_gone_first() {
    let mut other = project("a", '2');
    other.metadata.uid = Some("other".to_owned());
    let again = vec![Event::Init, Event::InitApply(other), Event::InitDone];
    assert_eq!(told("a1", again).await, pair("-a1 a2", "a2"));
}

#[tokio::test]
async fn what_cannot_be_understood_any_more_is_held_no_longer_and_not_told_to_be_gone() {
    let hidden = Hidden::default();
    hidden.insert(Some("a".to_owned()));
    let events = [listing("a1"), listing("b1")].concat();
    assert_eq!(followed(events, hidden).await, pair("a1 b1", "b1"));
}

#[tokio::test]
async fn f14_what_a_listing_holds_is_told_once_the_store_holds_it() {
    let apply = |text: &str| Event::InitApply(read(text));
    let begun = vec![Event::Init, apply("a1"), apply("b1")];
    assert_eq!(
        followed(begun.clone(), Hidden::default()).await,
        pair("", ""),
        "a pass would see what was before"
    );
    assert_eq!(told("a1 b1", Vec::new()).await, pair("", "a1 b1"));
    let broken_off = [begun, listing("b1"), vec![Event::Apply(read("c1"))]].concat();
    assert_eq!(followed(broken_off, Hidden::default()).await, pair("b1 c1", "b1 c1"));
}

/// An Environment that is written as `shop/a1`: its Project, its name and its version.
fn environment(text: &str, uid: &str) -> Environment {
    let (project, rest) = text.split_once('/').unwrap();
    let (name, version) = rest.split_at(1);
    let spec = json!({ "projectRef": { "name": project }, "branch": name, "repositoryId": "1", "revision": "a".repeat(40) });
    let metadata = json!({ "name": name, "namespace": "n", "uid": uid, "resourceVersion": version });
    serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
}

fn shown(environment: &Environment) -> String {
    let metadata = &environment.metadata;
    let (name, version) = (metadata.name.as_deref().unwrap(), metadata.resource_version.as_deref().unwrap());
    format!("{}/{name}{version}", environment.spec.project_ref.name)
}

#[test]
fn f19_whatever_a_watch_shows_projects_have_the_environments_of_the_store() {
    let (store, writer) = store();
    let members = Members::default();
    let mut kept = Kept::new(writer, members.clone(), Hidden::default());
    let one = |text: &str| environment(text, &text[..6]);
    let events = [
        (Event::Init, ""),
        (Event::InitApply(one("shop/a1")), ""),
        (Event::InitApply(one("till/b1")), ""),
        (Event::InitDone, "shop/a1 till/b1"),
        (Event::Apply(one("shop/a2")), "shop/a2 till/b1"),
        (Event::Apply(one("shop/c1")), "shop/a2 shop/c1 till/b1"),
        (Event::Delete(one("till/b2")), "shop/a2 shop/c1"),
        (Event::Init, "shop/a2 shop/c1"),
        (Event::InitApply(one("shop/a3")), "shop/a3 shop/c1"),
        (Event::InitDone, "shop/a3"),
        // Another of the same name, of another Project; nobody saw the one before end.
        (Event::Apply(environment("till/a4", "other")), "till/a4"),
    ];
    for (event, expected) in events {
        kept.take(event);
        let mut held: Vec<_> = store.state().iter().map(|environment| shown(environment)).collect();
        held.sort();
        let of = |project| members.of("n", project);
        let by_project: Vec<_> = of("shop").iter().chain(&of("till")).map(|member| shown(member)).collect();
        assert_eq!((held.join(" ").as_str(), by_project.join(" ").as_str()), (expected, expected));
    }
}
