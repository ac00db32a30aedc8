//! The next step for what is missing, by provider.

use super::{Endpoint, Task};
use crate::domain::git::{Provider, RepositoryName};

/// What to do about deliveries that are not taken.
pub(super) const DELIVERY: &str = "look at the deliveries in the webhook's settings at the Git host, and at graftling's log at that time";
/// What to do about a secret that is not the server's.
pub(super) const SECRET: &str = "wait a minute if the Secret was just changed: the server reads it now and then; else the server is \
     another one than that of this cluster";

/// How the credentials get to do a task.
pub(super) fn permission(provider: Provider, task: Task) -> String {
    match provider {
        Provider::Github => github(task).to_owned(),
        Provider::Gitlab => gitlab(task).to_owned(),
        Provider::Bitbucket => bitbucket(task).to_owned(),
        Provider::Gitea => gitea(task).to_owned(),
        Provider::Git => "give the account of the GitHost's credentials read access to the repository".to_owned(),
    }
}

fn github(task: Task) -> &'static str {
    match task {
        Task::ReadRepository => {
            "fine-grained token or App: grant Contents: Read for the repository; classic token: scope repo (public_repo for public ones)"
        }
        Task::ReadPullRequests => "fine-grained token or App: grant Pull requests: Read; classic token: scope repo",
        Task::SetStatuses => "fine-grained token or App: grant Commit statuses: Write; classic token: scope repo:status",
        Task::Comment => "fine-grained token or App: grant Pull requests: Write and Issues: Write; classic token: scope repo",
        Task::TellDeployments => "fine-grained token or App: grant Deployments: Write; classic token: scope repo_deployment",
        Task::ManageWebhooks => {
            "fine-grained token or App: grant Webhooks: Write; classic token: scope admin:repo_hook; or make the webhook by hand"
        }
    }
}

fn gitlab(task: Task) -> &'static str {
    match task {
        Task::ReadRepository => {
            "project access token: role Reporter or above with the scope read_api; for archives of private projects too"
        }
        Task::ReadPullRequests => "project access token: role Reporter or above with the scope read_api, and merge requests switched on",
        Task::SetStatuses => "project access token: role Developer or above with the scope api",
        Task::Comment => "project access token: role Reporter or above with the scope api",
        Task::TellDeployments => "project access token: role Developer or above with the scope api, and environments switched on",
        Task::ManageWebhooks => "project access token: role Maintainer with the scope api; or make the webhook by hand",
    }
}

fn bitbucket(task: Task) -> &'static str {
    match task {
        Task::ReadRepository => "Cloud: access token with the scope repository; Data Center: HTTP access token with Repository read",
        Task::ReadPullRequests => "Cloud: access token with the scope pullrequest; Data Center: HTTP access token with Repository read",
        Task::SetStatuses => "Cloud: access token with the scope repository; Data Center: HTTP access token with Repository read",
        Task::Comment => "Cloud: access token with the scope pullrequest; Data Center: HTTP access token with Repository read",
        Task::TellDeployments => "nothing: Bitbucket has none that others can make",
        Task::ManageWebhooks => {
            "Cloud: access token with the scope webhook; Data Center: HTTP access token with Repository admin; or make the webhook by hand"
        }
    }
}

fn gitea(task: Task) -> &'static str {
    match task {
        Task::ReadRepository => "give the account access to the repository, and the token the scope read:repository",
        Task::ReadPullRequests => "give the token the scope read:repository, and see that the repository has pull requests switched on",
        Task::SetStatuses => "make the account a collaborator with write access, and give the token the scope write:repository",
        Task::Comment => "give the token the scope write:issue",
        Task::TellDeployments => "nothing: Gitea and Forgejo have none",
        Task::ManageWebhooks => {
            "make the account an administrator of the repository, and give the token the scope write:repository; or make the webhook by hand"
        }
    }
}

/// How the webhook comes to be.
pub(super) fn install(githost: &str, repository: &RepositoryName, endpoint: &Endpoint) -> String {
    let server = endpoint.url.as_deref().and_then(|url| url.strip_suffix(endpoint.path.as_str()));
    let server = server.unwrap_or("https://GRAFTLING");
    format!("graftling githost install {githost} --repository {repository} --server-url {server}")
}
