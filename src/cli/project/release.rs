//! `graftling project release-brake`.

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{ProjectError, Selection, show};
use crate::api::project::{Brake, Project};
use crate::app::access::{Access, Class};
use crate::cli::environment::confirm;
use crate::cli::output::print;
use crate::domain::name::ProjectName;

/// What `--help` says at its end.
pub const HELP: &str = "\
The brake holds environments when too many would be removed at once: an outage of the Git host can
look like that, and so can a mistake in the Project. A release holds for exactly the environments
that are shown, once; it ends with code 4 if the brake holds others by then.";

/// Which Project, and what of it.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Release only if the brake still holds the environments of this digest
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    selection: Selection,
}

/// A Project's status may be written at any time; so often is it looked whether the brake is still the same.
const ATTEMPTS: usize = 5;

/// Shows what is held, asks, and releases exactly that.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (access, project) = arguments.selection.find().await?;
    let Some(brake) = held(&project) else {
        print(&format!("{} holds nothing\n", show::reference(&project)))?;
        return Ok(());
    };
    check(arguments.digest.as_ref().unwrap_or(&brake.digest), brake)?;
    print(&show::held(brake, Timestamp::now()))?;
    confirm(&question(&project, brake), arguments.yes)?;
    let (count, digest) = (brake.count, brake.digest.clone());
    release(&access, project, &arguments.selection.name, &digest).await?;
    print(&format!(
        "released {count} environments; they are removed when the server next looks at the repository\n"
    ))?;
    Ok(())
}

fn question(project: &Project, brake: &Brake) -> String {
    format!("Remove these {} environments of Project {}?", brake.count, project.name_any())
}

fn held(project: &Project) -> Option<&Brake> {
    project.status.as_ref()?.brake.as_ref()
}

fn check(asked: &str, brake: &Brake) -> Result<(), ProjectError> {
    if asked == brake.digest {
        return Ok(());
    }
    Err(ProjectError::Supersede {
        asked: asked.to_owned(),
        held: show::held(brake, Timestamp::now()).trim_end().to_owned(),
    })
}

/// The write is refused if the Project was written since it was read; if the brake is the same still, it is tried again.
async fn release(access: &Access, project: Project, name: &ProjectName, digest: &str) -> anyhow::Result<()> {
    let namespace = project.namespace().unwrap_or_default().parse()?;
    let mut project = project;
    for _ in 0..ATTEMPTS {
        match access.release_brake(&project, digest).await {
            Err(error) if error.class() == Class::Conflict => {}
            done => return Ok(done?),
        }
        let fresh = access.project(&namespace, name).await?;
        project = fresh.filter(|fresh| fresh.uid() == project.uid()).ok_or(ProjectError::FindNone {
            name: name.to_string(),
            place: format!(" in namespace {namespace}"),
        })?;
        match held(&project) {
            Some(brake) => check(digest, brake)?,
            None => {
                return Err(ProjectError::Supersede {
                    asked: digest.to_owned(),
                    held: "nothing".to_owned(),
                }
                .into());
            }
        }
    }
    Ok(access.release_brake(&project, digest).await?)
}
