//! How the program is linked.

use std::env;
use std::process::Command;

/// The first version of glibc that can read a packed table of relocations, and refuses to start a program for none that cannot.
const READS_PACKED: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The table of addresses that are filled in at the start is read whole and stays in memory: 20 KiB like this, 830 otherwise.
    if glibc().is_some_and(|version| version >= READS_PACKED) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The glibc that the program is linked with, where that is the one of this machine. A program that is linked with it does not start with
/// an older one in any case, as soon as it uses anything new of it.
fn glibc() -> Option<(u32, u32)> {
    let given = |name: &str| env::var(name).unwrap_or_default();
    let is_native = given("HOST") == given("TARGET");
    if !is_native || given("CARGO_CFG_TARGET_OS") != "linux" || given("CARGO_CFG_TARGET_ENV") != "gnu" {
        return None;
    }
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
