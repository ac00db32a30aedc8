//! Project → domain: every problem at once, each with its field.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt;

use crate::api::project::{
    self, BranchFile, BundleReference, BundleRevision, ForeignObjects, Guardrails, NetworkMode, PodSecurity, Project, Scheme, ValuesRule,
};
use crate::domain::deadline::Span;
use crate::domain::git::{Commit, RepositoryName};
use crate::domain::name::{DomainName, GitHostKey, Namespace, ObjectName, ProjectKey};
use crate::domain::plan::teardown;
use crate::domain::policy::{
    self, AllowedKeys, BranchPolicy, BundleSource, ClaimPolicy, ClusterScoped, Forks, Mirror, Outbound, Permission, Rule, TemplatesFrom,
};

/// Reads a Project.
///
/// # Errors
/// All problems, each naming its field.
pub fn project(project: &Project) -> Result<policy::Project, Vec<String>> {
    let mut problems = Vec::new();
    let spec = &project.spec;
    let names = names(&mut problems, project);
    let mirrors = mirrors(&mut problems, project);
    let bundle = bundle(&mut problems, &spec.bundle);
    let branches = BranchPolicy::new(&spec.branches.include, &spec.branches.exclude, &spec.branches.protected)
        .map_err(|error| problems.push(error.to_string()))
        .ok();
    let outbound = outbound(&mut problems, &spec.policy);
    let rules = rules(&mut problems, &spec.rules);
    let branch_file = branch_file(&mut problems, &spec.branch_file);
    let grace_after_delete = read_grace(&mut problems, spec.lifecycle.grace_after_delete.as_deref());
    let url_check = url_check(&mut problems, spec.probe.as_ref());
    let pull_requests = super::pull_requests::policy(&mut problems, &spec.pull_requests);
    check_rest(&mut problems, spec);
    let (Some(names), Some(bundle), Some(branches), Some(outbound)) = (names, bundle, branches, outbound) else {
        return Err(problems);
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(policy::Project {
        host: names.host,
        key: names.key,
        repository: names.repository,
        mirrors,
        branches,
        bundle,
        values: spec.values.clone(),
        rules,
        branch_file,
        domain: names.domain,
        https: spec.scheme == Scheme::Https,
        url_check,
        guardrails: guardrails(&spec.guardrails, claims(&spec.policy.claims)),
        max_environments: spec.lifecycle.max_environments,
        grace_after_delete,
        ttl: ttl(project),
        pull_requests,
        forks: match spec.policy.forks {
            project::Forks::Ignore => Forks::Ignore,
            project::Forks::Approve => Forks::Approve,
        },
        kinds: spec.policy.kinds.clone(),
        cluster_scoped: cluster_scoped(spec.policy.cluster_scoped),
        cluster_kinds: spec.policy.cluster_kinds.clone(),
        claims: claims(&spec.policy.claims),
        outbound,
        retain: permission(spec.policy.retain),
        deployer: names.deployer,
        suspended: spec.suspend,
    })
}

/// What a Project is called, and what it names.
struct Names {
    key: ProjectKey,
    host: GitHostKey,
    repository: RepositoryName,
    domain: DomainName,
    deployer: ObjectName,
}

fn names(problems: &mut Vec<String>, project: &Project) -> Option<Names> {
    let spec = &project.spec;
    let namespace = read::<Namespace>(problems, "metadata.namespace", &project.namespace().unwrap_or_default());
    let name = read(problems, "metadata.name", &project.name_any());
    let host = read(problems, "spec.gitHostRef.name", &spec.git_host_ref.name);
    let repository = read(problems, "spec.repository", &spec.repository);
    let domain = read(problems, "spec.domain", &spec.domain);
    let deployer = read(problems, "spec.deployer.serviceAccountName", &spec.deployer.service_account_name);
    let namespace = namespace?;
    Some(Names {
        host: GitHostKey {
            namespace: namespace.clone(),
            name: host?,
        },
        key: ProjectKey { namespace, name: name? },
        repository: repository?,
        domain: domain?,
        deployer: deployer?,
    })
}

fn mirrors(problems: &mut Vec<String>, project: &Project) -> Vec<Mirror> {
    let namespace = project.namespace().unwrap_or_default().parse::<Namespace>().ok();
    let mut mirrors = Vec::new();
    for (index, mirror) in project.spec.mirrors.iter().enumerate() {
        let name = read(
            problems,
            &format!("spec.mirrors[{index}].gitHostRef.name"),
            &mirror.git_host_ref.name,
        );
        let repository = read(problems, &format!("spec.mirrors[{index}].repository"), &mirror.repository);
        if let (Some(namespace), Some(name), Some(repository)) = (namespace.clone(), name, repository) {
            let host = GitHostKey { namespace, name };
            mirrors.push(Mirror { host, repository });
        }
    }
    mirrors
}

/// What a Project says of teardowns. It is read apart from the rest: whatever else is wrong with a Project, its environments can go.
pub fn teardown_rules(project: &Project) -> teardown::Rules {
    teardown::Rules {
        delete_foreign: project.spec.policy.foreign_objects == ForeignObjects::Delete,
        references: super::references::rules(&project.spec.policy.references),
    }
}

/// How long an environment may be there without any activity, if the Project says so in words that can be read.
pub fn ttl(project: &Project) -> Option<Duration> {
    let text = project.spec.lifecycle.ttl.as_deref()?;
    text.parse::<Span>().ok().map(Span::duration)
}

fn read_grace(problems: &mut Vec<String>, text: Option<&str>) -> Option<Span> {
    read(problems, "spec.lifecycle.graceAfterDelete", text?)
}

fn url_check(problems: &mut Vec<String>, probe: Option<&project::UrlProbe>) -> Option<policy::UrlCheck> {
    let probe = probe?;
    let check = policy::UrlCheck::new(&probe.path, &probe.statuses, &probe.timeout);
    check.map_err(|error| problems.push(error.to_string())).ok()
}

fn outbound(problems: &mut Vec<String>, policy: &project::Policy) -> Option<Outbound> {
    let read = Outbound::new(&policy.webhooks, policy.registries.as_deref());
    read.map_err(|error| problems.push(error.to_string())).ok()
}

/// What is passed on as it is written.
fn check_rest(problems: &mut Vec<String>, spec: &project::ProjectSpec) {
    if let Some(text) = &spec.lifecycle.ttl {
        read::<Span>(problems, "spec.lifecycle.ttl", text);
    }
    super::notification::check(problems, spec);
    check_kinds(problems, "kinds", &spec.policy.kinds);
    check_kinds(problems, "clusterKinds", &spec.policy.cluster_kinds);
}

fn check_kinds(problems: &mut Vec<String>, field: &str, kinds: &[String]) {
    for kind in kinds {
        if kind.split_once('/').is_none_or(|(_, kind)| kind.is_empty() || kind.contains('/')) {
            problems.push(format!(
                "spec.policy.{field}: {kind:?} must have the form GROUP/KIND, or /KIND for the core group"
            ));
        }
    }
}

fn rules(problems: &mut Vec<String>, rules: &[ValuesRule]) -> Vec<Rule> {
    let mut read = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        match Rule::new(&format!("spec.rules[{index}].branches"), &rule.branches, rule.values.clone()) {
            Ok(rule) => read.push(rule),
            Err(error) => problems.push(error.to_string()),
        }
    }
    read
}

fn branch_file(problems: &mut Vec<String>, settings: &BranchFile) -> AllowedKeys {
    let keys = settings
        .allow
        .iter()
        .enumerate()
        .filter_map(|(index, key)| self::read(problems, &format!("spec.branchFile.allow[{index}]"), key));
    AllowedKeys::new(keys.collect())
}

/// The default branch and its head, as the last look at the repository has recorded them in the status.
pub fn default_branch(project: &Project) -> Option<Commit> {
    let head = project.status.as_ref()?.default_branch.as_ref()?;
    Some(Commit {
        branch: head.name.parse().ok()?,
        revision: head.revision.parse().ok()?,
    })
}

fn bundle(problems: &mut Vec<String>, reference: &BundleReference) -> Option<BundleSource> {
    let mut sources = Vec::new();
    if let Some(name) = &reference.name {
        sources.push(read(problems, "spec.bundle.name", name).map(BundleSource::Shipped));
    }
    if let Some(directory) = &reference.directory {
        sources.push(read(problems, "spec.bundle.directory.path", &directory.path).map(BundleSource::Directory));
    }
    if let Some(config_map) = &reference.config_map {
        sources.push(read(problems, "spec.bundle.configMap.name", &config_map.name).map(BundleSource::ConfigMap));
    }
    if let Some(repository) = &reference.repository {
        let from = match repository.from {
            BundleRevision::DefaultBranch => TemplatesFrom::DefaultBranch,
            BundleRevision::Branch => TemplatesFrom::Branch,
        };
        let path = read(problems, "spec.bundle.repository.path", &repository.path);
        sources.push(path.map(|path| BundleSource::Repository { path, from }));
    }
    if let Some(archive) = &reference.archive {
        let url = read(problems, "spec.bundle.archive.url", &archive.url);
        let digest = read(problems, "spec.bundle.archive.sha256", &archive.sha256);
        sources.push(url.zip(digest).map(|(url, digest)| BundleSource::Archive { url, digest }));
    }
    if sources.len() != 1 {
        problems.push("spec.bundle: exactly one of name, directory, configMap, repository and archive must be set".to_owned());
        return None;
    }
    sources.pop().flatten()
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(problems: &mut Vec<String>, field: &str, text: &str) -> Option<T> {
    text.parse().map_err(|error| problems.push(format!("{field}: {error}"))).ok()
}

/// Generous enough for a web application with a database, small enough that a forgotten branch hurts nobody.
const DEFAULT_QUOTA: [(&str, &str); 6] = [
    ("requests.cpu", "4"),
    ("requests.memory", "8Gi"),
    ("limits.memory", "16Gi"),
    ("pods", "50"),
    ("services.loadbalancers", "0"),
    ("services.nodeports", "0"),
];

/// A claim that the policy allows must not fail at a quota that nobody set.
fn default_quota(claims: ClaimPolicy) -> BTreeMap<String, String> {
    let balancers = claims.load_balancers == Permission::Allow;
    // The cloud's balancers usually reach a Service through ports of the nodes.
    let ports = balancers || claims.node_ports == Permission::Allow;
    let hard = DEFAULT_QUOTA.iter().map(|(name, value)| {
        let raised = (*name == "services.loadbalancers" && balancers) || (*name == "services.nodeports" && ports);
        ((*name).to_owned(), if raised { "10" } else { value }.to_owned())
    });
    hard.collect()
}

fn cluster_scoped(policy: project::ClusterScoped) -> ClusterScoped {
    match policy {
        project::ClusterScoped::Deny => ClusterScoped::Deny,
        project::ClusterScoped::Rename => ClusterScoped::Rename,
        project::ClusterScoped::Share => ClusterScoped::Share,
    }
}

fn permission(permission: project::Permission) -> Permission {
    match permission {
        project::Permission::Deny => Permission::Deny,
        project::Permission::Allow => Permission::Allow,
    }
}

fn claims(claims: &project::Claims) -> ClaimPolicy {
    ClaimPolicy {
        node_ports: permission(claims.node_ports),
        host_ports: permission(claims.host_ports),
        load_balancers: permission(claims.load_balancers),
        static_volumes: permission(claims.static_volumes),
    }
}

fn guardrails(settings: &Guardrails, claims: ClaimPolicy) -> policy::Guardrails {
    let own = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let (default_limits, default_requests) = match &settings.limits {
        Some(limits) => (limits.default.clone(), limits.default_request.clone()),
        None => (own(&[("memory", "512Mi")]), own(&[("cpu", "50m"), ("memory", "128Mi")])),
    };
    policy::Guardrails {
        quota: settings.quota.clone().unwrap_or_else(|| default_quota(claims)),
        default_limits,
        default_requests,
        checks_from: settings.network.checks_from.clone(),
        internet: true,
        ingress_from: (settings.network.mode == NetworkMode::Isolated).then(|| settings.network.ingress_from.clone()),
        pod_security: match settings.pod_security {
            PodSecurity::Privileged => "privileged",
            PodSecurity::Baseline => "baseline",
            PodSecurity::Restricted => "restricted",
        },
    }
}

#[cfg(test)]
mod tests;
