//! Chooses the one implementation of cryptography that everything here shares.

/// Makes aws-lc-rs the default of rustls. Without a default, rustls panics where a binary links two implementations.
pub(crate) fn install() {
    // It fails only if there already is a default, which then is the choice of the program that uses us.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
