//! What the brake of a Project holds: out of the Project's status and back into it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::project::Brake as Stored;
use crate::domain::roster::{Brake, Held};

/// So many environments are named in a status, whose size is limited.
const NAMED: usize = 200;

/// What is held, as the roster uses it. A name that cannot be read can only come around the schema; then not everybody is named.
pub fn from_stored(stored: &Stored) -> Held {
    Held {
        digest: stored.digest.clone(),
        environments: stored.environments.iter().filter_map(|name| name.parse().ok()).collect(),
        count: (stored.count as usize).max(stored.environments.len()),
    }
}

/// What is held, as it is stored.
pub fn to_stored(brake: &Brake, since: Time) -> Stored {
    let named = |names: &mut dyn Iterator<Item = String>| names.take(NAMED).collect();
    Stored {
        digest: brake.digest.clone(),
        environments: named(&mut brake.environments.iter().map(ToString::to_string)),
        branches: named(&mut brake.branches.iter().map(ToString::to_string)),
        count: u32::try_from(brake.count).unwrap_or(u32::MAX),
        since: Some(since),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse is the test's failure")]

    use super::*;

    fn brake(held: usize) -> Brake {
        Brake {
            digest: "0123456789ab".to_owned(),
            environments: (0..held)
                .map(|number| format!("shop-b{number:04}-aaaaaaaaaa").parse().unwrap())
                .collect(),
            branches: (0..held).map(|number| format!("b{number:04}").parse().unwrap()).collect(),
            count: held,
        }
    }

    #[test]
    fn what_is_held_survives_being_stored_and_many_are_known_to_be_more_than_are_named() {
        let since = Time("2026-01-01T00:00:00Z".parse().unwrap());
        for (held, has_unnamed) in [(1, false), (200, false), (201, true)] {
            let stored = to_stored(&brake(held), since.clone());
            let read = from_stored(&stored);
            assert_eq!((read.count, read.environments.len()), (held, held.min(200)));
            assert_eq!(read.has_unnamed(), has_unnamed, "{held}");
            assert_eq!(read == Held::from(&brake(held)), !has_unnamed);
        }
    }

    #[test]
    fn a_name_that_nobody_can_read_is_held_as_one_of_the_unnamed() {
        let since = Time("2026-01-01T00:00:00Z".parse().unwrap());
        let mut stored = to_stored(&brake(2), since);
        stored.environments[0] = "Not A Name".to_owned();
        assert!(from_stored(&stored).has_unnamed());
    }
}
