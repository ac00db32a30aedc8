//! When an environment is looked at although nothing happened.

use std::time::Duration;

use super::Reconciler;
use crate::domain::inventory::Inventory;
use crate::domain::observed::is_secret;
use crate::domain::record::is_record;

/// How long an edit of a Secret by hand lives at most, where there are few environments: Secrets are not watched, and each look costs a
/// request per Secret.
const SECRETS: Duration = Duration::from_secs(120);

/// What is not relied on any more is gone then.
const AFTERWARDS: Duration = Duration::from_millis(100);

/// However many environments there are, together they are looked at for their Secrets no more often than once in this time.
const APART: Duration = Duration::from_millis(1250);

impl Reconciler {
    /// When to look at an environment although nothing happened.
    pub(super) fn next_look(&self, inventory: &Inventory) -> Duration {
        // A run record is never changed once it is written.
        let secrets: Vec<_> = inventory
            .present()
            .map(|(key, _)| key)
            .filter(|key| is_secret(key) && !is_record(key))
            .collect();
        let unsure = secrets.iter().filter_map(|key| self.observer.recent.unsure_after(key)).max();
        if let Some(after) = unsure {
            return after + AFTERWARDS;
        }
        match secrets.first() {
            Some(key) => {
                let namespace = key.namespace.as_deref().unwrap_or_default();
                look_for_secrets(self.settings.resync, self.stores.environments.len(), namespace)
            }
            None => self.settings.resync,
        }
    }
}

/// When Secrets are looked at again, with so many environments: each at a time of its own, or a server that was started anew would ask for
/// those of all of them at once.
fn look_for_secrets(resync: Duration, environments: usize, namespace: &str) -> Duration {
    let all = APART * u32::try_from(environments).unwrap_or(u32::MAX);
    let few = resync.min(SECRETS);
    if all <= few {
        return few;
    }
    let number = namespace
        .bytes()
        .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    all.mul_f64(0.75 + f64::from(number % 1000) / 2000.0).max(few)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESYNC: Duration = Duration::from_secs(600);

    #[test]
    fn a_few_environments_are_looked_at_every_two_minutes_and_many_share_one_look_a_second() {
        assert_eq!(look_for_secrets(RESYNC, 10, "a"), SECRETS);
        assert_eq!(look_for_secrets(Duration::from_secs(5), 1, "a"), Duration::from_secs(5));
        for count in [200, 1000, 5000] {
            let looks = (0..count).map(|number| look_for_secrets(RESYNC, count, &format!("shop-feature-{number}")));
            let per_second: f64 = looks.map(|wait| 1.0 / wait.as_secs_f64()).sum();
            assert!(per_second < 1.0, "{count}: {per_second}");
        }
    }

    #[test]
    fn those_of_a_server_that_was_started_anew_come_apart() {
        let looks = (0..1000).map(|number| look_for_secrets(RESYNC, 1000, &format!("shop-feature-{number}")).as_secs());
        let mut in_a_second = std::collections::HashMap::new();
        looks.for_each(|second| *in_a_second.entry(second).or_insert(0) += 1);
        assert!(in_a_second.values().all(|count| *count < 20), "{in_a_second:?}");
    }
}
