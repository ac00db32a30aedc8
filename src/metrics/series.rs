//! The registered metrics: their names, their labels, and every series they will ever have.

use std::fmt::Debug;
use std::hash::Hash;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::label::{
    DeliveryProvider, DeliveryResult, ErrandKind, ErrandResult, HintResult, HostCallResult, HostOperation, Listener, Phase,
    ReconcileOutcome, Refusal, RemovalCause, RenderResult, SweepResult, WriteResult, WriteVerb,
};

/// The metrics of the process and the registry that shows them.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) registry: Registry,
    pub(super) deliveries: Family<DeliveryLabels, Counter>,
    pub(super) inbox_depth: Gauge,
    pub(super) inbox_hints: Family<HintLabels, Counter>,
    pub(super) connections_open: Family<ListenerLabels, Gauge>,
    pub(super) connections_accepted: Family<ListenerLabels, Counter>,
    pub(super) panics: Family<ListenerLabels, Counter>,
    pub(super) host_calls: Family<HostCallLabels, Counter>,
    pub(super) reconciles: Family<ReconcileLabels, Counter>,
    pub(super) reconcile_duration: Histogram,
    pub(super) environments: Family<PhaseLabels, Gauge>,
    pub(super) cluster_writes: Family<WriteLabels, Counter>,
    pub(super) sweeps: Family<SweepLabels, Counter>,
    pub(super) retired: Family<RemovalLabels, Counter>,
    pub(super) braked: Counter,
    pub(super) terminations_blocked: Counter,
    pub(super) held: Gauge,
    pub(super) refusals: Family<RefusalLabels, Counter>,
    pub(super) residue: Gauge,
    pub(super) residue_scan: Histogram,
    pub(super) residue_scan_requests: Counter,
    pub(super) residue_scan_environments: Counter,
    pub(super) receipts_signed: Counter,
    pub(super) receipts_unsigned: Counter,
    pub(super) orphans: Gauge,
    pub(super) time_to_ready: Histogram,
    pub(super) time_to_gone: Histogram,
    pub(super) errands: Family<ErrandLabels, Counter>,
    pub(super) errands_in_flight: Gauge,
    pub(super) renders: Family<RenderLabels, Counter>,
    pub(super) render_filtered: Gauge,
}

impl Registered {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("graftling");
        let mut into = Registration(&mut registry);
        Self {
            deliveries: into.family("webhook_deliveries", "Requests to the webhook listener"),
            inbox_depth: into.gauge("inbox_depth", "Branches that wait to be looked at"),
            inbox_hints: into.family("inbox_hints", "Hints offered to the inbox"),
            connections_open: into.family("http_connections", "Open connections"),
            connections_accepted: into.family("http_connections_accepted", "Accepted connections"),
            panics: into.family("http_panics", "Requests whose handler panicked"),
            host_calls: into.family("host_calls", "Calls to Git hosts"),
            reconciles: into.family("reconciles", "Reconciles of environments"),
            reconcile_duration: into.seconds("reconcile_duration", "Duration of a reconcile", exponential_buckets(0.005, 2.0, 14)),
            environments: into.family("environments", "Environments by phase"),
            cluster_writes: into.family("cluster_writes", "Writes to the Kubernetes API"),
            sweeps: into.family("sweeps", "Full listings of a repository"),
            retired: into.family("environments_retired", "Environments that were torn down, by what led to it"),
            braked: into.counter("environments_braked", "Environments whose teardown the brake held back"),
            orphans: into.gauge("orphaned_namespaces", "Namespaces of environments whose Environment object is lost"),
            terminations_blocked: into.counter("terminations_blocked", "Teardowns found waiting for something that does not end"),
            held: into.gauge(
                "environments_held",
                "Environments whose teardown the brakes of Projects hold back now",
            ),
            refusals: into.family("refusals", "Branches, namespaces and objects that were refused"),
            residue: into.gauge("residue_objects", "Objects that teardowns had to leave behind"),
            residue_scan: into.seconds(
                "residue_scan",
                "Duration of a look over the whole cluster for what teardowns left",
                exponential_buckets(0.02, 2.0, 13),
            ),
            residue_scan_requests: into.counter("residue_scan_requests", "Requests of looks over the whole cluster"),
            residue_scan_environments: into.counter("residue_scan_environments", "Environments that looks over the whole cluster served"),
            receipts_signed: into.counter("receipts_signed", "Receipts that were signed"),
            receipts_unsigned: into.counter("receipts_unsigned", "Receipts that could not be signed"),
            time_to_ready: into.seconds("time_to_ready", "From a new revision to ready", exponential_buckets(1.0, 1.7, 14)),
            time_to_gone: into.seconds("time_to_gone", "From retirement to nothing left", exponential_buckets(1.0, 1.7, 14)),
            errands: into.family("errands", "Questions to the outside on behalf of environments"),
            errands_in_flight: into.gauge("errands_in_flight", "Questions to the outside that wait for their answer now"),
            renders: into.family("renders", "Renders of bundles"),
            render_filtered: into.gauge(
                "render_filtered",
                "1 while the kernel refuses rendering processes every system call that they do not need",
            ),
            registry,
        }
    }
}

/// Makes a metric, registers it and gives it back.
struct Registration<'a>(&'a mut Registry);

impl Registration<'_> {
    fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help, counter.clone());
        counter
    }

    fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, help, gauge.clone());
        gauge
    }

    fn seconds(&mut self, name: &str, help: &str, buckets: impl Iterator<Item = f64>) -> Histogram {
        let histogram = Histogram::new(buckets);
        self.0.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        histogram
    }

    fn family<L, M>(&mut self, name: &str, help: &str) -> Family<L, M>
    where
        L: Labels + Clone + Eq + Hash + Debug + EncodeLabelSet + Send + Sync + 'static,
        M: EncodeMetric + TypedMetric + Debug + Default + Send + Sync + 'static,
    {
        let family = Family::<L, M>::default();
        for labels in L::all() {
            drop(family.get_or_create(&labels));
        }
        self.0.register(name, help, family.clone());
        family
    }
}

/// A combination of labels that knows all its values.
trait Labels: Sized {
    fn all() -> Vec<Self>;
}

/// Declares combinations of one or two closed sets.
macro_rules! labels {
    ($($name:ident { $first:ident: $first_set:ident $(, $second:ident: $second_set:ident)? })+) => {
        $(
            #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub(super) struct $name {
                pub(super) $first: $first_set,
                $(pub(super) $second: $second_set,)?
            }

            impl Labels for $name {
                fn all() -> Vec<Self> {
                    labels!(@all $first: $first_set $(, $second: $second_set)?)
                }
            }
        )+
    };
    (@all $first:ident: $first_set:ident) => {
        $first_set::ALL.iter().map(|$first| Self { $first: *$first }).collect()
    };
    (@all $first:ident: $first_set:ident, $second:ident: $second_set:ident) => {
        $first_set::ALL
            .iter()
            .flat_map(|$first| $second_set::ALL.iter().map(|$second| Self { $first: *$first, $second: *$second }))
            .collect()
    };
}

labels! {
    DeliveryLabels { provider: DeliveryProvider, result: DeliveryResult }
    HintLabels { result: HintResult }
    ListenerLabels { listener: Listener }
    HostCallLabels { operation: HostOperation, result: HostCallResult }
    ReconcileLabels { outcome: ReconcileOutcome }
    PhaseLabels { phase: Phase }
    WriteLabels { verb: WriteVerb, result: WriteResult }
    SweepLabels { result: SweepResult }
    ErrandLabels { kind: ErrandKind, result: ErrandResult }
    RenderLabels { result: RenderResult }
    RefusalLabels { reason: Refusal }
    RemovalLabels { cause: RemovalCause }
}
