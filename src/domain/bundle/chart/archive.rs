//! Subcharts that are kept packed: their templates, read in memory within limits.

use std::io::Read;

use flate2::read::GzDecoder;
use tar::Archive;

use super::is_template;
use crate::domain::bundle::MAX_BUNDLE;

/// The most entries of a packed chart.
const MAX_ENTRIES: usize = 2_000;

/// The templates of a packed chart with their paths in it, those of packed charts inside it included.
pub(super) fn templates(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    let mut left = MAX_BUNDLE as u64;
    collect(bytes, "", 0, &mut left, &mut found)?;
    Ok(found)
}

fn collect(bytes: &[u8], within: &str, depth: usize, left: &mut u64, found: &mut Vec<(String, String)>) -> Result<(), String> {
    const MAX_DEPTH: usize = 4;
    let unreadable = |error: std::io::Error| format!("is not a readable chart archive: {error}");
    let mut archive = Archive::new(GzDecoder::new(bytes).take(4 * MAX_BUNDLE as u64));
    for (number, entry) in archive.entries().map_err(unreadable)?.enumerate() {
        let entry = entry.map_err(unreadable)?;
        if number >= MAX_ENTRIES {
            return Err(format!("has more than {MAX_ENTRIES} entries"));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !matches!(entry.header().entry_type(), tar::EntryType::Regular | tar::EntryType::Directory) {
            return Err(format!("{path} in it is neither a file nor a folder"));
        }
        let is_packed = path.ends_with(".tgz");
        if !is_packed && !is_template(&path) {
            continue;
        }
        let mut content = Vec::new();
        entry.take(*left + 1).read_to_end(&mut content).map_err(unreadable)?;
        *left = left
            .checked_sub(content.len() as u64)
            .ok_or_else(|| format!("has more than {MAX_BUNDLE} bytes of templates"))?;
        let path = format!("{within}{path}");
        if !is_packed {
            found.push((path, String::from_utf8_lossy(&content).into_owned()));
        } else if depth < MAX_DEPTH {
            collect(&content, &format!("{path}/"), depth + 1, left, found)?;
        } else {
            return Err(format!("{path} in it is packed too deeply"));
        }
    }
    Ok(())
}
