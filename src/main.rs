//! The graftling binary.
fn main() {}
