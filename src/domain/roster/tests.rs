//! Properties of the roster: what it answers, and above all what it must never answer.
#![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

mod absence;
mod brake;
mod decisions;
mod ended;
mod forks;
mod held;
mod histories;
mod known;
mod pull_requests;
mod rest;

use std::sync::{Arc, LazyLock};

use super::*;
use crate::domain::git::Repository;
use crate::domain::name::Identity;
use crate::domain::policy::{AllowedKeys, BranchPolicy, Guardrails};

const HOST: &str = "https://git.example.com";
const CONFIRMATION: Duration = Duration::from_secs(60);

fn branch(name: &str) -> BranchName {
    name.parse().unwrap()
}

fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

fn repository(id: &str) -> Repository {
    Repository {
        id: id.parse().unwrap(),
        name: "acme/shop".parse().unwrap(),
        default_branch: Some(branch("main")),
    }
}

/// A Project for every branch but those below `protected/`.
fn project() -> Project {
    // Globs take long to compile, and properties ask for the Project thousands of times.
    static PROJECT: LazyLock<Project> = LazyLock::new(make_project);
    PROJECT.clone()
}

fn make_project() -> Project {
    let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    Project {
        key: "team/shop".parse().unwrap(),
        host: crate::domain::name::GitHostKey {
            namespace: "team".parse().unwrap(),
            name: "git".parse().unwrap(),
        },
        repository: "acme/shop".parse().unwrap(),
        branches: BranchPolicy::new(&own(&["**"]), &own(&["main", "wip/**"]), &own(&["protected/**"])).unwrap(),
        bundle: crate::domain::policy::BundleSource::Shipped("web".parse().unwrap()),
        values: serde_json::Map::new(),
        domain: "preview.example.com".parse().unwrap(),
        https: true,
        url_check: None,
        guardrails: Guardrails {
            quota: BTreeMap::new(),
            default_limits: BTreeMap::new(),
            default_requests: BTreeMap::new(),
            ingress_from: None,
            checks_from: BTreeMap::new(),
            internet: true,
            pod_security: "baseline",
        },
        max_environments: None,
        grace_after_delete: None,
        ttl: None,
        pull_requests: crate::domain::policy::PullRequestPolicy::default(),
        forks: crate::domain::policy::Forks::default(),
        rules: Vec::new(),
        branch_file: AllowedKeys::default(),
        kinds: Vec::new(),
        cluster_scoped: crate::domain::policy::ClusterScoped::default(),
        cluster_kinds: Vec::new(),
        claims: crate::domain::policy::ClaimPolicy::default(),
        outbound: crate::domain::policy::Outbound::usual(),
        retain: crate::domain::policy::Permission::default(),
        deployer: "deployer".parse().unwrap(),
        mirrors: Vec::new(),
        suspended: false,
    }
}

fn computed(repository: &str, branch_name: &str) -> EnvironmentName {
    EnvironmentName::compute(Identity {
        host_url: HOST,
        repository: &repository.parse().unwrap(),
        branch: &branch(branch_name),
        project: &project().key,
    })
}

/// The environment that the roster once created for a branch.
fn existing(repository: &str, branch_name: &str, digit: char) -> Existing {
    Existing {
        name: computed(repository, branch_name),
        uid: format!("uid of {branch_name}"),
        branch: branch(branch_name),
        repository: repository.parse().unwrap(),
        revision: revision(digit).to_string(),
        pull_request: None,
        grace: None,
        active: None,
        pinned: false,
        deleting: false,
    }
}

fn deleting(repository: &str, branch_name: &str) -> Existing {
    Existing {
        deleting: true,
        ..existing(repository, branch_name, 'a')
    }
}

/// A complete listing of `main` at `1` and these branches.
fn listing(repository_id: &str, branches: &[(&str, char)]) -> Facts {
    let heads = branches.iter().chain(&[("main", '1')]);
    Facts::Listing(Listing {
        repository: repository(repository_id),
        branches: heads.map(|(name, digit)| (branch(name), revision(*digit))).collect(),
        pull_requests: Vec::new(),
    })
}

fn sighted(repository_id: &str, branch_name: &str, head: Option<char>, announced: bool) -> Sighted {
    Sighted {
        lookup: RefLookup {
            repository: repository(repository_id),
            branch: branch(branch_name),
            head: head.map(revision),
            pull_request: None,
        },
        deletion_announced: announced,
    }
}

fn pull_request(number: u64, head: &str) -> PullRequest {
    PullRequest {
        number,
        head: branch(head),
        fork: None,
        base: "main".into(),
        author: "ada".into(),
        title: "a change".into(),
        labels: Vec::new(),
        draft: false,
    }
}

/// Asks the roster; what is not said here is as in [`ask`].
struct Asked<'a> {
    project: Project,
    facts: Facts,
    existing: &'a [Existing],
    absences: Absences,
    at: u64,
    released: Option<&'a str>,
    held: Option<Held>,
    ended: Vec<Ended>,
    closures: Absences,
    /// By the API server's clock.
    server_time: Option<i64>,
    plain_git: bool,
    changed_paths: ChangedPaths,
    approved_forks: ApprovedForks,
}

fn ask(facts: Facts, existing: &[Existing]) -> Asked<'_> {
    Asked {
        project: project(),
        facts,
        existing,
        absences: Absences::new(),
        at: 1000,
        released: None,
        held: None,
        ended: Vec::new(),
        closures: Absences::new(),
        server_time: None,
        plain_git: false,
        changed_paths: ChangedPaths::new(),
        approved_forks: ApprovedForks::new(),
    }
}

impl Asked<'_> {
    fn seen_absent(mut self, environment: &Existing, seconds: u64) -> Self {
        self.absences.insert(environment.name.clone(), Duration::from_secs(seconds));
        self
    }

    fn decide(&self) -> Roster {
        self.question(decide)
    }

    fn question<T>(&self, ask: impl FnOnce(&Question<'_>) -> T) -> T {
        ask(&Question {
            project: &self.project,
            host_url: HOST,
            facts: &self.facts,
            existing: &shared(self.existing),
            absences: &self.absences,
            now: Duration::from_secs(self.at),
            confirmation: CONFIRMATION,
            released: self.released,
            held: self.held.as_ref(),
            ended: &self.ended,
            closures: &self.closures,
            changed_paths: &self.changed_paths,
            approved_forks: &self.approved_forks,
            tells_pull_requests: !self.plain_git,
            server_time: self.server_time.map(|seconds| Timestamp::from_second(seconds).unwrap()),
        })
    }
}

/// Environments as a question has them.
fn shared(existing: &[Existing]) -> Vec<Arc<Existing>> {
    existing.iter().cloned().map(Arc::new).collect()
}

/// Whether a roster changes nothing in the cluster.
fn is_quiet(roster: &Roster) -> bool {
    roster.create.is_empty() && roster.refresh.is_empty() && roster.retire.is_empty() && roster.rest.is_empty() && roster.held.is_none()
}
