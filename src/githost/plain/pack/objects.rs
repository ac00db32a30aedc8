//! The objects of one pack, in memory, by their ids.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use gix::error::ErrorExt;
use gix::hash::{Kind, oid};
use gix::odb::pack::data::EntryRange;
use gix::odb::pack::data::decode::entry::ResolvedBase;
use gix::odb::pack::data::input::{BytesToEntriesIter, Entry, EntryDataMode, Mode};
use gix::odb::pack::{cache, data, index};
use gix::progress::Discard;
use gix::zlib::Inflate;

use super::Cause;

/// The most bytes of one object. A pack may hold one that says it has terabytes.
const MAX_OBJECT: usize = 64 * 1024 * 1024;
/// The most bytes of all objects together after decompression.
const MAX_OBJECTS: u64 = 1024 * 1024 * 1024;

/// A pack with its index. The ids were computed from the objects, not taken from the server.
pub(super) struct Objects {
    pack: data::File<Vec<u8>>,
    index: index::File<Vec<u8>>,
    pub(super) hash: Kind,
}

impl Objects {
    /// Reads a pack and computes the id of each of its objects.
    pub(super) fn read(pack: Vec<u8>, hash: Kind) -> Result<Self, Cause> {
        let mut entries = BytesToEntriesIter::new_from_header(&pack[..], Mode::Verify, EntryDataMode::Crc32, hash)?;
        let version = entries.version();
        let mut size = 0_u64;
        let mut bounded = entries.by_ref().map(|entry| {
            let entry: Entry = entry?;
            size = size.saturating_add(entry.decompressed_size);
            match size {
                0..=MAX_OBJECTS => Ok(entry),
                _ => Err(gix::error::message("the objects of the commit are too large").raise()),
            }
        });
        let mut written = Vec::new();
        index::write_data_iter_to_stream(
            index::Version::default(),
            || Ok::<_, io::Error>((slice, &pack)),
            &mut bounded,
            Some(1),
            &mut Discard,
            &mut written,
            &AtomicBool::new(false),
            hash,
            Some(MAX_OBJECT),
            version,
        )?;
        drop(bounded);
        Ok(Self {
            index: index::File::from_data(written, PathBuf::new(), hash)?,
            pack: data::File::from_data(pack, PathBuf::new(), hash)?.with_alloc_limit_bytes(Some(MAX_OBJECT)),
            hash,
        })
    }

    /// The bytes of an object; `None` if the pack does not hold it.
    pub(super) fn get(&self, id: &oid) -> Result<Option<Vec<u8>>, Cause> {
        let Some(entry) = self.entry(id)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let base = |id: &oid, _: &mut Vec<u8>| Ok(self.entry(id)?.map(ResolvedBase::InPack));
        self.pack
            .decode_entry(entry, &mut bytes, &mut Inflate::default(), &base, &mut cache::Never)?;
        Ok(Some(bytes))
    }

    fn entry(&self, id: &oid) -> gix::Result<Option<data::Entry>> {
        let found = self.index.lookup(id).map(|position| self.index.pack_offset_at_index(position));
        found.map(|offset| self.pack.entry(offset)).transpose()
    }
}

fn slice<'a>(range: EntryRange, pack: &'a &Vec<u8>) -> Option<&'a [u8]> {
    pack.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}
