//! What goes wrong between graftling and the API server, one request at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::operation::{FaultKind, Place};
use crate::fault_proxy::{Fault, FaultProxy, Injections, Rule, Selector};

/// A fault strikes so often at most, or a server that starts would never get anywhere.
const MOST: u64 = 25;

/// The rules of the proxy that are in force, and what they have done.
pub(super) struct Faults {
    proxy: Arc<FaultProxy>,
    in_force: Vec<(Rule, Fault)>,
    injected: Vec<(String, Injections)>,
    /// A version of long ago, for stale reads.
    stale: String,
}

impl Faults {
    pub(super) fn new(proxy: Arc<FaultProxy>) -> Faults {
        Faults {
            proxy,
            in_force: Vec::new(),
            injected: Vec::new(),
            stale: "0".to_owned(),
        }
    }

    /// Stale reads are of this version from now on.
    pub(super) fn remember_version(&mut self, version: &str) {
        version.clone_into(&mut self.stale);
    }

    pub(super) fn add(&mut self, kind: FaultKind, place: Place, percent: u32, seed: u32) {
        let percent = percent.min(100) as u8;
        let rule = Rule::on(selector(kind, place)).chance(u64::from(seed), percent).times(MOST);
        let fault = self.fault(kind);
        self.in_force.push((rule.clone(), fault.clone()));
        let count = self.proxy.add(rule, fault);
        self.injected.push((format!("{kind} on {place}"), count));
    }

    fn fault(&self, kind: FaultKind) -> Fault {
        match kind {
            FaultKind::DropBefore => Fault::DropBefore,
            FaultKind::DropAfter => Fault::DropAfter,
            FaultKind::Conflict => Fault::answer(409),
            FaultKind::TooMany => Fault::too_many(Some(1)),
            FaultKind::Internal => Fault::answer(500),
            FaultKind::Unavailable => Fault::answer(503),
            FaultKind::Timeout => Fault::answer(504),
            FaultKind::CutBody => Fault::CutBody { after: 40 },
            FaultKind::Stale => Fault::Stale {
                version: self.stale.clone(),
            },
            FaultKind::Swallow => Fault::SwallowEvent,
            FaultKind::CutWatch => Fault::CutWatchAfter(Duration::from_secs(1)),
            FaultKind::Delay => Fault::Delay(Duration::from_secs(1)),
        }
    }

    pub(super) fn clear(&mut self) {
        self.in_force.clear();
        self.proxy.clear();
    }

    /// Nothing reaches the API server.
    pub(super) fn cut_off(&mut self) {
        // The first rule that acts decides.
        self.proxy.clear();
        let count = self.proxy.add(Rule::on(Selector::any()), Fault::DropBefore);
        self.injected.push(("outage of the API server".to_owned(), count));
    }

    /// What was in force before is again.
    pub(super) fn reconnect(&mut self) {
        self.proxy.clear();
        for (rule, fault) in &self.in_force {
            self.proxy.add(rule.clone(), fault.clone());
        }
    }

    /// What was done so far, by kind and place.
    pub(super) fn injected(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for (name, count) in &self.injected {
            *all.entry(name.clone()).or_default() += count.count() as usize;
        }
        all.retain(|_, count| *count > 0);
        all
    }
}

fn selector(kind: FaultKind, place: Place) -> Selector {
    match place {
        // A read that asks for the newest state gets it: no API server lies about that. What a watch or its cache shows may be old.
        Place::Reads if kind == FaultKind::Stale => Selector::reads().path("resourceVersion=0"),
        Place::Writes => Selector::writes(),
        Place::Reads => Selector::reads(),
        Place::Watches => Selector::any().verb("watch"),
        Place::Environments => Selector::any().resource("environments"),
        Place::Namespaces => Selector::any().resource("namespaces"),
        Place::ConfigMaps => Selector::any().resource("configmaps"),
        Place::Deployments => Selector::any().resource("deployments"),
    }
}
