//! What a Git host has to allow and to send for graftling's work there, and what of it is missing.

mod advice;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::git::{Provider, RepositoryName};

/// Something that graftling does at a Git host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Read a repository, its branches and its files.
    ReadRepository,
    /// Read its open pull requests.
    ReadPullRequests,
    /// Set the status of a commit.
    SetStatuses,
    /// Comment on a pull request.
    Comment,
    /// Tell deployments.
    TellDeployments,
    /// Create webhooks and look at them.
    ManageWebhooks,
}

/// What a Git host said of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// The credentials may do it.
    Yes,
    /// They may not.
    No,
    /// It was not found out; the text says why.
    Unknown(String),
    /// The host has no such thing.
    NotOffered,
}

/// A task, and whether the credentials may do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// The task.
    pub task: Task,
    /// Whether they may.
    pub allowed: Allowed,
}

/// A webhook as a Git host has it, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The host's name for it.
    pub id: String,
    /// Where it delivers.
    pub url: String,
    /// Whether it delivers at all.
    pub active: bool,
    /// Whether its bodies are JSON.
    pub json: bool,
    /// Whether it tells of every branch, and not only of those that fit a pattern.
    pub every_branch: bool,
    /// The events that it should tell of and does not, by the host's names.
    pub lacks: Vec<String>,
    /// What became of the last delivery, where the host tells.
    pub last: Option<LastDelivery>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastDelivery {
    /// Whether it was taken.
    pub taken: bool,
    /// In the host's words, or the status of the answer.
    pub says: String,
}

/// Where deliveries are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The path at graftling's server: `/hooks/<namespace>/<githost>`.
    pub path: String,
    /// The whole URL, where the server's own is known.
    pub url: Option<String>,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// As it has to be.
    Good,
    /// Not as it has to be, but graftling does its work without it.
    Optional,
    /// It could not be found out.
    Unknown,
    /// It is missing or wrong.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The repository that it is about; none: it is about the host as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What was looked at.
    pub about: String,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub says: String,
    /// What to do next, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

// === impl Task ===

impl Task {
    /// Every task.
    pub const ALL: [Self; 6] = [
        Self::ReadRepository,
        Self::ReadPullRequests,
        Self::SetStatuses,
        Self::Comment,
        Self::TellDeployments,
        Self::ManageWebhooks,
    ];

    /// What it is, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::ReadRepository => "read the repository and its branches",
            Self::ReadPullRequests => "read pull requests",
            Self::SetStatuses => "set commit statuses",
            Self::Comment => "comment on pull requests",
            Self::TellDeployments => "tell deployments",
            Self::ManageWebhooks => "manage webhooks",
        }
    }
}

// === impl Capability ===

impl Capability {
    /// A task and what was said of it.
    pub fn new(task: Task, allowed: Allowed) -> Self {
        Self { task, allowed }
    }

    /// What is to be told of it.
    pub fn finding(&self, provider: Provider, repository: &RepositoryName) -> Finding {
        let mut finding = Finding::new(self.task.words()).of(repository);
        match &self.allowed {
            Allowed::Yes => finding.good("the credentials may"),
            Allowed::NotOffered => finding.good(format!("{provider} has no such thing: nothing is written")),
            Allowed::Unknown(why) => finding.unknown(why.clone()),
            // A webhook can be made by hand.
            Allowed::No if self.task == Task::ManageWebhooks => {
                finding.state = State::Optional;
                "the credentials may not: webhooks can neither be seen nor installed by graftling".clone_into(&mut finding.says);
                finding.next = Some(advice::permission(provider, self.task));
                finding
            }
            Allowed::No => finding.missing("the credentials may not", advice::permission(provider, self.task)),
        }
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether a webhook is meant to deliver here, be it by an address that the server had before.
    pub fn is_of(&self, webhook: &Webhook) -> bool {
        self.is_exactly(webhook) || url_path(&webhook.url).ends_with(&self.path)
    }

    fn is_exactly(&self, webhook: &Webhook) -> bool {
        self.url.as_deref() == Some(webhook.url.as_str())
    }

    /// Which of a repository's webhooks is ours: the one with the right URL, else one that delivers to this path elsewhere.
    pub fn own<'a>(&self, webhooks: &'a [Webhook]) -> Option<&'a Webhook> {
        let exact = webhooks.iter().find(|webhook| self.is_exactly(webhook));
        exact.or_else(|| webhooks.iter().find(|webhook| self.is_of(webhook)))
    }
}

fn url_path(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

// === impl Finding ===

impl Finding {
    /// About something that was looked at and is not told of yet.
    pub fn new(about: impl Into<String>) -> Self {
        Self {
            repository: None,
            about: about.into(),
            state: State::Unknown,
            says: String::new(),
            next: None,
        }
    }

    /// The same about a repository.
    pub fn of(mut self, repository: &RepositoryName) -> Self {
        self.repository = Some(repository.to_string());
        self
    }

    /// It is as it has to be.
    pub fn good(mut self, says: impl Into<String>) -> Self {
        self.state = State::Good;
        self.says = says.into();
        self
    }

    /// It is missing or wrong.
    pub fn missing(mut self, says: impl Into<String>, next: impl Into<String>) -> Self {
        self.state = State::Missing;
        self.says = says.into();
        self.next = Some(next.into());
        self
    }

    /// It could not be found out.
    pub fn unknown(mut self, says: impl Into<String>) -> Self {
        self.state = State::Unknown;
        self.says = says.into();
        self
    }

    /// With what to do next.
    pub fn then(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// What is to be told of a repository's webhooks.
pub fn webhook_findings(endpoint: &Endpoint, githost: &str, repository: &RepositoryName, webhooks: &[Webhook]) -> Vec<Finding> {
    let finding = || Finding::new("webhook").of(repository);
    let install = advice::install(githost, repository, endpoint);
    let Some(own) = endpoint.own(webhooks) else {
        let problem = format!("there is none that delivers to {}", endpoint.url.as_ref().unwrap_or(&endpoint.path));
        return vec![finding().missing(problem, install)];
    };
    let mut problems = webhook_problems(endpoint, own);
    let others = webhooks.iter().filter(|webhook| endpoint.is_of(webhook)).count() - 1;
    if others > 0 {
        problems.push(format!("{others} more deliver to the same path: delete them"));
    }
    let found = match problems.is_empty() {
        true => finding().good(format!("{} is as it has to be", own.url)),
        false => finding().missing(problems.join("; "), install),
    };
    let mut findings = vec![found];
    if let Some(last) = &own.last {
        let delivery = Finding::new("last delivery").of(repository);
        findings.push(match last.taken {
            true => delivery.good(last.says.clone()),
            false => delivery.missing(format!("was not taken: {}", last.says), advice::DELIVERY),
        });
    }
    findings
}

fn webhook_problems(endpoint: &Endpoint, own: &Webhook) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(url) = endpoint.url.as_ref().filter(|url| **url != own.url) {
        problems.push(format!("it delivers to {} instead of {url}", own.url));
    }
    if !own.active {
        problems.push("it is switched off".to_owned());
    }
    if !own.json {
        problems.push("its content type is not application/json".to_owned());
    }
    if !own.every_branch {
        problems.push("it tells only of branches that fit a pattern".to_owned());
    }
    if !own.lacks.is_empty() {
        problems.push(format!("it does not tell of {}", own.lacks.join(", ")));
    }
    problems
}

/// What is to be told of the answer to a delivery that was signed with the GitHost's secret and says nothing.
///
/// The signature is verified before anything of the body is read: whatever is said of the body proves the signature.
pub fn ping_finding(url: &str, status: u16, words: &str) -> Finding {
    let finding = Finding::new("endpoint");
    let says_of = |text: &str| words.contains(text);
    match status {
        200 | 202 | 400 if says_of("\"result\"") || says_of("does not fit its event") => {
            finding.good(format!("{url} is reached, and takes what is signed with the GitHost's secret"))
        }
        401 => finding.missing(
            format!("{url} is reached, but does not take what is signed with the GitHost's secret"),
            advice::SECRET,
        ),
        404 => finding.missing(
            format!("{url} is reached, but knows no such endpoint"),
            "see the condition WebhookReady of the GitHost; the server may be another, or watch other namespaces",
        ),
        429 | 503 => finding
            .unknown(format!("{url} answers HTTP {status}: it is busy"))
            .then("try again"),
        300..=399 => finding.missing(
            format!("{url} answers with a redirect (HTTP {status}), which Git hosts do not follow"),
            "give the URL that it leads to",
        ),
        _ => finding.missing(
            format!("{url} answers HTTP {status}, which is not graftling's answer"),
            "something else answers there: check the Ingress or the proxy in front of graftling's webhook listener",
        ),
    }
}

/// What is to be told of an endpoint that gave no answer.
pub fn unreachable_finding(url: &str, problem: &str) -> Finding {
    let next = "check name, certificate and firewall; a Git host must reach it as well, from where it is";
    Finding::new("endpoint").missing(format!("{url} is not reached: {problem}"), next)
}
