//! A Project's settings after validation: the only form in which the rest of the code sees them.

mod fork;
mod outbound;
mod probe;
mod pull_requests;
mod source;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::{Map, Value};

pub use self::fork::Forks;
pub use self::outbound::{HostGlobs, Outbound};
pub use self::probe::{UrlCheck, UrlCheckError};
pub use self::pull_requests::{Drafts, Filter, Filters, Globs, Needs, OnClose, Pattern, PullRequestPolicy};
pub use self::source::{ArchiveUrl, BundleSource, Directory, Sha256, TemplatesFrom};
use super::deadline::Span;
use super::git::{BranchName, RepositoryName};
use super::name::{DomainName, GitHostKey, ObjectName, ProjectKey};
pub use values::{AllowedKeys, KeyPattern, KeyPatternError, Rule};

/// A valid Project.
#[derive(Debug, Clone)]
pub struct Project {
    /// Which Project this is.
    pub key: ProjectKey,
    /// The GitHost that its repository lives on.
    pub host: GitHostKey,
    /// The repository.
    pub repository: RepositoryName,
    /// The same repository elsewhere.
    pub mirrors: Vec<Mirror>,
    /// Which branches get an environment.
    pub branches: BranchPolicy,
    /// Where the templates come from.
    pub bundle: BundleSource,
    /// Values over the bundle's defaults.
    pub values: Map<String, Value>,
    /// Values for some branches over those, weakest first.
    pub rules: Vec<Rule>,
    /// What a branch may set by its own file. While that is nothing, the file is not read.
    pub branch_file: AllowedKeys,
    /// Where the environments' hosts live.
    pub domain: DomainName,
    /// Whether URLs begin with `https` rather than `http`.
    pub https: bool,
    /// What an environment's URL must answer before it counts as ready.
    pub url_check: Option<UrlCheck>,
    /// What fences a namespace.
    pub guardrails: Guardrails,
    /// How many environments there may be.
    pub max_environments: Option<u32>,
    /// How long an environment rests, with its data, once its branch is gone; `None`: it is torn down at once.
    pub grace_after_delete: Option<Span>,
    /// How long an environment may be there without any activity.
    pub ttl: Option<Duration>,
    /// What pull requests mean for the environments of their branches.
    pub pull_requests: PullRequestPolicy,
    /// Kinds that templates may contain beyond the default list, as `group/Kind`.
    pub kinds: Vec<String>,
    /// What becomes of pull requests from forks.
    pub forks: Forks,
    /// What becomes of cluster-scoped objects.
    pub cluster_scoped: ClusterScoped,
    /// Cluster-scoped custom kinds that templates may contain where `cluster_scoped` lets them, as `group/Kind`.
    pub cluster_kinds: Vec<String>,
    /// Which things that a cluster has only once may be claimed.
    pub claims: ClaimPolicy,
    /// Which hosts of others stages may call.
    pub outbound: Outbound,
    /// Whether objects of templates may ask, by an annotation, to outlive their environment.
    pub retain: Permission,
    /// The ServiceAccount, in the Project's namespace, that objects are written by.
    pub deployer: ObjectName,
    /// Whether nothing at all is to be done.
    pub suspended: bool,
}

impl Project {
    /// Whether time alone can end an environment or put it to rest.
    pub fn depends_on_time(&self) -> bool {
        self.ttl.is_some() || self.grace_after_delete.is_some() || self.pull_requests.on_close == OnClose::Sleep
    }
}

/// A repository on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The GitHost.
    pub host: GitHostKey,
    /// The repository there.
    pub repository: RepositoryName,
}

/// What becomes of cluster-scoped objects of a bundle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClusterScoped {
    /// They are refused.
    #[default]
    Deny,
    /// Each environment has its own, under a name that ends with the environment's hash.
    Rename,
    /// All environments that bring the same object use one; it goes with the last of them.
    Share,
}

/// Which things that a cluster has only once may be claimed. By default none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClaimPolicy {
    /// Ports of every node, by Services.
    pub node_ports: Permission,
    /// Ports of one node, by pods.
    pub host_ports: Permission,
    /// Load balancers of the cloud, and their addresses.
    pub load_balancers: Permission,
    /// Volumes that exist or that the bundle makes.
    pub static_volumes: Permission,
}

/// Whether something may be claimed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Permission {
    /// It is refused.
    #[default]
    Deny,
    /// It is admitted, and checked against what others claim.
    Allow,
}

/// What fences a namespace before anything runs in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Guardrails {
    /// Hard limits of the ResourceQuota; empty for none.
    pub quota: BTreeMap<String, String>,
    /// Default limits of a container.
    pub default_limits: BTreeMap<String, String>,
    /// Default requests of a container.
    pub default_requests: BTreeMap<String, String>,
    /// Labels of the namespaces that may connect; `None` for no NetworkPolicy at all.
    pub ingress_from: Option<BTreeMap<String, String>>,
    /// Labels of the namespaces that checks come from; empty for none.
    pub checks_from: BTreeMap<String, String>,
    /// Whether pods may reach the public Internet, where there are NetworkPolicies at all.
    pub internet: bool,
    /// The Pod Security level: `privileged`, `baseline` or `restricted`.
    pub pod_security: &'static str,
}

impl Guardrails {
    /// No fence at all, for what does not depend on one.
    pub fn none() -> Self {
        Self {
            quota: BTreeMap::new(),
            default_limits: BTreeMap::new(),
            default_requests: BTreeMap::new(),
            ingress_from: None,
            checks_from: BTreeMap::new(),
            internet: true,
            pod_security: "restricted",
        }
    }
}

/// Which branches get an environment.
#[derive(Debug, Clone)]
pub struct BranchPolicy {
    include: GlobSet,
    exclude: GlobSet,
    protected: GlobSet,
}

/// What the policy says about a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It gets an environment.
    Included,
    /// No glob of `include` matches.
    NotIncluded,
    /// A glob of `exclude` matches.
    Excluded,
    /// A glob of `protected` matches: hands off.
    Protected,
}

/// A glob that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {glob:?} is not a glob")]
pub struct GlobError {
    /// The field that it is in.
    pub field: String,
    /// The text.
    pub glob: String,
    /// The cause.
    #[source]
    pub source: globset::Error,
}

// === impl BranchPolicy ===

impl BranchPolicy {
    /// Compiles the three lists. `*` stays within one path segment, as on GitHub; `**` crosses them.
    pub fn new(include: &[String], exclude: &[String], protected: &[String]) -> Result<Self, GlobError> {
        Ok(Self {
            include: globs("include", include)?,
            exclude: globs("exclude", exclude)?,
            protected: globs("protected", protected)?,
        })
    }

    /// Protected before excluded before included.
    pub fn verdict(&self, branch: &BranchName) -> Verdict {
        let name = branch.as_str();
        if self.protected.is_match(name) {
            Verdict::Protected
        } else if self.exclude.is_match(name) {
            Verdict::Excluded
        } else if self.include.is_match(name) {
            Verdict::Included
        } else {
            Verdict::NotIncluded
        }
    }
}

fn globs(list: &str, texts: &[String]) -> Result<GlobSet, GlobError> {
    let field = format!("spec.branches.{list}");
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(glob(&field, text)?);
    }
    set.build().map_err(|source| GlobError {
        field,
        glob: texts.join(", "),
        source,
    })
}

/// `*` stays within one path segment.
fn glob(field: &str, text: &str) -> Result<Glob, GlobError> {
    GlobBuilder::new(text).literal_separator(true).build().map_err(|source| GlobError {
        field: field.to_owned(),
        glob: text.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn verdict(policy: &BranchPolicy, branch: &str) -> Verdict {
        policy.verdict(&branch.parse().unwrap())
    }

    fn policy(include: &[&str], exclude: &[&str], protected: &[&str]) -> BranchPolicy {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        BranchPolicy::new(&own(include), &own(exclude), &own(protected)).unwrap()
    }

    #[test]
    fn a_star_stays_within_a_segment_and_two_cross_it() {
        let one = policy(&["feature/*"], &[], &[]);
        assert_eq!(verdict(&one, "feature/a"), Verdict::Included);
        assert_eq!(verdict(&one, "feature/a/b"), Verdict::NotIncluded);
        let two = policy(&["**"], &[], &[]);
        assert_eq!(verdict(&two, "feature/a/b"), Verdict::Included);
        assert_eq!(verdict(&two, "main"), Verdict::Included);
    }

    #[test]
    fn feature_n4_protection_is_stronger_than_inclusion() {
        let policy = policy(&["**"], &["wip/**"], &["main", "release/*"]);
        assert_eq!(verdict(&policy, "main"), Verdict::Protected);
        assert_eq!(verdict(&policy, "release/1"), Verdict::Protected);
        assert_eq!(verdict(&policy, "wip/x"), Verdict::Excluded);
        assert_eq!(verdict(&policy, "feature/x"), Verdict::Included);
    }

    #[test]
    fn a_broken_glob_is_named_with_its_field() {
        let error = BranchPolicy::new(&["ok".into()], &["a[".into()], &[]).unwrap_err();
        assert_eq!(error.to_string(), "spec.branches.exclude: \"a[\" is not a glob");
    }
}
