//! A case of a bundle's tests as objects: rendered and admitted as the server would do it.

use std::sync::Arc;

use crate::cli::diagnostics::problem_of;
use crate::cli::project_file::{self, ProjectFileError};
use crate::domain::bundle::case::{Case, ProjectFacts};
use crate::domain::bundle::{BundleFiles, Problem};
use crate::domain::manifest::{self, Admission, AllowedKinds, Manifest, Refusal};
use crate::domain::name::NameError;
use crate::domain::policy::Project;
use crate::domain::render::{RenderContext, Scheme};
use crate::render::{Error, Renderer};

/// Why a case gives no objects.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The bundle cannot be read or rendered.
    #[error(transparent)]
    Render(Error),
    /// What it gives may not be applied.
    #[error("the bundle gives what may not be applied:{}", lines(_0))]
    Admit(Vec<Refusal>),
}

/// What a bundle is rendered with, and what it may give.
#[derive(Debug)]
pub struct Setting {
    /// What templates see.
    pub context: RenderContext,
    /// Which kinds may be used.
    pub kinds: AllowedKinds,
}

/// Why a Project is no setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// Its values cannot be told.
    #[error("could not read the values of the Project")]
    LayerValues(#[source] ProjectFileError),
    /// It allows something that is no kind.
    #[error("spec.policy of the Project allows what is no kind")]
    AllowKinds(#[source] NameError),
}

impl Setting {
    /// That of a case of the bundle's own tests.
    pub fn of_case(case: &Case) -> Self {
        Self {
            context: case.context(),
            kinds: case.allowed(),
        }
    }

    /// That of a Project, for a branch that stands for any.
    ///
    /// # Errors
    /// See [`SettingError`].
    pub fn of_project(project: &Project) -> Result<Self, SettingError> {
        let mut case = Case::of_defaults();
        case.project = ProjectFacts {
            name: project.key.name.clone(),
            namespace: project.key.namespace.clone(),
            domain: project.domain.clone(),
            repository: project.repository.clone(),
        };
        let mut context = case.context();
        context.values = project_file::layers(project, &case.branch, None).map_err(SettingError::LayerValues)?;
        if !project.https {
            context.address.scheme = Scheme::Http;
        }
        Ok(Self {
            context,
            kinds: AllowedKinds::of(project).map_err(SettingError::AllowKinds)?,
        })
    }
}

/// The objects of a setting in the order in which they would be applied.
pub async fn objects(renderer: &Renderer, files: &Arc<BundleFiles>, setting: &Setting) -> Result<Vec<Manifest>, CaseError> {
    let context = &setting.context;
    let rendered = renderer.render(files, context.clone()).await.map_err(CaseError::Render)?;
    let admission = Admission {
        namespace: &context.environment.namespace(),
        environment: &context.environment,
        project: &context.project,
        domain: &context.address.domain,
        kinds: &setting.kinds,
    };
    let manifests = manifest::admit(rendered.documents, &admission).map_err(CaseError::Admit)?;
    let refusals = rendered
        .pipeline
        .map(|pipeline| pipeline.check_outputs(&manifests))
        .unwrap_or_default();
    if refusals.is_empty() {
        Ok(manifests)
    } else {
        Err(CaseError::Admit(refusals))
    }
}

/// What is wrong, one by one; an error that is not about the bundle stays an error.
pub fn problems(error: CaseError, files: &BundleFiles) -> Result<Vec<Problem>, Error> {
    match error {
        CaseError::Render(Error::ParseBundle { problems }) => Ok(problems),
        CaseError::Render(Error::RenderBundle(errors)) => Ok(errors.0),
        CaseError::Render(error) => Err(error),
        CaseError::Admit(refusals) => {
            let text = |refusal: &Refusal| std::str::from_utf8(files.files().get(&refusal.source_place.file)?).ok();
            Ok(refusals.iter().map(|refusal| problem_of(refusal, text(refusal))).collect())
        }
    }
}

fn lines(refusals: &[Refusal]) -> String {
    refusals.iter().map(|refusal| format!("\n  {refusal}")).collect()
}
