//! GitHosts.

use crate::api::githost::Provider;
use crate::domain::git;

/// The provider of a GitHost. Both sides have the same names.
pub fn provider(of: Provider) -> Option<git::Provider> {
    let name = serde_json::to_value(of).ok()?;
    name.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    #[test]
    fn every_provider_has_the_same_name_on_both_sides() {
        for known in git::Provider::ALL {
            let name = serde_json::Value::from(known.as_str());
            let written: Provider = serde_json::from_value(name).unwrap();
            assert_eq!(provider(written), Some(known));
        }
    }
}
