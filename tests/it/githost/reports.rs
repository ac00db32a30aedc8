//! What is written to GitHub where people look.

use std::time::Duration;

use graftling::domain::git::RepositoryName;
use graftling::domain::report::{CommitReport, CommitState, DeploymentReport, DeploymentState};
use graftling::githost::github::{Github, Settings};
use graftling::githost::{Class, GitHost};
use serde_json::json;
use testbed::github::{FakeGithub, Fault, IssueComment, Route};

use super::scratch::Scratch;
use super::{ID, branch};

const MARKER: &str = "<!-- graftling.dev/environment: shop-a -->";

struct Case {
    scratch: Scratch,
    github: FakeGithub,
    host: Github,
    name: RepositoryName,
    commit: String,
}

impl Case {
    async fn new() -> Self {
        let scratch = Scratch::new();
        let github = FakeGithub::start().await.expect("a loopback port is free");
        github.add_repository("acme", "shop", ID, scratch.directory(), "main");
        github.log_in("preview-bot");
        let commit = scratch.commit("one");
        scratch.set(&commit, &["refs/heads/main"]);
        let mut settings = Settings::new(github.url());
        settings.token = Some("ghp_token".to_owned().into());
        let host = Github::connect(&settings).expect("the settings are valid");
        let name = "acme/shop".parse().expect("the name is valid");
        Self {
            scratch,
            github,
            host,
            name,
            commit,
        }
    }

    fn commit_report(&self, state: CommitState) -> CommitReport {
        CommitReport {
            revision: self.commit.parse().expect("a commit"),
            branch: branch("a"),
            context: "preview/shop".to_owned(),
            state,
            description: "the preview is ready".to_owned(),
            target: Some("https://a.example.com".to_owned()),
        }
    }

    fn deployment(&self, state: DeploymentState) -> DeploymentReport {
        DeploymentReport {
            environment: "shop-a".to_owned(),
            revision: self.commit.parse().expect("a commit"),
            branch: branch("a"),
            state,
            description: "is there".to_owned(),
            url: Some("https://a.example.com".to_owned()),
        }
    }

    async fn tell(&self, state: DeploymentState, known: Option<u64>) -> Option<u64> {
        let report = self.host.report().expect("there is a token");
        let told = report.deployment(&self.name, &self.deployment(state), known).await;
        told.expect("the host is well")
    }
}

#[tokio::test]
async fn feature_f2_a_commit_status_is_set_with_context_and_target_and_a_lost_commit_is_no_error() {
    let case = Case::new().await;
    let report = case.host.report().expect("there is a token");
    let told = report.commit(&case.name, &case.commit_report(CommitState::Success)).await;
    told.expect("the host is well");
    let expected = json!({
        "state": "success", "context": "preview/shop", "description": "the preview is ready", "target_url": "https://a.example.com",
    });
    assert_eq!(case.github.statuses_set(), [(case.commit.clone(), expected)]);
    let mut lost = case.commit_report(CommitState::Pending);
    lost.revision = "ab".repeat(20).parse().expect("a commit");
    report.commit(&case.name, &lost).await.expect("nobody looks at it");
    assert_eq!(case.github.statuses_set().len(), 1);
}

#[tokio::test]
async fn feature_f3_a_deployment_is_transient_made_once_and_found_again_when_its_number_is_lost() {
    let case = Case::new().await;
    let id = case.tell(DeploymentState::Queued, None).await;
    assert_eq!(case.tell(DeploymentState::InProgress, None).await, id, "the answer was lost");
    assert_eq!(case.tell(DeploymentState::Success, id).await, id);
    assert_eq!(case.tell(DeploymentState::Inactive, id).await, id);
    let [deployment] = &case.github.deployments()[..] else {
        panic!("{:?}", case.github.deployments());
    };
    let request = &deployment.request;
    assert_eq!(request["ref"], case.commit);
    assert_eq!(request["environment"], "shop-a");
    assert_eq!(
        [
            &request["transient_environment"],
            &request["production_environment"],
            &request["auto_merge"]
        ],
        [true, false, false]
    );
    assert_eq!(request["required_contexts"], json!([]));
    let states: Vec<_> = deployment
        .states
        .iter()
        .map(|state| state["state"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(states, ["queued", "in_progress", "success", "inactive"]);
    assert_eq!(deployment.states[2]["environment_url"], "https://a.example.com");
}

#[tokio::test]
async fn feature_f3_what_was_never_told_is_not_made_to_say_that_it_is_over_and_what_somebody_deleted_is_made_anew() {
    let case = Case::new().await;
    assert_eq!(case.tell(DeploymentState::Inactive, None).await, None);
    assert_eq!(case.github.deployments(), []);
    let id = case.tell(DeploymentState::Queued, None).await.expect("it is made");
    case.github.remove_deployment(id);
    assert_eq!(case.tell(DeploymentState::Inactive, Some(id)).await, None);
    assert_eq!(case.github.deployments(), []);
    assert!(case.tell(DeploymentState::Queued, Some(id)).await.is_some());
    assert_eq!(case.github.deployments().len(), 1);
}

#[tokio::test]
async fn feature_f1_only_a_comment_of_our_own_is_found_by_its_marker_however_many_others_there_are() {
    for is_app in [false, true] {
        let case = Case::new().await;
        if is_app {
            case.github.log_in_app("preview-bot");
        }
        case.github.set_max_page_size(2);
        let report = case.host.report().expect("there is a token");
        for id in 1..=5 {
            let body = format!("{MARKER}\nsomebody else's");
            case.github.put_comment(ID, IssueComment::new(id, 4, "mallory", &body));
        }
        let own = || async { report.own_comment(&case.name, 4, MARKER).await.expect("the host is well") };
        assert_eq!(own().await, None, "the marker alone proves nothing");
        let written = report.write_comment(&case.name, 4, &format!("{MARKER}\nfirst")).await;
        let id = written.expect("the host is well");
        assert_eq!(own().await.map(|comment| comment.id), Some(id));
        let edited = report.edit_comment(&case.name, 4, id, &format!("{MARKER}\nsecond")).await;
        assert!(edited.expect("the host is well"));
        assert_eq!(own().await.map(|comment| comment.body), Some(format!("{MARKER}\nsecond")));
        case.github.remove_comment(ID, id);
        let edited = report.edit_comment(&case.name, 4, id, "third").await;
        assert!(!edited.expect("the host is well"), "it is gone");
    }
}

#[tokio::test]
async fn f65_what_is_told_of_a_renamed_repository_reaches_it_under_its_former_name() {
    let case = Case::new().await;
    case.github.rename_repository(ID, "umbrella", "store");
    let report = case.host.report().expect("there is a token");
    let told = report.commit(&case.name, &case.commit_report(CommitState::Pending)).await;
    told.expect("the former name redirects");
    assert_eq!(case.github.statuses_set().len(), 1);
    let written = report.write_comment(&case.name, 4, "hello").await;
    written.expect("the former name redirects");
    assert_eq!(case.github.comments_on(ID, 4).len(), 1);
}

#[tokio::test]
async fn f64_no_failure_of_the_host_counts_as_told() {
    let case = Case::new().await;
    let report = case.host.report().expect("there is a token");
    for (fault, class) in [
        (Fault::ServerError, Class::Transient),
        (Fault::Html, Class::Transient),
        (Fault::EmptyBody, Class::Transient),
        (Fault::LoginRedirect, Class::Transient),
        (Fault::Unauthorized, Class::NeedsAttention),
        (Fault::Forbidden, Class::NeedsAttention),
        (Fault::NotFound, Class::NeedsAttention),
        (Fault::TooManyRequests(17), Class::RateLimited(Some(Duration::from_secs(17)))),
        (Fault::SecondaryLimit, Class::RateLimited(None)),
    ] {
        case.github.set_fault_on(Route::Report, fault);
        let told = report.commit(&case.name, &case.commit_report(CommitState::Success)).await;
        assert_eq!(told.expect_err("nothing was written").class(), class, "{fault:?}");
        let written = report.write_comment(&case.name, 4, "hello").await;
        assert_eq!(written.expect_err("nothing was written").class(), class, "{fault:?}");
        let deployed = report
            .deployment(&case.name, &case.deployment(DeploymentState::Success), Some(1))
            .await;
        assert!(
            fault == Fault::NotFound || deployed.is_err(),
            "{fault:?}: GitHub's own 404 says that the deployment is gone"
        );
    }
    case.github.clear_faults();
    assert_eq!(case.github.statuses_set(), []);
    assert_eq!(case.github.comments_on(ID, 4), []);
    drop(case.scratch);
}

#[tokio::test]
async fn without_a_token_nothing_can_be_told() {
    let case = Case::new().await;
    let anonymous = Github::connect(&Settings::new(case.github.url())).expect("the settings are valid");
    assert!(anonymous.report().is_none());
}
