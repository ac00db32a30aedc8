//! Random names.

use aws_lc_rs::rand;

/// Random bytes, as lower-case hexadecimal digits.
///
/// # Panics
///
/// When the operating system has no random bytes.
pub(crate) fn hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    if rand::fill(&mut bytes).is_err() {
        panic!("the operating system gives no random bytes");
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Eight characters: enough to keep the names of one control plane apart, and fit for every name in Kubernetes.
pub(crate) fn suffix() -> String {
    hex::<4>()
}
