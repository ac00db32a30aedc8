//! Bundles from ConfigMaps.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;

use super::Error;
use crate::domain::bundle::archive::{self, Limits, Selection};
use crate::domain::git::TreePath;

/// The key of an archive that holds the whole bundle.
const ARCHIVE: &str = "bundle.tgz";

/// The files that a ConfigMap holds: one for each key, or those of its archive.
pub(super) fn files(object: ConfigMap) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let texts = object
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, text)| (key, text.into_bytes()));
    let binaries = object
        .binary_data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, bytes)| (key, bytes.0));
    let keys: BTreeMap<String, Vec<u8>> = texts.chain(binaries).collect();
    match keys.get(ARCHIVE) {
        Some(bytes) if keys.len() == 1 => unpacked(bytes),
        Some(_) => {
            let problem = format!("the ConfigMap has the key {ARCHIVE} and others: give it either the archive or the files");
            Err(Error::CheckConfigMap(problem))
        }
        None => keys.into_iter().map(|(key, bytes)| Ok((path(&key)?, bytes))).collect(),
    }
}

/// The path that a key stands for: keys cannot hold a `/`, so its first one is written `__`.
fn path(key: &str) -> Result<String, Error> {
    let path = key.replacen("__", "/", 1);
    match path.parse::<TreePath>() {
        Ok(path) if path.below_root().is_some() => Ok(path.to_string()),
        _ => Err(Error::CheckConfigMap(format!(
            "the key {key:?} of the ConfigMap stands for no file of a bundle: keys are paths with \"__\" for the first \"/\", such as templates__web.yaml"
        ))),
    }
}

fn unpacked(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let root = ".".parse().map_err(|error| Error::CheckConfigMap(format!("{error}")))?;
    let selection = Selection {
        in_folder: false,
        below: &root,
    };
    let contents = archive::read(bytes, selection, &Limits::BUNDLE).map_err(Error::ReadArchive)?;
    Ok(archive::without_common_folder(contents.files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_t30_a_key_stands_for_a_file_below_the_bundle_or_for_nothing() {
        for (key, expected) in [
            ("bundle.yaml", "bundle.yaml"),
            ("templates__web.yaml", "templates/web.yaml"),
            ("templates___labels.hbs", "templates/_labels.hbs"),
            ("templates__a__b.yaml", "templates/a__b.yaml"),
            ("-rf", "-rf"),
        ] {
            assert_eq!(path(key).ok().as_deref(), Some(expected), "{key}");
        }
        for key in ["__etc_passwd", "..__x", "x__..", ".__x", ".", "templates__", ".git__config", ""] {
            assert!(matches!(path(key), Err(Error::CheckConfigMap(_))), "{key:?}");
        }
    }
}
