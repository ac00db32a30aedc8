//! From a record to objects: admitted once more, as they would be if a bundle brought them today.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Contents, Mask};
use crate::domain::manifest::scope::{OWNER_ANNOTATION_PREFIX, SHARED_CONTENT_ANNOTATION, SHARED_LABEL};
use crate::domain::manifest::{
    Admission, ENVIRONMENT_LABEL, MANAGED_BY_LABEL, Manifest, PROJECT_LABEL, PROJECT_NAMESPACE_LABEL, Refusal, Source, admit,
};
use crate::domain::render::Document;

/// What a manifest was rendered as: without the labels and annotations that admission adds.
pub fn undress(manifest: &Manifest) -> Document {
    let mut value = Value::clone(&manifest.body);
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        let added = |key: &str| {
            [
                PROJECT_LABEL,
                PROJECT_NAMESPACE_LABEL,
                ENVIRONMENT_LABEL,
                SHARED_LABEL,
                SHARED_CONTENT_ANNOTATION,
            ]
            .contains(&key)
                || key.starts_with(OWNER_ANNOTATION_PREFIX)
        };
        for field in ["labels", "annotations"] {
            let Some(entries) = metadata.get_mut(field).and_then(Value::as_object_mut) else {
                continue;
            };
            entries.retain(|key, value| !(added(key) || key == MANAGED_BY_LABEL && value == "graftling"));
            if entries.is_empty() {
                metadata.remove(field);
            }
        }
        metadata.remove("namespace");
    }
    Document {
        file: manifest.source.file.clone(),
        line: manifest.source.line,
        value,
    }
}

impl Contents {
    /// The objects by stage, measured against what is allowed today.
    ///
    /// # Errors
    /// Everything that is not allowed any more, or never was: then nothing of the record may be applied.
    pub fn admit(&self, admission: &Admission<'_>) -> Result<BTreeMap<String, Vec<Manifest>>, Vec<Refusal>> {
        let documents = self.objects.values().flatten().cloned().collect();
        let mut left = admit(documents, admission)?;
        let mut stages = BTreeMap::new();
        for (stage, documents) in &self.objects {
            let places: BTreeSet<(&str, usize)> = documents.iter().map(|document| (document.file.as_str(), document.line)).collect();
            let is_of_stage = |source: &Source| places.contains(&(source.file.as_str(), source.line));
            let (own, others) = left.into_iter().partition(|manifest| is_of_stage(&manifest.source));
            stages.insert(stage.clone(), own);
            left = others;
        }
        Ok(stages)
    }

    /// The objects of some stages alone.
    ///
    /// # Errors
    /// As [`Self::admit`]; the other stages count as well, since objects refer to each other.
    pub fn admit_stages(&self, stages: &BTreeSet<&str>, admission: &Admission<'_>) -> Result<Vec<Manifest>, Vec<Refusal>> {
        let admitted = self.admit(admission)?;
        let chosen = admitted.into_iter().filter(|(stage, _)| stages.contains(stage.as_str()));
        Ok(chosen.flat_map(|(_, manifests)| manifests).collect())
    }

    /// What hides the values of the environment's own Secrets in a text.
    pub fn mask(&self) -> Mask {
        Mask::of_documents(self.objects.values().flatten().map(|document| &document.value))
    }
}
