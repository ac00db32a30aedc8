//! The inventory ↔ a status: entry by entry while it is small, packed into one once it is not.
//!
//! A status has to stay small whatever a bundle renders to, since every watcher gets it with every change; and the inventory has to be in
//! it, because the fence of a write is the resourceVersion of the object that holds it. 500 objects take 150 KB entry by entry, and less than a third
//! packed. What is packed is one entry with a stage that older versions do not know, so that they touch nothing.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::api::environment::{EnvironmentStatus, InventoryEntry, StoredInventory};
use crate::domain::inventory::{Entry, Inventory, SHORT_DIGEST, Stage};
use crate::domain::manifest::ObjectKey;
use crate::domain::record::{pack, unpack};

/// Up to so many bytes as JSON the inventory is stored entry by entry, for people and tools to read: about fifty objects.
pub const PLAIN: usize = 16 * 1024;

/// The stage of the entry that holds all others.
const PACKED_STAGE: &str = "packed";
/// The kind of that entry.
const PACKED_KIND: &str = "PackedInventory";
/// The most bytes that a packed inventory unpacks to. We write a tenth of it.
const MAX_UNPACKED: u64 = 4 * 1024 * 1024;

/// Objects that differ in nothing but their names and what came of them.
#[derive(Serialize, Deserialize)]
struct Group {
    a: String,
    k: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    s: String,
    o: Vec<Packed>,
}

/// Name, marks, and what UID, digest and ownership are where they are not among the raw bytes.
type Packed = (String, u8, Vec<Option<String>>);

const GONE: u8 = 1;
const ASKED: u8 = 2;
/// UID, digest and ownership, in this order, are among the raw bytes: what chance made cannot be compressed, and text would only make more
/// of it.
const RAW: [u8; 3] = [4, 8, 16];
/// How many raw bytes each of them has.
const LENGTHS: [usize; 3] = [16, SHORT_DIGEST / 2, 8];

/// Reads the stored inventory.
///
/// # Errors
/// An entry that cannot be read. Nothing may be deleted then, and nothing forgotten.
pub fn inventory(status: Option<&EnvironmentStatus>) -> Result<Inventory, String> {
    let entries = status.map(entries).transpose()?.unwrap_or_default();
    let entries: Result<Vec<_>, String> = entries.iter().map(inventory_entry).collect();
    Ok(Inventory::from_entries(entries?))
}

/// The stored inventory entry by entry, however it is stored.
///
/// # Errors
/// It is packed in a way that cannot be read.
pub fn entries(status: &EnvironmentStatus) -> Result<Vec<InventoryEntry>, String> {
    let mut all = Vec::new();
    for entry in status.inventory.entries() {
        match &entry.packed {
            Some(packed) => all.extend(unpacked(packed)?),
            None => all.push(entry),
        }
    }
    Ok(all)
}

/// The inventory as it is stored.
pub fn stored_inventory(inventory: &Inventory) -> StoredInventory {
    let plain: Vec<_> = inventory.iter().map(stored_entry).collect();
    let size: usize = plain.iter().map(size).sum();
    if size <= PLAIN {
        return plain.into();
    }
    vec![packed(&plain)].into()
}

fn stored_entry((key, entry): (&ObjectKey, &Entry)) -> InventoryEntry {
    InventoryEntry {
        api_version: key.api_version(),
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        stage: entry.stage.name().to_owned(),
        uid: entry.uid.clone(),
        digest: entry.digest.clone(),
        ownership: entry.ownership.clone(),
        gone: entry.gone,
        asked: entry.asked,
        packed: None,
    }
}

fn inventory_entry(entry: &InventoryEntry) -> Result<(ObjectKey, Entry), String> {
    let (group, version) = entry.api_version.split_once('/').unwrap_or(("", &entry.api_version));
    let stage = Stage::from_name(&entry.stage).ok_or_else(|| format!("status.inventory: unknown stage {:?}", entry.stage))?;
    let key = ObjectKey {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: entry.kind.clone(),
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
    };
    let entry = Entry {
        stage,
        uid: entry.uid.clone(),
        digest: entry.digest.clone(),
        ownership: entry.ownership.clone(),
        gone: entry.gone,
        asked: entry.asked,
    };
    Ok((key, entry))
}

fn size(entry: &InventoryEntry) -> usize {
    serde_json::to_vec(entry).map_or(0, |json| json.len() + 1)
}

fn packed(entries: &[InventoryEntry]) -> InventoryEntry {
    let mut groups: Vec<Group> = Vec::new();
    let mut raw = Vec::new();
    for entry in entries {
        let is_of =
            |group: &Group| group.a == entry.api_version && group.k == entry.kind && group.n == entry.namespace && group.s == entry.stage;
        let member = member(entry, &mut raw);
        match groups.last_mut().filter(|group| is_of(group)) {
            Some(group) => group.o.push(member),
            None => groups.push(Group {
                a: entry.api_version.clone(),
                k: entry.kind.clone(),
                n: entry.namespace.clone(),
                s: entry.stage.clone(),
                o: vec![member],
            }),
        }
    }
    InventoryEntry {
        api_version: "graftling.dev/v1alpha1".to_owned(),
        kind: PACKED_KIND.to_owned(),
        namespace: None,
        name: format!("{}-objects", entries.len()),
        stage: PACKED_STAGE.to_owned(),
        uid: None,
        digest: None,
        ownership: None,
        gone: false,
        asked: false,
        packed: Some(format!("{}.{}", BASE64.encode(pack(&groups)), BASE64.encode(raw))),
    }
}

fn member(entry: &InventoryEntry, raw: &mut Vec<u8>) -> Packed {
    let mut marks = if entry.gone { GONE } else { 0 } | if entry.asked { ASKED } else { 0 };
    let mut texts = Vec::new();
    let fields = [
        entry.uid.as_deref(),
        entry.digest.as_deref().map(beginning),
        entry.ownership.as_deref(),
    ];
    for (index, text) in fields.into_iter().enumerate() {
        match text.and_then(|text| to_raw(index, text)) {
            Some(bytes) => {
                raw.extend(bytes);
                marks |= RAW[index];
            }
            None => texts.push(text.map(str::to_owned)),
        }
    }
    (entry.name.clone(), marks, texts)
}

fn unpacked(packed: &str) -> Result<Vec<InventoryEntry>, String> {
    let wrong = |reason: &str| format!("status.inventory: what is packed cannot be read: {reason}");
    let decode = |text: &str| BASE64.decode(text).map_err(|_| wrong("it is no base64"));
    let (text, raw) = packed.split_once('.').ok_or_else(|| wrong("it is cut off"))?;
    let groups: Vec<Group> = unpack(&decode(text)?, MAX_UNPACKED).map_err(|reason| wrong(&reason))?;
    let raw = decode(raw)?;
    let mut raw = raw.as_slice();
    let mut entries = Vec::new();
    for group in groups {
        for (name, marks, texts) in group.o {
            let mut texts = texts.into_iter();
            let mut field = |index: usize| match marks & RAW[index] {
                0 => texts.next().ok_or_else(|| wrong("a UID or digest is missing")),
                _ => from_raw(index, &mut raw).map(Some).ok_or_else(|| wrong("it is cut off")),
            };
            let (uid, digest, ownership) = (field(0)?, field(1)?, field(2)?);
            entries.push(InventoryEntry {
                api_version: group.a.clone(),
                kind: group.k.clone(),
                namespace: group.n.clone(),
                name,
                stage: group.s.clone(),
                uid,
                digest,
                ownership,
                gone: marks & GONE != 0,
                asked: marks & ASKED != 0,
                packed: None,
            });
        }
    }
    Ok(entries)
}

/// As much of a digest as tells manifests of one object apart.
fn beginning(digest: &str) -> &str {
    let is_digest = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    digest.get(..SHORT_DIGEST).filter(|_| is_digest).unwrap_or(digest)
}

/// The bytes of a UID or digest, if they are what it is read back from.
fn to_raw(index: usize, text: &str) -> Option<Vec<u8>> {
    let bytes = from_hexadecimal(&text.replace('-', ""))?;
    let read = from_raw(index, &mut bytes.as_slice());
    (bytes.len() == LENGTHS[index] && read.as_deref() == Some(text)).then_some(bytes)
}

fn from_raw(index: usize, raw: &mut &[u8]) -> Option<String> {
    let (bytes, rest) = raw.split_at_checked(LENGTHS[index])?;
    *raw = rest;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let is_uid = index == 0;
    Some(match is_uid {
        true => [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"),
        false => text,
    })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let is_whole = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    is_whole.then(|| bytes.collect())?
}

#[cfg(test)]
mod tests;
