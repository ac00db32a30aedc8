//! What helm gave, under the digest of everything that it is a function of.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::digest;

use super::HelmSettings;
use crate::domain::bundle::BundleFiles;
use crate::domain::render::{Document, Release};

/// The most text that the kept documents came from, in bytes.
const MAX_SIZE: usize = 32 * 1024 * 1024;

/// What was used last is kept, up to [`MAX_SIZE`].
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
    size: usize,
    time: u64,
}

/// SHA-256 over chart, release and settings. Values may hold secrets, so they are no key themselves.
pub(super) type Key = Vec<u8>;

struct Entry {
    documents: Vec<Document>,
    size: usize,
    used: u64,
}

/// The key of a run of helm.
pub(super) fn key(files: &BundleFiles, release: &Release, settings: &HelmSettings) -> Key {
    let mut context = digest::Context::new(&digest::SHA256);
    let release = serde_json::to_vec(release).unwrap_or_default();
    let settings = format!("{settings:?}");
    for part in [files.digest().as_bytes(), &release, settings.as_bytes()] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

impl Cache {
    pub(super) fn get(&mut self, key: &Key) -> Option<Vec<Document>> {
        self.time += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.time;
        Some(entry.documents.clone())
    }

    /// Keeps documents that came from `size` bytes of text.
    pub(super) fn put(&mut self, key: Key, documents: &[Document], size: usize) {
        self.time += 1;
        let entry = Entry {
            documents: documents.to_vec(),
            size,
            used: self.time,
        };
        let replaced = self.entries.insert(key, entry);
        self.size = self.size + size - replaced.map_or(0, |entry| entry.size);
        while self.size > MAX_SIZE {
            let Some(oldest) = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone()) else {
                return;
            };
            self.size -= self.entries.remove(&oldest).map_or(0, |entry| entry.size);
        }
    }
}

/// Documents may be Secrets, so only their number is shown.
impl fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cache({} releases)", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let mut cache = Cache::default();
        let third = MAX_SIZE / 3;
        for name in 1..=3u8 {
            cache.put(vec![name], &[], third);
        }
        assert!(cache.get(&vec![1]).is_some());
        cache.put(vec![4], &[], third);
        assert!(cache.get(&vec![2]).is_none());
        assert!(cache.get(&vec![1]).is_some() && cache.get(&vec![3]).is_some() && cache.get(&vec![4]).is_some());
        cache.put(vec![5], &[], MAX_SIZE + 1);
        assert_eq!((cache.entries.len(), cache.size), (0, 0));
    }
}
