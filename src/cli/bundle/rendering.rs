//! A case of a bundle's tests as objects: rendered and admitted as the server would do it.

use std::sync::Arc;

use crate::domain::bundle::case::Case;
use crate::domain::bundle::{BundleFiles, Problem};
use crate::domain::manifest::{self, Admission, AllowedKinds, Manifest, Refusal};
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
    let added = case.allow_kinds.iter().filter_map(|kind| kind.parse().ok());
    let admission = Admission {
        namespace: &context.environment.namespace(),
        environment: &context.environment,
        project: &context.project,
        domain: &context.address.domain,
        kinds: &AllowedKinds::with(added),
    };
    manifest::admit(rendered.documents, &admission).map_err(CaseError::Admit)
}

/// What is wrong, one by one; an error that is not about the bundle stays an error.
pub fn problems(error: CaseError) -> Result<Vec<Problem>, Error> {
    match error {
        CaseError::Render(Error::ParseBundle { problems }) => Ok(problems),
        CaseError::Render(Error::RenderBundle(errors)) => Ok(errors.0),
        CaseError::Render(error) => Err(error),
        CaseError::Admit(refusals) => Ok(refusals.iter().map(of_refusal).collect()),
    }
}

fn of_refusal(refusal: &Refusal) -> Problem {
    let place = &refusal.source_place;
    let message = format!("{}: {}: {}", refusal.object, refusal.field, refusal.reason);
    Problem::at_line(&place.file, place.line, message)
}

fn lines(refusals: &[Refusal]) -> String {
    refusals.iter().map(|refusal| format!("\n  {refusal}")).collect()
}
