//! A stored inventory in memory: a thousand environments have some fifteen thousand entries, each of them ten short texts of which half
//! are those of the entry before.

use std::fmt;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InventoryEntry;

/// The entries of an inventory as they are stored, held as one text.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredInventory(Held);

/// The same entries are always held the same way.
#[derive(Clone, PartialEq, Eq)]
enum Held {
    /// Each entry a line, its fields parted by [`NEXT`].
    Short(Box<str>),
    /// What holds characters that have a meaning in the text. No name has any.
    Whole(Box<[InventoryEntry]>),
}

/// How many fields of an entry are texts.
const TEXTS: usize = 9;

/// Parts the fields of a line.
const NEXT: char = '\t';
/// Stands for a field that is not there.
const NONE: &str = "\u{1}";
/// Stands for a field that is as in the line before.
const SAME: &str = "\u{2}";

/// The schema of an inventory says nothing of its entries: to go through them takes the API server a third of the time that it needs for a
/// status, at each write. Nobody but the server writes any, and what it cannot read it leaves alone.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

type Texts<'a> = [Option<&'a str>; TEXTS];

impl StoredInventory {
    /// The entries, in the order in which they are stored.
    pub fn entries(&self) -> Vec<InventoryEntry> {
        match &self.0 {
            Held::Short(text) => read(text),
            Held::Whole(entries) => entries.to_vec(),
        }
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Held::Short(text) => text.is_empty(),
            Held::Whole(entries) => entries.is_empty(),
        }
    }

    /// Takes all entries out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Default for StoredInventory {
    fn default() -> Self {
        Self(Held::Short(Box::default()))
    }
}

impl From<Vec<InventoryEntry>> for StoredInventory {
    fn from(entries: Vec<InventoryEntry>) -> Self {
        let is_plain = |text: &&str| !text.contains(|character: char| character < ' ');
        let all_plain = |entry: &InventoryEntry| texts(entry).iter().flatten().all(is_plain);
        Self(match entries.iter().all(all_plain) {
            true => Held::Short(write(&entries).into()),
            false => Held::Whole(entries.into()),
        })
    }
}

impl fmt::Debug for StoredInventory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries().fmt(formatter)
    }
}

impl Serialize for StoredInventory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StoredInventory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<InventoryEntry>::deserialize(deserializer).map(Self::from)
    }
}

fn texts(entry: &InventoryEntry) -> Texts<'_> {
    [
        Some(&entry.api_version),
        Some(&entry.kind),
        entry.namespace.as_deref(),
        Some(&entry.name),
        Some(&entry.stage),
        entry.uid.as_deref(),
        entry.digest.as_deref(),
        entry.ownership.as_deref(),
        entry.packed.as_deref(),
    ]
}

fn write(entries: &[InventoryEntry]) -> String {
    let mut lines = String::new();
    let mut before: Texts<'_> = [None; TEXTS];
    for entry in entries {
        let texts = texts(entry);
        for (text, before) in texts.iter().zip(before) {
            lines.push_str(match text {
                None => NONE,
                Some(_) if *text == before => SAME,
                Some(text) => text,
            });
            lines.push(NEXT);
        }
        lines.push_str(if entry.gone { "g" } else { "" });
        lines.push_str(if entry.asked { "a" } else { "" });
        lines.push('\n');
        before = texts;
    }
    lines
}

fn read(lines: &str) -> Vec<InventoryEntry> {
    let mut before: Texts<'_> = [None; TEXTS];
    let mut entries = Vec::with_capacity(lines.matches('\n').count());
    for line in lines.lines() {
        let mut fields = line.split(NEXT);
        for text in &mut before {
            match fields.next() {
                None | Some(NONE) => *text = None,
                Some(SAME) => {}
                Some(other) => *text = Some(other),
            }
        }
        entries.push(entry(before, fields.next().unwrap_or_default()));
    }
    entries
}

fn entry(texts: Texts<'_>, marks: &str) -> InventoryEntry {
    let [api_version, kind, namespace, name, stage, uid, digest, ownership, packed] = texts.map(|text| text.map(str::to_owned));
    InventoryEntry {
        api_version: api_version.unwrap_or_default(),
        kind: kind.unwrap_or_default(),
        namespace,
        name: name.unwrap_or_default(),
        stage: stage.unwrap_or_default(),
        uid,
        digest,
        ownership,
        gone: marks.contains('g'),
        asked: marks.contains('a'),
        packed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(name: &str) -> InventoryEntry {
        entry(
            [
                Some("v1"),
                Some("ConfigMap"),
                Some("shop-a"),
                Some(name),
                Some("deploy"),
                Some("u"),
                None,
                None,
                None,
            ],
            "",
        )
    }

    #[test]
    fn an_inventory_comes_back_as_it_was() {
        let change = |change: fn(&mut InventoryEntry)| {
            let mut entry = usual("a");
            change(&mut entry);
            entry
        };
        let entries = vec![
            usual("a"),
            usual("b"),
            change(|entry| entry.namespace = None),
            change(|entry| entry.uid = Some(String::new())),
            change(|entry| entry.digest = Some("d".to_owned())),
            change(|entry| entry.ownership = Some("o".to_owned())),
            change(|entry| entry.packed = Some("p".to_owned())),
            change(|entry| (entry.gone, entry.asked) = (true, false)),
            change(|entry| (entry.gone, entry.asked) = (false, true)),
            change(|entry| entry.kind.clear()),
        ];
        let stored = StoredInventory::from(entries.clone());
        assert!(matches!(stored.0, Held::Short(_)));
        assert_eq!(stored.entries(), entries);
        assert_eq!(serde_json::to_value(&stored).ok(), serde_json::to_value(&entries).ok());
        assert!(!stored.is_empty() && StoredInventory::from(Vec::new()) == StoredInventory::default());
    }

    #[test]
    fn no_text_that_somebody_else_stored_is_taken_for_another() {
        for text in ["\u{1}", "\u{2}", "a\tb", "a\nb", "a\r"] {
            let entries = vec![usual("a"), usual(text)];
            assert_eq!(StoredInventory::from(entries.clone()).entries(), entries, "{text:?}");
        }
    }

    #[test]
    fn fourteen_objects_of_one_namespace_take_less_than_two_kilobytes() {
        let entry = |number: u32| InventoryEntry {
            uid: Some("9a0c5b9e-43a6-4f3c-8f0e-1b7f1d3c0a55".to_owned()),
            digest: Some("0123456789abcdef0123456789abcdef".to_owned()),
            ownership: Some("0123456789abcdef".to_owned()),
            ..usual(&format!("shop-object-{number}"))
        };
        assert!(write(&(0..14).map(entry).collect::<Vec<_>>()).len() < 2048);
    }
}
