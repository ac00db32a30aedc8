//! The committed page on what templates see is the one that the types give.
#![allow(clippy::unwrap_used, reason = "a page that cannot be read is the test's failure")]

use std::fs;
use std::path::Path;

use graftling::domain::render::context_page;

#[test]
fn feature_p1_the_page_on_what_templates_see_is_generated_from_the_type() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/CONTEXT.md");
    // As for snapshots, so that one command renews both.
    if std::env::var("INSTA_UPDATE").is_ok_and(|wish| wish == "always") {
        fs::write(&path, context_page()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == context_page(),
        "{} is not what the types give; renew it: INSTA_UPDATE=always cargo test --test it templates_see",
        path.display()
    );
}
