//! The table of helpers that is written from the code.

use std::path::Path;

use graftling::domain::render::helper_reference;

#[test]
fn the_reference_of_helpers_is_the_one_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/HELPERS.md");
    let wanted = helper_reference();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        std::fs::write(&path, &wanted).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, wanted, "run INSTA_UPDATE=always cargo test --test it helpers::");
}
