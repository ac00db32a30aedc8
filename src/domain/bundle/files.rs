//! The files of a bundle before anybody has read them, under a digest that names them.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest;

use super::problem::Problem;
use super::{MAX_BUNDLE, MAX_FILE, MAX_FILES};

/// The bytes of a bundle's files, by their path inside the bundle with `/` between the parts.
///
/// # Guarantees
/// At most [`MAX_FILES`] files of [`MAX_FILE`] bytes, [`MAX_BUNDLE`] in all. Nothing else has been looked at: whether they are a
/// bundle is found out where it can do no harm (see [`crate::render`]).
#[derive(Clone, PartialEq, Eq)]
pub struct BundleFiles {
    files: BTreeMap<String, Vec<u8>>,
    digest: String,
}

impl BundleFiles {
    /// Takes in files from a source. Every one of them counts, so a source leaves out what is not meant to be read.
    ///
    /// # Errors
    ///
    /// Every limit that is exceeded.
    pub fn new(files: BTreeMap<String, Vec<u8>>) -> Result<Self, Vec<Problem>> {
        let problems = excesses(&files);
        if problems.is_empty() {
            let digest = digest(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
            Ok(Self { files, digest })
        } else {
            Err(problems)
        }
    }

    /// The bytes of each file.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// SHA-256 over every path and every byte, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How many bytes all files have together.
    pub fn size(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }
}

/// Files are long; the digest says which they are.
impl fmt::Debug for BundleFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.files.keys().collect();
        formatter
            .debug_struct("BundleFiles")
            .field("files", &names)
            .field("digest", &self.digest)
            .finish()
    }
}

fn excesses(files: &BTreeMap<String, Vec<u8>>) -> Vec<Problem> {
    if files.len() > MAX_FILES {
        let message = format!("has {} files: at most {MAX_FILES} are allowed", files.len());
        return vec![Problem::in_file("bundle", message)];
    }
    let size: usize = files.values().map(Vec::len).sum();
    if size > MAX_BUNDLE {
        let message = format!("has {size} bytes: at most {MAX_BUNDLE} are allowed");
        return vec![Problem::in_file("bundle", message)];
    }
    let too_large = files.iter().filter(|(_, bytes)| bytes.len() > MAX_FILE);
    too_large
        .map(|(path, bytes)| Problem::in_file(path, format!("has {} bytes: at most {MAX_FILE} are allowed", bytes.len())))
        .collect()
}

/// Each path and content is preceded by its length, so that no two sets of files share the same bytes.
pub(super) fn digest<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in files.into_iter().flat_map(|(path, bytes)| [path.as_bytes(), bytes]) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refusal is the test's failure")]

    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn the_digest_tells_paths_from_contents() {
        let digest = |parts| BundleFiles::new(files(parts)).unwrap().digest().to_owned();
        let one = digest(&[("a", "bc"), ("d", "")]);
        assert_eq!(one.len(), 64);
        assert_eq!(one, digest(&[("d", ""), ("a", "bc")]));
        for other in [
            &[("ab", "c"), ("d", "")][..],
            &[("a", "bcd")],
            &[("a", "bc")],
            &[("a", "b"), ("d", "")],
        ] {
            assert_ne!(one, digest(other));
        }
    }

    #[test]
    fn every_limit_is_told() {
        let problems = |files| {
            let problems = BundleFiles::new(files).unwrap_err();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let many = (0..=MAX_FILES).map(|number| (number.to_string(), Vec::new())).collect();
        assert_eq!(problems(many), ["bundle: has 201 files: at most 200 are allowed"]);
        let large = |count: usize, size: usize| {
            (0..count)
                .map(|number| (number.to_string(), vec![0; size]))
                .collect::<BTreeMap<_, _>>()
        };
        assert_eq!(
            problems(large(2, MAX_FILE + 1)),
            [
                "0: has 1048577 bytes: at most 1048576 are allowed",
                "1: has 1048577 bytes: at most 1048576 are allowed"
            ]
        );
        assert_eq!(
            problems(large(9, MAX_FILE)),
            ["bundle: has 9437184 bytes: at most 8388608 are allowed"]
        );
        assert_eq!(BundleFiles::new(large(8, MAX_FILE)).unwrap().size(), MAX_BUNDLE);
    }
}
