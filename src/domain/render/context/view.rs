//! The names that templates use, as a type: what is rendered and what is documented come from here.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{RenderContext, SLUG_LENGTH};
use crate::domain::git;
use crate::domain::name::slug;

/// Everything that a template can name.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct View<'a> {
    /// The branch as Git names it: any text. `quote` it
    #[schemars(example = "feature/Login")]
    branch: &'a str,
    /// The branch as a DNS label: at most 40 lower-case letters, digits and `-`. Different branches may share it
    #[schemars(example = "feature-login")]
    slug: String,
    /// The commit: 40 or 64 hexadecimal digits
    #[schemars(example = "0123456789abcdef0123456789abcdef01234567")]
    revision: &'a str,
    /// Its first twelve digits
    #[schemars(example = "0123456789ab")]
    short_revision: &'a str,
    /// The open pull request from the branch. Without one it is null: ask with `{{#if pullRequest}}` first
    pull_request: Option<PullRequest<'a>>,
    /// The repository
    repository: Repository<'a>,
    /// The Project
    project: Project<'a>,
    /// The environment
    environment: Environment<'a>,
    /// The bundle's `values.yaml` with all that was laid over it
    values: Map<String, Value>,
}

/// A name, because the macro reads no arrays unless another crate asks for the whole of its parser.
const LABELS: [&str; 2] = ["bug", "frontend"];

/// An open pull request.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct PullRequest<'a> {
    /// The number that people use
    #[schemars(example = 17)]
    number: u64,
    /// Any text. `quote` it
    #[schemars(example = "Add the login page")]
    title: &'a str,
    /// The author's login
    #[schemars(example = &"octocat")]
    author: &'a str,
    /// The branch to merge into
    #[schemars(example = &"main")]
    base: &'a str,
    /// Label names, sorted
    #[schemars(example = LABELS)]
    labels: &'a [String],
    /// Whether it is a draft
    #[schemars(example = false)]
    draft: bool,
}

/// A repository.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Repository<'a> {
    /// What identifies it at its host, and stays when it is renamed
    #[schemars(example = "1296269")]
    id: &'a str,
    /// What people call it
    #[schemars(example = "acme/shop")]
    name: &'a str,
}

/// A Project.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Project<'a> {
    /// Its namespace
    #[schemars(example = &"previews")]
    namespace: &'a str,
    /// Its name
    #[schemars(example = &"shop")]
    name: &'a str,
    /// The domain right above the environments' hosts
    #[schemars(example = "preview.example.com")]
    domain: &'a str,
}

/// An environment.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
struct Environment<'a> {
    /// Its name
    #[schemars(example = "shop-feature-login-k3v7q2m5xa")]
    name: &'a str,
    /// Its namespace, of the same name
    #[schemars(example = "shop-feature-login-k3v7q2m5xa")]
    namespace: String,
    /// The host that its URL names
    #[schemars(example = "shop-feature-login-k3v7q2m5xa.preview.example.com")]
    host: String,
    /// Where it will be found
    #[schemars(example = "https://shop-feature-login-k3v7q2m5xa.preview.example.com")]
    url: String,
    /// True as long as no other revision than this one was ever applied to it. Only a push changes it
    #[schemars(example = true)]
    is_first_deploy: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(context: &'a RenderContext, values: Map<String, Value>) -> Self {
        Self {
            branch: context.branch.as_str(),
            slug: slug(&context.branch, SLUG_LENGTH),
            revision: context.revision.as_str(),
            short_revision: context.revision.short(),
            pull_request: context.pull_request.as_ref().map(PullRequest::from),
            repository: Repository {
                id: context.repository_id.as_str(),
                name: context.repository_name.as_str(),
            },
            project: Project {
                namespace: context.project.namespace.as_str(),
                name: context.project.name.as_str(),
                domain: context.address.domain.as_str(),
            },
            environment: Environment {
                name: context.environment.as_str(),
                namespace: context.environment.namespace().to_string(),
                host: context.address.host(&context.environment),
                url: context.address.url(&context.environment),
                is_first_deploy: context.is_first_deploy,
            },
            values,
        }
    }
}

impl<'a> From<&'a git::PullRequest> for PullRequest<'a> {
    fn from(pull_request: &'a git::PullRequest) -> Self {
        Self {
            number: pull_request.number,
            title: &pull_request.title,
            author: &pull_request.author,
            base: &pull_request.base,
            labels: &pull_request.labels,
            draft: pull_request.draft,
        }
    }
}
