//! A case of a bundle's tests as objects: rendered and admitted as the server would do it.

use std::sync::Arc;

use crate::cli::diagnostics::problem_of;
use crate::domain::bundle::case::Case;
use crate::domain::bundle::{BundleFiles, Problem};
use crate::domain::manifest::{self, Admission, Manifest, Refusal};
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

/// The objects of a case in the order in which they would be applied.
pub async fn objects(renderer: &Renderer, files: &Arc<BundleFiles>, case: &Case) -> Result<Vec<Manifest>, CaseError> {
    let context = case.context();
    let rendered = renderer.render(files, context.clone()).await.map_err(CaseError::Render)?;
    let admission = Admission {
        namespace: &context.environment.namespace(),
        environment: &context.environment,
        project: &context.project,
        domain: &context.address.domain,
        kinds: &case.allowed(),
    };
    manifest::admit(rendered.documents, &admission).map_err(CaseError::Admit)
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
