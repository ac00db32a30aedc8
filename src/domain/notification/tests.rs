#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn run(number: u64, ended: Option<RunState>) -> ToldRun {
    let begin = i64::try_from(number).unwrap() * 100;
    ToldRun {
        number,
        revision: format!("{number:040}"),
        started: at(begin),
        ended: ended.map(|state| (at(begin + 10), state)),
        message: Some("the Job failed: token=hunter2hunter2hunter2".to_owned()),
        removal: false,
    }
}

fn environment(runs: Vec<ToldRun>) -> Told {
    Told {
        namespace: "team".to_owned(),
        project: "shop".to_owned(),
        name: "shop-feature-a".to_owned(),
        uid: "0000-1111".to_owned(),
        branch: "feature/a".to_owned(),
        repository: "acme/shop".to_owned(),
        url: Some("https://shop.example.com".to_owned()),
        created: Some(at(0)),
        runs,
        removed: None,
    }
}

fn names_of(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.name()).collect()
}

fn cloud(environment: &Told, event: &Event) -> Value {
    let (kind, text) = body(&Format::CloudEvents, environment, event).unwrap();
    assert_eq!(kind, "application/cloudevents+json");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn feature_f5_an_environment_amounts_to_its_events_in_order_whatever_the_order_of_its_history() {
    let life = environment(vec![
        run(3, None),
        run(1, Some(RunState::Failed)),
        run(2, Some(RunState::Succeeded)),
    ]);
    let wanted = [
        "environment.created",
        "pipelinerun.started",
        "pipelinerun.finished",
        "pipelinerun.started",
        "pipelinerun.finished",
        "service.deployed",
        "environment.modified",
        "pipelinerun.started",
    ];
    assert_eq!(names_of(&life.events()), wanted);
    let mut over = life;
    over.removed = Some(Removed {
        at: at(900),
        revision: Some("0".repeat(40)),
        because: "the branch was deleted".to_owned(),
    });
    assert_eq!(names_of(&over.events())[8..], ["service.removed", "environment.deleted"]);
    over.removed.as_mut().unwrap().revision = None;
    assert_eq!(
        names_of(&over.events())[8..],
        ["environment.deleted"],
        "what never was there is not removed"
    );
}

#[test]
fn feature_f5_the_run_before_a_removal_deploys_nothing() {
    let mut farewell = run(2, Some(RunState::Succeeded));
    farewell.removal = true;
    let events = environment(vec![farewell]).events();
    assert_eq!(
        names_of(&events),
        ["environment.created", "pipelinerun.started", "pipelinerun.finished"]
    );
}

#[test]
fn feature_f5_a_receiver_is_told_what_comes_after_the_last_and_a_new_one_nothing_of_the_past() {
    let life = environment(vec![run(1, Some(RunState::Succeeded)), run(2, None)]);
    let all = BTreeSet::new();
    let told = life.events()[3].place;
    assert_eq!(names_of(&life.pending(&all, Some(told), at(0))), ["pipelinerun.started"]);
    assert_eq!(names_of(&life.pending(&all, None, at(150))), ["pipelinerun.started"]);
    assert_eq!(life.pending(&all, None, at(0)).len(), 5);
    let only = BTreeSet::from([Kind::ServiceDeployed]);
    assert_eq!(names_of(&life.pending(&only, None, at(0))), ["service.deployed"]);
}

#[test]
fn feature_e4_every_event_has_an_identifier_of_its_own_that_never_changes() {
    let life = environment(vec![run(1, Some(RunState::Succeeded)), run(2, Some(RunState::Succeeded))]);
    let ids: BTreeSet<String> = life.events().iter().map(|event| life.id(event)).collect();
    assert_eq!(ids.len(), life.events().len());
    assert!(ids.contains("0000-1111.2.environment-modified"), "{ids:?}");
    let mut later = life.clone();
    later.runs.push(run(3, None));
    let again: BTreeSet<String> = later.events().iter().map(|event| later.id(event)).collect();
    assert!(ids.is_subset(&again));
}

#[test]
fn feature_e4_a_body_has_what_cloudevents_and_cdevents_require() {
    let mut life = environment(vec![run(1, Some(RunState::Failed)), run(2, Some(RunState::Succeeded))]);
    life.removed = Some(Removed {
        at: at(900),
        revision: Some("a".repeat(40)),
        because: String::new(),
    });
    for event in life.events() {
        let body = cloud(&life, &event);
        for name in ["id", "source", "specversion", "type"] {
            assert!(body[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {body}");
        }
        assert_eq!(body["specversion"], "1.0");
        assert!(body["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
        let data = &body["data"];
        for (name, wanted) in [("id", "id"), ("source", "source"), ("type", "type"), ("timestamp", "time")] {
            assert_eq!(data["context"][name], body[wanted], "{name}");
        }
        assert_eq!(data["context"]["specversion"], "0.5.1");
        let kind = format!("dev.cdevents.{}.0.3.0", event.kind.name());
        assert_eq!(body["type"], kind);
        assert!(data["subject"]["id"].is_string() && data["subject"]["content"].is_object());
        if event.kind == Kind::ServiceDeployed {
            assert_eq!(data["subject"]["content"]["environment"]["id"], "0000-1111");
            let artifact = format!("pkg:generic/acme/shop@{:040}", 2);
            assert_eq!(data["subject"]["content"]["artifactId"], artifact);
        }
    }
    let failed = cloud(&life, &life.events()[2]);
    let content = &failed["data"]["subject"]["content"];
    assert_eq!(content["outcome"], "failure");
    assert!(!content["errors"].as_str().unwrap().contains("hunter2"), "{content}");
}

#[test]
fn threat_t33_a_branch_calls_nobody_in_a_chat_and_makes_no_link() {
    let mut life = environment(vec![run(1, None)]);
    life.branch = "<!channel>&<https://evil.example|click>@here\u{202e}".to_owned();
    let (_, text) = body(&Format::Slack, &life, &life.events()[0]).unwrap();
    let said: Value = serde_json::from_str(&text).unwrap();
    let said = said["text"].as_str().unwrap();
    assert!(
        !said.contains('<') && !said.contains("@here") && !said.contains('\u{202e}'),
        "{said}"
    );
    assert!(said.contains("&lt;!channel&gt;&amp;"), "{said}");
    life.branch = "x".repeat(5000);
    let (_, text) = body(&Format::Slack, &life, &life.events()[0]).unwrap();
    assert!(text.len() < 1000);
}

#[test]
fn feature_e4_a_template_makes_json_whatever_the_values_are() {
    let template = Template::new(r#"{"b": "{{branch}}", "n": "{{#if run}}run {{run}}{{else}}no run{{/if}}"}"#).unwrap();
    let mut life = environment(vec![run(1, None)]);
    life.branch = "\"},\"evil\":{\"a\":\"\\".to_owned();
    let format = Format::Template(Box::new(template));
    let (_, text) = body(&format, &life, &life.events()[0]).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (value["b"].as_str().unwrap(), value["n"].as_str().unwrap()),
        (life.branch.as_str(), "no run")
    );
    assert!(value.get("evil").is_none());
    let (_, text) = body(&format, &life, &life.events()[1]).unwrap();
    assert!(text.contains("run 1"), "{text}");
}

#[test]
fn feature_e4_a_template_that_could_grow_or_escape_is_refused() {
    let deep = format!("{}{}", "{{#if branch}}".repeat(5), "{{/if}}".repeat(5));
    let long = " ".repeat(9000);
    let many = "{{#if run}}{{/if}}".repeat(101);
    for text in [
        "{{#each this}}x{{/each}}",
        "{{{branch}}}",
        "{{&branch}}",
        "{{> part}}",
        "{{#> part}}{{/part}}",
        "{{#*inline \"x\"}}{{/inline}}",
        "{{{{raw}}}}x{{{{/raw}}}}",
        "{{lookup this branch}}",
        "{{#if (eq run 1)}}x{{/if}}",
        "{{unknown}}",
        "{{branch",
        "{{#if run}}",
        "{{/if}}",
        "{{else}}",
        "{{!-- comment --}}",
        "no JSON: {{branch}}",
        "\"{{branch}}",
        "\\{{branch}}",
        &deep,
        &long,
        &many,
    ] {
        assert!(Template::new(text).is_err(), "{text} was accepted");
    }
    assert!(Template::new(r#"{"text": "{{~branch}}"}"#).is_err());
}

proptest! {
    #[test]
    fn threat_t33_no_template_brings_the_process_down(text in "[{}#/~!>&()\\\\\"a-z .]{0,400}") {
        let _ = Template::new(&text);
    }

    #[test]
    fn threat_t33_any_branch_gives_one_json_text(branch in any::<String>()) {
        let mut life = environment(vec![run(1, None)]);
        life.branch = branch;
        let template = Template::new(r#"{"text": "{{text}}", "branch": "{{branch}}"}"#).unwrap();
        for format in [Format::CloudEvents, Format::Slack, Format::Template(Box::new(template))] {
            let (_, text) = body(&format, &life, &life.events()[0]).unwrap();
            prop_assert!(serde_json::from_str::<Value>(&text).unwrap().is_object());
        }
    }
}
