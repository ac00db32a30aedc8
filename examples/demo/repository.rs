//! The sample application in a real Git repository, and what connects it with graftling.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use graftling::api::{Environment, GitHost, Project};
use graftling::domain::git::RepositoryId;
use graftling::domain::name::{DomainName, EnvironmentName, Identity, ProjectKey};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use testbed::node::image;
use testbed::{Repository, wait};

use crate::chart::NAMESPACE;
use crate::objects;
use crate::server::Server;
use crate::story::LIMIT;

/// The Project of the demo.
pub const PROJECT: &str = "shop";
/// Its GitHost.
pub const GIT_HOST: &str = "local";
/// The account that writes what environments consist of.
pub const DEPLOYER: &str = "graftling-deployer";

/// The Secret with which the hook signs; a real one is random.
const WEBHOOK_SECRET: &str = "the demo's webhook secret";

/// A repository with the sample application on `main`.
pub fn create() -> anyhow::Result<Repository> {
    let repository = Repository::create()?;
    let page = "<h1>Shop</h1>\n";
    let readme = "# Shop\n\nEvery branch gets an environment of its own.\n";
    repository.commit("main", &[("README.md", readme), ("public/index.html", page)])?;
    Ok(repository)
}

/// Installs graftling's post-receive hook as people do: `graftling hook install`.
pub fn install_hook(repository: &Repository, server: &Server, folder: &Path) -> anyhow::Result<()> {
    let secret = folder.join("webhook-secret");
    std::fs::write(&secret, WEBHOOK_SECRET).with_context(|| format!("could not write {}", secret.display()))?;
    let output = Command::new(&server.program)
        .args(["hook", "install", "--url"])
        .arg(format!("{}/hooks/{NAMESPACE}/{GIT_HOST}", server.webhook))
        .arg("--secret-file")
        .args([&secret, &repository.path()])
        .output()
        .context("could not run graftling hook install")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "graftling hook install: {complaint}");
    Ok(())
}

/// Sends the hook's delivery about a branch once more, as a Git host does that got no answer.
pub fn replay(repository: &Repository, branch: &str, before: &str, after: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let hook = repository.path().join("hooks/post-receive");
    let mut child = Command::new(&hook)
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not run {}", hook.display()))?;
    if let Some(mut input) = child.stdin.take() {
        writeln!(input, "{before} {after} refs/heads/{branch}")?;
    }
    ensure!(child.wait()?.success(), "the hook failed");
    Ok(())
}

/// The Secret, GitHost and Project that a platform engineer writes. A node of ours has no image but its own.
pub fn settings(repository: &Repository, domain: &DomainName, own_images: bool) -> [Value; 3] {
    let path = repository.path();
    let parent = path.parent().unwrap_or(&path).display().to_string();
    let object = |api_version: &str, kind: &str, name: &str, mut body: Value| {
        body["apiVersion"] = api_version.into();
        body["kind"] = kind.into();
        body["metadata"] = json!({ "name": name, "namespace": NAMESPACE });
        body
    };
    let secret = json!({ "stringData": { "secret": WEBHOOK_SECRET } });
    let git_host = json!({ "spec": {
        "provider": "git",
        "url": format!("file://{parent}"),
        "webhook": { "secret": { "name": "webhook" } },
    }});
    let mut project = json!({ "spec": {
        "gitHostRef": { "name": GIT_HOST },
        "repository": "repository.git",
        "bundle": { "name": "web" },
        "domain": domain.as_str(),
        "scheme": "http",
        "deployer": { "serviceAccountName": DEPLOYER },
    }});
    if own_images {
        project["spec"]["values"] = json!({ "image": { "repository": image::WEB, "tag": "" }, "args": [] });
    }
    [
        object("v1", "Secret", "webhook", secret),
        object("graftling.dev/v1alpha1", "GitHost", GIT_HOST, git_host),
        object("graftling.dev/v1alpha1", "Project", PROJECT, project),
    ]
}

/// Applies the settings and waits until the server has taken them up.
pub async fn connect(client: &Client, settings: &[Value]) -> anyhow::Result<()> {
    for body in settings {
        objects::apply(client, body).await?;
    }
    let hosts: Api<GitHost> = Api::namespaced(client.clone(), NAMESPACE);
    let projects: Api<Project> = Api::namespaced(client.clone(), NAMESPACE);
    let look = || async {
        let host = hosts
            .get(GIT_HOST)
            .await
            .map_err(|error| error.to_string())?
            .status
            .unwrap_or_default();
        let project = projects
            .get(PROJECT)
            .await
            .map_err(|error| error.to_string())?
            .status
            .unwrap_or_default();
        match host.webhook_path.is_some() && project.repository_id.is_some() {
            true => Ok(()),
            false => Err(project.message.or(host.message).unwrap_or_default()),
        }
    };
    wait::try_until("GitHost and Project that are ready", LIMIT, look).await?;
    Ok(())
}

/// Removes the Project and its environments and waits until the server has taken them down.
pub async fn disconnect(client: &Client) -> anyhow::Result<()> {
    let projects: Api<Project> = Api::namespaced(client.clone(), NAMESPACE);
    let environments: Api<Environment> = Api::namespaced(client.clone(), NAMESPACE);
    match projects.delete(PROJECT, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {}
        other => drop(other.context("could not delete the Project")?),
    }
    for environment in environments
        .list(&ListParams::default())
        .await
        .context("could not list environments")?
    {
        let deleted = environments.delete(&environment.name_any(), &DeleteParams::default()).await;
        deleted.with_context(|| format!("could not delete Environment {}", environment.name_any()))?;
    }
    let look = || async {
        let left = environments.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        match left.items.first() {
            None => Ok(()),
            Some(first) => Err(first.status.clone().and_then(|status| status.message).unwrap_or_default()),
        }
    };
    wait::try_until("end of the environments", LIMIT, look).await?;
    Ok(())
}

/// The name of the environment of a branch: a function of the branch's identity, known before anything exists.
pub async fn environment_name(client: &Client, settings: &[Value; 3], branch: &str) -> anyhow::Result<EnvironmentName> {
    let projects: Api<Project> = Api::namespaced(client.clone(), NAMESPACE);
    let status = projects.get(PROJECT).await?.status.unwrap_or_default();
    let repository: RepositoryId = status.repository_id.unwrap_or_default().parse()?;
    let project = ProjectKey {
        namespace: NAMESPACE.parse()?,
        name: PROJECT.parse()?,
    };
    Ok(EnvironmentName::compute(Identity {
        host_url: settings[1]["spec"]["url"].as_str().unwrap_or_default(),
        repository: &repository,
        branch: &branch.parse()?,
        project: &project,
    }))
}

/// The clone that pushes to the repository.
pub fn clone_of(repository: &Repository) -> PathBuf {
    repository.path().with_file_name("clone")
}
