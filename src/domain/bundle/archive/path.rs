//! Names of entries: what they may be, and where they stand to the part that is read.

use super::ArchiveError;
use crate::domain::git::TreePath;

/// The longest name of an entry, in bytes.
const MAX_NAME: usize = 1024;

/// Where a name stands to the path that is read.
pub(super) enum Path {
    /// Somewhere else.
    Outside,
    /// On the way to it.
    Above,
    /// The path itself.
    Itself,
    /// In it, by the path below it.
    Inside(String),
}

/// A name with `/` between its parts, without `.`; empty for the root.
pub(super) fn normal(bytes: &[u8]) -> Result<String, ArchiveError> {
    let refuse = |problem| ArchiveError::ReadName {
        name: String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_NAME)]).into_owned(),
        problem,
    };
    let text = std::str::from_utf8(bytes).map_err(|_| refuse("has a name that is not UTF-8"))?;
    if text.is_empty() || text.len() > MAX_NAME {
        return Err(refuse("has no name, or one of more than 1024 bytes"));
    }
    if text.starts_with('/') {
        return Err(refuse("has an absolute name"));
    }
    if text.chars().any(|character| character.is_control() || character == '\\') {
        return Err(refuse("has a control character or a backslash in its name"));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(refuse("leads out of the archive"));
    }
    Ok(parts.join("/"))
}

/// Where `name` stands to `place`.
pub(super) fn below(name: &str, place: &TreePath) -> Path {
    let Some(place) = place.below_root() else {
        return Path::Inside(name.to_owned());
    };
    match name.strip_prefix(place) {
        Some("") => Path::Itself,
        Some(rest) if rest.starts_with('/') => Path::Inside(rest[1..].to_owned()),
        _ if place.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')) => Path::Above,
        _ => Path::Outside,
    }
}
