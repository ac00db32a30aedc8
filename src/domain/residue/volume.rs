//! Volumes outlive namespaces: what becomes of those that claims of an environment were bound to.

/// A PersistentVolume that is or was bound to a claim of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The namespace of its claim.
    pub claim_namespace: String,
    /// The name of its claim.
    pub claim: String,
    /// What happens to it when its claim goes: `Retain`, `Delete` or `Recycle`.
    pub reclaim_policy: String,
    /// `Bound`, `Released`, `Failed` and so on.
    pub phase: String,
    /// How many seconds it has been in that phase, where the cluster tells.
    pub phase_seconds: Option<u64>,
}

/// What became of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is gone.
    Removed,
    /// Its provisioner is about to remove it.
    Going,
    /// Its claim is kept, and it with that.
    Kept,
    /// It stays; why, and what to do about it.
    Left(String),
}

/// So long a provisioner gets to remove a released volume, in seconds, before the receipt says that it did not.
pub const PATIENCE: u64 = 60;

/// What became of a recorded volume, given what is there under its UID now, how long its claim has been gone, in seconds, and whether
/// the teardown keeps anything, which may be that claim.
pub fn fate(live: Option<&Volume>, claim_gone_for: u64, may_be_kept: bool) -> Fate {
    let Some(live) = live else {
        return Fate::Removed;
    };
    let name = &live.name;
    let waited = live.phase_seconds.unwrap_or(claim_gone_for);
    if may_be_kept && live.phase == "Bound" {
        return Fate::Kept;
    }
    match live.reclaim_policy.as_str() {
        "Delete" if live.phase != "Failed" && waited < PATIENCE => Fate::Going,
        "Delete" => Fate::Left(format!(
            "its reclaim policy is Delete, but its provisioner has not removed it (it is {}); see `kubectl describe persistentvolume {name}`",
            live.phase
        )),
        policy => Fate::Left(format!(
            "its reclaim policy is {policy}: the data is kept; remove it with `kubectl delete persistentvolume {name}` and delete what it \
             stands for in the storage system, or make it available again by removing its spec.claimRef"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(policy: &str, phase: &str, phase_seconds: Option<u64>) -> Volume {
        Volume {
            name: "pv".into(),
            uid: "1".into(),
            claim_namespace: "shop-a".into(),
            claim: "data".into(),
            reclaim_policy: policy.into(),
            phase: phase.into(),
            phase_seconds,
        }
    }

    #[test]
    fn f45_a_retained_volume_is_left_and_told_how_to_remove_and_to_reuse() {
        let Fate::Left(reason) = fate(Some(&volume("Retain", "Released", Some(0))), 0, true) else {
            panic!("it stays")
        };
        assert!(
            ["Retain", "kubectl delete persistentvolume pv", "spec.claimRef"]
                .iter()
                .all(|word| reason.contains(word)),
            "{reason}"
        );
    }

    #[test]
    fn f45_a_volume_of_policy_delete_gets_its_time_and_is_reported_after_it() {
        assert_eq!(fate(None, 0, false), Fate::Removed);
        assert_eq!(fate(Some(&volume("Delete", "Released", Some(5))), 4000, false), Fate::Going);
        assert_eq!(fate(Some(&volume("Delete", "Released", None)), 5, false), Fate::Going);
        assert_eq!(fate(Some(&volume("Delete", "Bound", Some(5))), 5, true), Fate::Kept);
        for stuck in [("Released", Some(PATIENCE)), ("Released", None), ("Failed", Some(0))] {
            let fate = fate(Some(&volume("Delete", stuck.0, stuck.1)), PATIENCE, false);
            assert!(matches!(fate, Fate::Left(_)), "{stuck:?}");
        }
    }
}
