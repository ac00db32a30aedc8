//! What an environment should be where nothing can be rendered, or must not be: from the record of an earlier run.

use std::collections::BTreeSet;

use super::{Addresses, Desired, Refusal, Wish, allowed_kinds, fence};
use crate::domain::bundle::summary;
use crate::domain::guardrails;
use crate::domain::inventory::Inventory;
use crate::domain::manifest::{Admission, AllowedKinds};
use crate::domain::name::Namespace;
use crate::domain::plan::deploy;
use crate::domain::record::Contents;
use crate::domain::run::{Run, Staged};

/// What objects of an environment are measured against.
pub fn admission<'a>(wish: &'a Wish, namespace: &'a Namespace, kinds: &'a AllowedKinds) -> Admission<'a> {
    Admission {
        namespace,
        environment: &wish.identity.name,
        project: &wish.project.key,
        domain: &wish.project.domain,
        kinds,
    }
}

/// The objects of a record by stage, measured against what the Project allows today: whoever may write Secrets in the environment's
/// namespace could have written the record.
///
/// # Errors
/// Everything that is not allowed. Nothing of the record may be applied then.
pub fn admit_record(wish: &Wish, contents: &Contents) -> Result<Staged, Refusal> {
    let kinds = allowed_kinds(wish)?;
    let namespace = wish.identity.name.namespace();
    let objects = contents
        .admit(&admission(wish, &namespace, &kinds))
        .map_err(|refusals| Refusal::new("RecordRefused", summary(&refusals)))?;
    Ok(Staged {
        stages: contents.pipeline.stages.clone(),
        teardown: contents.pipeline.teardown.clone(),
        objects,
    })
}

impl Desired {
    /// What the environment should be by the record of `run`, which goes on as if its digest were still what is wished.
    ///
    /// # Errors
    /// As [`admit_record`].
    pub fn of_record(wish: &Wish, run: &Run, contents: &Contents) -> Result<Self, Refusal> {
        let staged = admit_record(wish, contents)?;
        let objects = deploy::Desired {
            guardrails: guardrails::guardrails(&fence(wish)),
            objects: staged.all().cloned().collect(),
            ..nothing(wish)
        };
        Ok(Self::recorded(run, contents, objects, staged))
    }

    /// What an environment that is being removed should be: nothing but what its stages bring.
    pub fn leaving(wish: &Wish, run: &Run, contents: &Contents, staged: Staged) -> Self {
        Self::recorded(run, contents, nothing(wish), staged)
    }

    fn recorded(run: &Run, contents: &Contents, objects: deploy::Desired, staged: Staged) -> Self {
        Self {
            objects,
            staged,
            addresses: Addresses {
                url: contents.url.clone(),
                urls: contents.urls.clone(),
            },
            digest: run.digest.clone(),
            is_rendered: false,
        }
    }
}

/// The namespace and what fences it, and of everything else that is recorded nothing.
pub fn fence_alone(wish: &Wish, inventory: &Inventory) -> deploy::Desired {
    deploy::Desired {
        guardrails: guardrails::guardrails(&fence(wish)),
        held: inventory.iter().map(|(key, _)| key.clone()).collect(),
        ..nothing(wish)
    }
}

/// The namespace alone.
fn nothing(wish: &Wish) -> deploy::Desired {
    deploy::Desired {
        namespace: guardrails::namespace(&fence(wish)),
        guardrails: Vec::new(),
        objects: Vec::new(),
        held: BTreeSet::new(),
    }
}
