//! Projects in the forms that `--output` offers, and one of them in words.

use std::fmt::Write;

use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use crate::api::Project;
use crate::api::project::{Brake, ProjectStatus};
use crate::cli::environment::{Format, NONE};
use crate::cli::output::{OutputError, json, yaml};
use crate::cli::printable::printable;
use crate::cli::table::{age, table};

/// Objects as kubectl lists them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<Project>,
}

/// Several Projects. `everywhere`: they may come from several namespaces.
pub fn list(projects: &[Project], format: Format, everywhere: bool, now: Timestamp) -> Result<String, OutputError> {
    let objects = || Listed {
        api_version: "v1",
        kind: "List",
        items: projects.iter().map(presentable).collect(),
    };
    match format {
        Format::Table | Format::Wide => Ok(columns(projects, format == Format::Wide, everywhere, now)),
        Format::Json => json(&objects()),
        Format::Yaml => yaml(&objects()),
        Format::Name => Ok(projects.iter().map(|project| reference(project) + "\n").collect()),
    }
}

/// One Project.
pub fn one(project: &Project, format: Format, everywhere: bool, now: Timestamp) -> Result<String, OutputError> {
    match format {
        Format::Json => json(&presentable(project)),
        Format::Yaml => yaml(&presentable(project)),
        format => list(std::slice::from_ref(project), format, everywhere, now),
    }
}

/// Kind and name, as kubectl takes them.
pub fn reference(project: &Project) -> String {
    format!("project.graftling.dev/{}", project.name_any())
}

fn columns(projects: &[Project], wide: bool, everywhere: bool, now: Timestamp) -> String {
    let mut header = vec!["NAME", "REPOSITORY", "ENVIRONMENTS", "HELD", "READY", "AGE"];
    if everywhere {
        header.insert(0, "NAMESPACE");
    }
    if wide {
        header.extend(["BUNDLE", "GITHOST", "MESSAGE"]);
    }
    table(&header, projects.iter().map(|project| row(project, wide, everywhere, now)))
}

fn row(project: &Project, wide: bool, everywhere: bool, now: Timestamp) -> Vec<String> {
    let status = project.status.clone().unwrap_or_default();
    let none = || NONE.to_owned();
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
    let mut cells = vec![
        project.name_any(),
        project.spec.repository.clone(),
        status.environments.to_string(),
        status.brake.as_ref().map_or(0, |brake| brake.count).to_string(),
        ready.map_or_else(none, |ready| ready.status.clone()),
        age(project.creation_timestamp().map(|time| time.0), now),
    ];
    if everywhere {
        cells.insert(0, project.namespace().unwrap_or_default());
    }
    if wide {
        cells.push(status.bundle.unwrap_or_else(none));
        cells.push(project.spec.git_host_ref.name.clone());
        cells.push(status.message.unwrap_or_else(none));
    }
    cells
}

/// The Project in words, section by section. What is not known is left out.
pub fn describe(project: &Project, now: Timestamp) -> String {
    let status = project.status.clone().unwrap_or_default();
    let mut text = identity(project, &status, now);
    let conditions = status.conditions.iter().map(|condition| {
        vec![
            condition.type_.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            age(Some(condition.last_transition_time.0), now),
            condition.message.clone(),
        ]
    });
    let skipped = status
        .skipped
        .iter()
        .map(|skipped| vec![skipped.branch.clone(), skipped.reason.clone()]);
    let brake = status.brake.as_ref().map(|brake| held(brake, now));
    text += &section("Conditions", &table(&["TYPE", "STATUS", "REASON", "AGE", "MESSAGE"], conditions));
    if !status.skipped.is_empty() {
        text += &section("Branches without an environment", &table(&["BRANCH", "REASON"], skipped));
    }
    if let Some(brake) = brake {
        text += &section("Brake", &brake);
    }
    text
}

/// What a brake holds, and how to release it.
pub fn held(brake: &Brake, now: Timestamp) -> String {
    let since = match &brake.since {
        Some(since) => format!("since {} ({})", since.0, age(Some(since.0), now)),
        None => "for a while".to_owned(),
    };
    let mut text = format!(
        "{} environments are held {since} under the digest {}\n",
        brake.count,
        printable(&brake.digest)
    );
    let rows = brake.environments.iter().enumerate().map(|(place, environment)| {
        let branch = brake.branches.get(place).cloned();
        vec![branch.unwrap_or_else(|| NONE.to_owned()), environment.clone()]
    });
    text += &table(&["BRANCH", "ENVIRONMENT"], rows);
    let more = (brake.count as usize).saturating_sub(brake.environments.len());
    if more > 0 {
        let _ = writeln!(text, "and {more} more, which the Project's status does not name");
    }
    text
}

fn identity(project: &Project, status: &ProjectStatus, now: Timestamp) -> String {
    let created = project.creation_timestamp().map(|time| time.0);
    let head = status.default_branch.as_ref();
    let mut text = String::new();
    for (name, value) in [
        ("Name", Some(project.name_any())),
        ("Namespace", project.namespace()),
        ("Repository", Some(project.spec.repository.clone())),
        ("Repository ID", status.repository_id.clone()),
        ("Git host", Some(project.spec.git_host_ref.name.clone())),
        ("Default branch", head.map(|head| format!("{} at {}", head.name, head.revision))),
        ("Bundle", status.bundle.clone()),
        ("Domain", Some(project.spec.domain.clone())),
        ("Deployer", Some(project.spec.deployer.service_account_name.clone())),
        ("Created", created.map(|time| format!("{time} ({} ago)", age(created, now)))),
        (
            "Suspended",
            project.spec.suspend.then(|| "yes: environments are left as they are".to_owned()),
        ),
        ("Environments", Some(status.environments.to_string())),
        ("Message", status.message.clone()),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "{:<16}{}", format!("{name}:"), printable(&value));
        }
    }
    text
}

fn section(title: &str, content: &str) -> String {
    let mut text = format!("\n{title}:\n");
    for line in content.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// Without the bookkeeping of field ownership, which kubectl does not show either.
fn presentable(project: &Project) -> Project {
    let mut project = project.clone();
    project.metadata.managed_fields = None;
    project
}
