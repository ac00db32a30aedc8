//! Environments at GitLab and their deployments: from queued until the environment is stopped and deleted.

use http::{Method, StatusCode};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Gitlab;
use crate::domain::git::RepositoryName;
use crate::domain::report::{DeploymentReport, DeploymentState};
use crate::githost::Error;

const FIND_ENVIRONMENT: &str = "find the environment at GitLab";
const WRITE_ENVIRONMENT: &str = "write the environment at GitLab";
const STOP_ENVIRONMENT: &str = "stop the environment at GitLab";
const DELETE_ENVIRONMENT: &str = "delete the environment at GitLab";
const FIND_DEPLOYMENT: &str = "find the deployment at GitLab";
const WRITE_DEPLOYMENT: &str = "write the deployment at GitLab";
/// The tier of what we make. GitLab guesses one from the name where none is given.
const TIER: &str = "development";

#[derive(Deserialize)]
struct Environment {
    id: u64,
    name: String,
    state: String,
    external_url: Option<String>,
}

#[derive(Deserialize)]
struct Deployment {
    id: u64,
    sha: String,
    status: String,
}

/// How GitLab refuses a deployment, by the field that is wrong.
#[derive(Deserialize)]
struct Refusal {
    message: Map<String, Value>,
}

/// What GitLab has says what is missing, so that `known` is only given back where there is no deployment yet.
pub(super) async fn tell(
    gitlab: &Gitlab,
    name: &RepositoryName,
    report: &DeploymentReport,
    known: Option<u64>,
) -> Result<Option<u64>, Error> {
    let environment = find(gitlab, name, &report.environment).await?;
    let status = match report.state {
        DeploymentState::Inactive => {
            if let Some(environment) = environment {
                remove(gitlab, name, &environment).await?;
            }
            return Ok(None);
        }
        // There is no deployment of that state that can be made from outside; the environment is there already.
        DeploymentState::Queued => None,
        DeploymentState::InProgress => Some("running"),
        DeploymentState::Success => Some("success"),
        DeploymentState::Failure => Some("failed"),
    };
    ensure(gitlab, name, report, environment).await?;
    match status {
        Some(status) => deploy(gitlab, name, report, status).await,
        None => Ok(known),
    }
}

/// The environment of exactly this name.
async fn find(gitlab: &Gitlab, name: &RepositoryName, environment: &str) -> Result<Option<Environment>, Error> {
    let mut url = gitlab.below(name, &["environments"])?;
    url.query_pairs_mut().append_pair("name", environment);
    let page = gitlab.api.page::<Environment>(FIND_ENVIRONMENT, &url, name).await?;
    Ok(page.items.into_iter().find(|found| found.name == environment))
}

async fn ensure(gitlab: &Gitlab, name: &RepositoryName, report: &DeploymentReport, found: Option<Environment>) -> Result<(), Error> {
    let (method, url, body) = match found {
        None => {
            let body = json!({"name": report.environment, "external_url": report.url, "tier": TIER});
            (Method::POST, gitlab.below(name, &["environments"])?, body)
        }
        Some(found) if report.url.is_some() && found.external_url != report.url => {
            let url = gitlab.below(name, &["environments", &found.id.to_string()])?;
            (Method::PUT, url, json!({"external_url": report.url, "tier": TIER}))
        }
        Some(_) => return Ok(()),
    };
    let answer = gitlab.api.send(WRITE_ENVIRONMENT, method, url, Some(&body)).await?;
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => answer.decode::<Environment>(WRITE_ENVIRONMENT).map(|_| ()),
        // Somebody else made it meanwhile, or it is refused for good: a second look tells.
        StatusCode::BAD_REQUEST if find(gitlab, name, &report.environment).await?.is_some() => Ok(()),
        _ => Err(answer.unexpected(WRITE_ENVIRONMENT)),
    }
}

/// Makes a deployment of this status, unless the newest one of the environment already is it or can become it.
async fn deploy(gitlab: &Gitlab, name: &RepositoryName, report: &DeploymentReport, status: &str) -> Result<Option<u64>, Error> {
    let newest = newest(gitlab, name, report).await?;
    let same = newest.filter(|one| one.sha == report.revision.as_str());
    let (method, url) = match &same {
        Some(one) if one.status == status => return Ok(Some(one.id)),
        Some(one) if becomes(&one.status, status) => (Method::PUT, gitlab.below(name, &["deployments", &one.id.to_string()])?),
        _ => (Method::POST, gitlab.below(name, &["deployments"])?),
    };
    write(gitlab, method, url, report, status).await
}

async fn newest(gitlab: &Gitlab, name: &RepositoryName, report: &DeploymentReport) -> Result<Option<Deployment>, Error> {
    let mut url = gitlab.below(name, &["deployments"])?;
    url.query_pairs_mut().extend_pairs([
        ("environment", report.environment.as_str()),
        ("order_by", "id"),
        ("sort", "desc"),
        ("per_page", "1"),
    ]);
    let page = gitlab.api.page::<Deployment>(FIND_DEPLOYMENT, &url, name).await?;
    Ok(page.items.into_iter().next())
}

/// What GitLab lets follow: nothing runs again, and what ended may end otherwise.
fn becomes(from: &str, to: &str) -> bool {
    to != "running" || matches!(from, "created" | "blocked")
}

async fn write(gitlab: &Gitlab, method: Method, url: Url, report: &DeploymentReport, status: &str) -> Result<Option<u64>, Error> {
    let body = match method {
        Method::PUT => json!({"status": status}),
        _ => json!({
            "environment": report.environment, "sha": report.revision.as_str(), "ref": report.branch.as_str(), "tag": false, "status": status,
        }),
    };
    let answer = gitlab.api.send(WRITE_DEPLOYMENT, method, url, Some(&body)).await?;
    match answer.status {
        StatusCode::OK | StatusCode::CREATED => answer.decode::<Deployment>(WRITE_DEPLOYMENT).map(|one| Some(one.id)),
        // A commit or a branch that is gone: nobody looks at it any more.
        StatusCode::BAD_REQUEST => match answer.decode::<Refusal>(WRITE_DEPLOYMENT) {
            Ok(refusal) if refusal.message.keys().any(|field| field == "sha" || field == "ref") => Ok(None),
            _ => Err(answer.unexpected(WRITE_DEPLOYMENT)),
        },
        _ => Err(answer.unexpected(WRITE_DEPLOYMENT)),
    }
}

/// Stops the environment without running anything, then deletes it: GitLab deletes none that is available.
async fn remove(gitlab: &Gitlab, name: &RepositoryName, environment: &Environment) -> Result<(), Error> {
    let id = environment.id.to_string();
    if environment.state != "stopped" {
        let url = gitlab.below(name, &["environments", &id, "stop"])?;
        let answer = gitlab
            .api
            .send(STOP_ENVIRONMENT, Method::POST, url, Some(&json!({"force": true})))
            .await?;
        match answer.status {
            StatusCode::OK => answer.decode::<Environment>(STOP_ENVIRONMENT).map(|_| ())?,
            StatusCode::NOT_FOUND => answer.is_its_own(STOP_ENVIRONMENT)?,
            _ => return Err(answer.unexpected(STOP_ENVIRONMENT)),
        }
    }
    let url = gitlab.below(name, &["environments", &id])?;
    let answer = gitlab.api.send(DELETE_ENVIRONMENT, Method::DELETE, url, None).await?;
    match answer.status {
        StatusCode::NO_CONTENT | StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND => answer.is_its_own(DELETE_ENVIRONMENT),
        _ => Err(answer.unexpected(DELETE_ENVIRONMENT)),
    }
}
