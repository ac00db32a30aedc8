#![allow(clippy::unwrap_used, reason = "an archive that cannot be built is the test's failure")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{Builder, EntryType, Header};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One entry whose header says what it is told, hostile or not.
fn entry(name: &[u8], kind: EntryType, bytes: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut block = header.as_bytes().to_vec();
    block.extend(bytes);
    block.resize(block.len().div_ceil(512) * 512, 0);
    block
}

fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    entry(name.as_bytes(), EntryType::Regular, bytes)
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend([0; 1024]);
    bytes
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    gzip(&tar(entries))
}

fn root() -> TreePath {
    ".".parse().unwrap()
}

fn whole(bytes: &[u8]) -> Result<Contents, ArchiveError> {
    let below = &root();
    read(bytes, Selection { in_folder: false, below }, &Limits::BUNDLE)
}

fn part(bytes: &[u8], below: &str) -> Result<Contents, ArchiveError> {
    let below = &below.parse().unwrap();
    read(bytes, Selection { in_folder: true, below }, &Limits::REPOSITORY)
}

fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while length.to_string().len() + rest.len() != length {
        length += 1;
    }
    format!("{length}{rest}").into_bytes()
}

#[test]
fn an_ordinary_archive_is_read_whole() {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in [("./bundle.yaml", "name: a"), ("./templates/web.yaml", "kind: A")] {
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let long = format!("docs/{}.md", "x".repeat(200));
    let mut header = Header::new_gnu();
    header.set_size(2);
    builder.append_data(&mut header, &long, &b"hi"[..]).unwrap();
    let bytes = builder.into_inner().unwrap().finish().unwrap();
    let contents = whole(&bytes).unwrap();
    let names: Vec<_> = contents.files.keys().map(String::as_str).collect();
    assert_eq!(names, ["bundle.yaml", long.as_str(), "templates/web.yaml"]);
    assert_eq!(contents.files["bundle.yaml"], b"name: a");
}

#[test]
fn the_part_of_a_repository_is_read_and_the_rest_is_passed_over() {
    let bytes = archive(&[
        entry(b"pax_global_header", EntryType::XGlobalHeader, &pax("comment", "abc")),
        entry(b"shop-abc/", EntryType::Directory, b""),
        entry(b"shop-abc/link", EntryType::Symlink, b""),
        entry(b"shop-abc/deploy/", EntryType::Directory, b""),
        file("shop-abc/deploy/bundle.yaml", b"1"),
        file("shop-abc/deploy/templates/a.yaml", b"2"),
        entry(b"shop-abc/deploy/module/", EntryType::Directory, b""),
        file("shop-abc/deploy-2/bundle.yaml", b"3"),
        file("shop-abc/.graftling.yaml", b"4"),
    ]);
    let deploy = part(&bytes, "deploy").unwrap();
    assert_eq!(deploy.files.keys().collect::<Vec<_>>(), ["bundle.yaml", "templates/a.yaml"]);
    assert_eq!(deploy.empty_folders.iter().collect::<Vec<_>>(), ["module"]);
    assert_eq!(deploy.comment.as_deref(), Some("abc"));
    let one = part(&bytes, ".graftling.yaml").unwrap();
    assert_eq!(one.files, BTreeMap::from([(".graftling.yaml".to_owned(), b"4".to_vec())]));
    assert_eq!(part(&bytes, "missing").unwrap().files.len(), 0);
    assert!(matches!(part(&bytes, "link"), Err(ArchiveError::CheckKind { .. })));
    assert!(matches!(part(&bytes, "link/a"), Err(ArchiveError::CheckKind { .. })));
    assert!(matches!(part(&bytes, ".graftling.yaml/a"), Err(ArchiveError::CheckKind { .. })));
}

#[test]
fn a_folder_around_everything_is_left_out_and_only_that() {
    let files = |names: &[&str]| {
        names
            .iter()
            .map(|name| ((*name).to_owned(), Vec::new()))
            .collect::<BTreeMap<_, _>>()
    };
    let names = |paths: &[&str]| without_common_folder(files(paths)).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&["web/bundle.yaml", "web/templates/a"]), ["bundle.yaml", "templates/a"]);
    assert_eq!(names(&["bundle.yaml", "web/a"]), ["bundle.yaml", "web/a"]);
    assert_eq!(names(&["web/a", "webs/a"]), ["web/a", "webs/a"]);
    assert_eq!(names(&[]), Vec::<String>::new());
}

/// Archives that want to write elsewhere, link, or be read in two ways; and a word of why each is refused.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let link = |kind| {
        let mut header = Header::new_ustar();
        header.set_path("x").unwrap();
        header.set_entry_type(kind);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_size(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let kind = |kind| entry(b"x", kind, b"");
    let pax_entry = |key, value| [entry(b"p", EntryType::XHeader, &pax(key, value)), file("x", b"1")].concat();
    vec![
        ("a way up", archive(&[file("../x", b"")]), "leads out"),
        ("a way up in the middle", archive(&[file("a/../../x", b"")]), "leads out"),
        ("an absolute name", archive(&[file("/etc/x", b"")]), "absolute"),
        ("a backslash", archive(&[file("..\\x", b"")]), "backslash"),
        ("no UTF-8", archive(&[entry(b"a\xff", EntryType::Regular, b"")]), "not UTF-8"),
        ("no name", archive(&[file("", b"")]), "no name"),
        ("a symbolic link", archive(&[link(EntryType::Symlink)]), "symbolic link"),
        ("a hard link", archive(&[link(EntryType::Link)]), "hard link"),
        ("a device", archive(&[kind(EntryType::Char)]), "device"),
        ("a block device", archive(&[kind(EntryType::Block)]), "device"),
        ("a pipe", archive(&[kind(EntryType::Fifo)]), "named pipe"),
        ("a sparse file", archive(&[kind(EntryType::GNUSparse)]), "sparse"),
        ("a kind of its own", archive(&[kind(EntryType::new(b'Z'))]), "unknown kind"),
        ("one name twice", archive(&[file("x", b"1"), file("./x", b"2")]), "twice"),
        (
            "a file that is a folder",
            archive(&[file("x", b"1"), entry(b"x/", EntryType::Directory, b"")]),
            "twice",
        ),
        ("a name by PAX", archive(&[pax_entry("path", "../x")]), "leads out"),
        ("a size by PAX", archive(&[pax_entry("size", "0")]), "\"size\""),
        (
            "a sparse name by PAX",
            archive(&[pax_entry("GNU.sparse.name", "x")]),
            "GNU.sparse.name",
        ),
        (
            "a name for all",
            archive(&[entry(b"g", EntryType::XGlobalHeader, &pax("path", "x")), file("y", b"")]),
            "\"path\"",
        ),
        (
            "two long names",
            archive(&[entry(b"l", EntryType::GNULongName, b"a\0"), pax_entry("path", "b")]),
            "second name",
        ),
        (
            "a long header",
            archive(&[entry(b"l", EntryType::GNULongName, &[b'a'; 20_000])]),
            "a header has",
        ),
        (
            "a large file",
            archive(&[file("x", &vec![b'\n'; 4 * 1024 * 1024 + 1])]),
            "x has 4194305 bytes",
        ),
        ("a bomb", gzip(&vec![0; 60 * 1024 * 1024]), "honest size"),
        (
            "more after the tar",
            gzip(&[tar(&[file("x", b"1")]), file("y", b"2")].concat()),
            "more after its end",
        ),
        (
            "more after the gzip",
            [archive(&[file("x", b"1")]), b"x".to_vec()].concat(),
            "more after its end",
        ),
        (
            "two gzips",
            [archive(&[file("x", b"1")]), archive(&[file("y", b"1")])].concat(),
            "more after its end",
        ),
        ("no gzip", tar(&[file("x", b"1")]), "no complete"),
        ("nothing", Vec::new(), "no complete"),
    ]
}

#[test]
fn threat_t30_every_hostile_archive_is_refused_with_its_reason() {
    for (label, bytes, word) in hostile() {
        let error = match whole(&bytes) {
            Ok(contents) => panic!("{label} was read: {contents:?}"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(word), "{label}: {error}");
    }
}

#[test]
fn threat_t30_a_header_that_lies_about_its_size_gives_nothing() {
    for size in [2, 600, 4 * 1024 * 1024, 8 * 1024 * 1024 * 1024 - 1] {
        let mut block = file("x", b"1");
        let mut header = Header::from_byte_slice(&block[..512]).clone();
        header.set_size(size);
        header.set_cksum();
        block[..512].copy_from_slice(header.as_bytes());
        // Without the end of the archive: what is missing must not be made up.
        assert!(whole(&gzip(&block[..513])).is_err(), "{size}");
    }
}

#[test]
fn threat_t30_a_truncated_archive_gives_nothing_wherever_it_ends() {
    let bytes = archive(&[file("a", &[b'x'; 700]), file("b", b"2")]);
    for length in 0..bytes.len() {
        assert!(whole(&bytes[..length]).is_err(), "{length} of {} bytes were read", bytes.len());
    }
}

#[test]
fn threat_t30_many_entries_and_many_files_are_limited() {
    let many: Vec<_> = (0..2_001).map(|number| file(&format!("f{number}"), b"")).collect();
    assert!(whole(&archive(&many)).unwrap_err().to_string().contains("at most 2000 files"));
    let folder = |number| entry(format!("{number}/").as_bytes(), EntryType::Directory, b"");
    let folders: Vec<_> = (0..5_001).map(folder).collect();
    assert!(
        whole(&archive(&folders))
            .unwrap_err()
            .to_string()
            .contains("more than 5000 entries")
    );
}

proptest! {
    #[test]
    fn threat_t30_no_bytes_make_the_reader_panic_or_give_a_name_that_leads_out(
        bytes in proptest::collection::vec(any::<u8>(), 0..2048),
        position in 0_usize..1024,
        flipped in any::<u8>(),
        name in "[./a\\\\\\PC]{1,40}",
    ) {
        // Arbitrary bytes as gzip and as tar, and an archive of one arbitrary name with one byte changed.
        let name: Vec<u8> = name.bytes().take(99).collect();
        let mut changed = tar(&[entry(&name, EntryType::Regular, b"1"), file("b", b"2")]);
        changed[position] ^= flipped;
        for candidate in [bytes.clone(), gzip(&bytes), gzip(&changed)] {
            let Ok(contents) = whole(&candidate) else { continue };
            for path in contents.files.keys() {
                prop_assert!(!path.starts_with('/') && !path.split('/').any(|part| matches!(part, "" | "." | "..")), "{path:?}");
            }
        }
    }
}
