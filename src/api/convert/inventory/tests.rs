//! What is packed is what was meant, and small.
#![allow(clippy::unwrap_used, reason = "an inventory that cannot be read is the test's failure")]

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;

/// Bytes that nothing compresses, the same in each run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ (self.0 >> 29)
    }

    fn hexadecimal(&mut self, length: usize) -> String {
        let text: String = (0..length.div_ceil(8)).map(|_| format!("{:08x}", self.next() >> 32)).collect();
        text[..length].to_owned()
    }

    fn uid(&mut self) -> String {
        let text = self.hexadecimal(32);
        [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
    }

    fn name(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let letter = |_| char::from(LETTERS[usize::try_from(self.next() >> 33).unwrap() % LETTERS.len()]);
        (0..length).map(letter).collect()
    }
}

/// As many objects as an environment may have, with what an apply leaves of each, and names as long as the admission lets them all be.
fn inventory_of(objects: usize, name: usize) -> Inventory {
    let mut noise = Noise(7);
    let kinds = ["ConfigMap", "Secret", "Service", "ServiceAccount"];
    Inventory::from_entries((0..objects).map(|number| {
        let key = ObjectKey {
            group: String::new(),
            version: "v1".into(),
            kind: kinds[number % kinds.len()].into(),
            namespace: Some("shop-a-aaaaaaaaaa".into()),
            name: noise.name(name),
        };
        let entry = Entry {
            uid: Some(noise.uid()),
            digest: Some(noise.hexadecimal(32)),
            ownership: Some(noise.hexadecimal(16)),
            ..Entry::ahead(Stage::Deploy)
        };
        (key, entry)
    }))
}

/// The same with as much of each digest as is packed.
fn shortened(inventory: &Inventory) -> Inventory {
    Inventory::from_entries(inventory.iter().map(|(key, entry)| {
        let digest = entry.digest.as_deref().map(|digest| beginning(digest).to_owned());
        (key.clone(), Entry { digest, ..entry.clone() })
    }))
}

fn read(stored: impl Into<StoredInventory>) -> Result<Inventory, String> {
    let json = json!({ "inventory": stored.into() });
    inventory(Some(&serde_json::from_value(json).unwrap()))
}

#[test]
fn f23_the_inventory_of_as_many_objects_as_there_may_be_leaves_room_in_a_status() {
    for (objects, name, limit) in [(300, 20, 20), (500, 20, 32), (500, 48, 44)] {
        let inventory = inventory_of(objects, name);
        let stored = stored_inventory(&inventory);
        let size = json!(stored).to_string().len();
        assert!(size < limit * 1024, "{objects} objects with names of {name}: {size} bytes");
        assert_eq!(read(stored.clone()).unwrap(), shortened(&inventory));
        assert_eq!(
            stored_inventory(&read(stored.clone()).unwrap()),
            stored,
            "the same bytes again, or every pass would write"
        );
    }
}

#[test]
fn f85_a_version_that_knows_no_packed_inventory_finds_a_stage_that_it_does_not_know() {
    let stored = stored_inventory(&inventory_of(300, 20)).entries();
    let [entry] = stored.as_slice() else {
        panic!("{} entries", stored.len())
    };
    assert_eq!((entry.kind.as_str(), entry.name.as_str()), ("PackedInventory", "300-objects"));
    let mut seen_by_others = entry.clone();
    seen_by_others.packed = None;
    assert_eq!(
        read(vec![seen_by_others]).unwrap_err(),
        "status.inventory: unknown stage \"packed\""
    );
}

#[test]
fn a_small_inventory_stays_readable() {
    let stored = stored_inventory(&inventory_of(40, 20)).entries();
    assert_eq!(stored.len(), 40);
    assert!(stored.iter().all(|entry| entry.packed.is_none()));
}

#[test]
fn threat_t09_a_packed_inventory_that_cannot_be_read_is_an_error_and_not_an_empty_inventory() {
    let mut entry = stored_inventory(&inventory_of(300, 20)).entries().remove(0);
    let whole = entry.packed.clone().unwrap();
    let bomb = BASE64.encode(pack(&" ".repeat(8 * 1024 * 1024))) + ".";
    let short = json!([{ "a": "v1", "k": "Pod", "s": "deploy", "o": [["x", 4, [null, null]]] }]);
    let short = BASE64.encode(pack(&short)) + ".AAAA";
    for (packed, wanted) in [
        ("?.".to_owned(), "it is no base64"),
        (whole[..whole.len() - 8].to_owned(), "it is cut off"),
        (whole.split_once('.').unwrap().0.to_owned(), "it is cut off"),
        (bomb, "decompresses to more"),
        (short, "it is cut off"),
    ] {
        entry.packed = Some(packed);
        let error = read(vec![entry.clone()]).unwrap_err();
        assert!(
            error.starts_with("status.inventory: what is packed cannot be read") && error.contains(wanted),
            "{error}"
        );
    }
}

#[test]
fn an_object_whose_digest_was_shortened_is_not_applied_again() {
    let inventory = inventory_of(300, 20);
    let read = read(stored_inventory(&inventory)).unwrap();
    for (key, entry) in inventory.iter() {
        let digest = entry.digest.as_deref().unwrap();
        let stored = read.get(key).unwrap();
        assert!(stored.is_of(digest) && !stored.is_of(&digest.replace(&digest[..1], "x")));
    }
    let cut = Entry {
        digest: Some("abc".into()),
        ..Entry::ahead(Stage::Deploy)
    };
    assert!(cut.is_of("abc") && !cut.is_of("abcdef"), "too short to tell");
}

fn texts() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9a-f]{0,40}",
        "[0-9a-fA-F=-]{0,12}",
        "\\PC{0,6}",
    ])
}

proptest! {
    #[test]
    fn whatever_an_entry_holds_is_read_back_from_a_packed_inventory(
        entries in prop::collection::vec((("[a-z.]{1,12}", select(vec!["v1", "apps/v1"]), "[A-Z][a-z]{1,4}"), (texts(), texts(), texts()), 0..4_u8, select(Stage::ALL.to_vec())), 1..20)
    ) {
        let inventory = Inventory::from_entries(entries.into_iter().map(|((name, version, kind), (uid, digest, ownership), marks, stage)| {
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            let key = ObjectKey { group: group.into(), version: version.into(), kind, namespace: Some("n".into()), name };
            (key, Entry { stage, uid, digest, ownership, gone: marks & 1 != 0, asked: marks & 2 != 0 })
        }));
        let plain: Vec<_> = inventory.iter().map(stored_entry).collect();
        prop_assert_eq!(read(vec![packed(&plain)]).unwrap(), shortened(&inventory));
    }
}
