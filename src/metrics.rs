//! What the process counts and measures, as OpenMetrics text.
//!
//! Every series exists from the start with the value zero, because an alert on a counter that has not appeared yet never fires.

mod label;
mod series;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::domain::git::Provider;

use series::{
    DeliveryLabels, ErrandLabels, HintLabels, HostCallLabels, ListenerLabels, PhaseLabels, ReconcileLabels, RefusalLabels, Registered,
    RemovalLabels, RenderLabels, SweepLabels, WriteLabels,
};

pub use label::{
    DeliveryProvider, DeliveryResult, ErrandKind, ErrandResult, HintResult, HostCallResult, HostOperation, Listener, Phase,
    ReconcileOutcome, Refusal, RemovalCause, RenderResult, SweepResult, WriteResult, WriteVerb,
};

/// Every metric of the process. Clones share the same counters.
///
/// # Guarantees
/// The number of series is fixed at start: labels come from the closed sets of this module only (threat T38).
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Registered>);

/// The connections of one listener: what its accept loop counts.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    open: Gauge,
    accepted: Counter,
    panics: Counter,
}

/// Counts one open connection for as long as it lives.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

// === impl Metrics ===

impl Metrics {
    /// The media type of [`Metrics::exposition`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// A fresh set, all zero, every name beginning with `graftling_`.
    pub fn new() -> Self {
        Self(Arc::new(Registered::new()))
    }

    /// Every metric as OpenMetrics text.
    pub fn exposition(&self) -> String {
        let mut exposition = String::new();
        // Writing to a String cannot fail, and the encoders of this module only write.
        let _infallible = text::encode(&mut exposition, &self.0.registry);
        exposition
    }

    /// A request to the webhook listener was answered; no provider when it met no endpoint.
    pub fn delivery(&self, provider: Option<Provider>, result: DeliveryResult) {
        let provider = provider.into();
        self.0.deliveries.get_or_create(&DeliveryLabels { provider, result }).inc();
    }

    /// A hint was offered to the inbox.
    pub fn hint(&self, result: HintResult) {
        self.0.inbox_hints.get_or_create(&HintLabels { result }).inc();
    }

    /// The inbox holds `depth` hints now.
    pub fn inbox_depth(&self, depth: usize) {
        self.0.inbox_depth.set(saturate(depth));
    }

    /// What the accept loop of `listener` counts.
    pub fn connections(&self, listener: Listener) -> ConnectionMetrics {
        let labels = ListenerLabels { listener };
        ConnectionMetrics {
            open: self.0.connections_open.get_or_create_owned(&labels),
            accepted: self.0.connections_accepted.get_or_create_owned(&labels),
            panics: self.0.panics.get_or_create_owned(&labels),
        }
    }

    /// A call to a Git host ended.
    pub fn host_call(&self, operation: HostOperation, result: HostCallResult) {
        self.0.host_calls.get_or_create(&HostCallLabels { operation, result }).inc();
    }

    /// A reconcile ended after `duration`.
    pub fn reconcile(&self, outcome: ReconcileOutcome, duration: Duration) {
        self.0.reconciles.get_or_create(&ReconcileLabels { outcome }).inc();
        self.0.reconcile_duration.observe(duration.as_secs_f64());
    }

    /// There are `count` environments in `phase` now.
    pub fn environments(&self, phase: Phase, count: usize) {
        self.0.environments.get_or_create(&PhaseLabels { phase }).set(saturate(count));
    }

    /// A write to the cluster ended.
    pub fn cluster_write(&self, verb: WriteVerb, result: WriteResult) {
        self.0.cluster_writes.get_or_create(&WriteLabels { verb, result }).inc();
    }

    /// A sweep of one repository ended.
    pub fn sweep(&self, result: SweepResult) {
        self.0.sweeps.get_or_create(&SweepLabels { result }).inc();
    }

    /// An environment was torn down because of `cause`.
    pub fn retired(&self, cause: RemovalCause) {
        self.0.retired.get_or_create(&RemovalLabels { cause }).inc();
    }

    /// The brake held back the retirement of `environments` environments.
    pub fn braked(&self, environments: usize) {
        self.0.braked.inc_by(u64::try_from(environments).unwrap_or(u64::MAX));
    }

    /// A teardown waits for something that does not end.
    pub fn termination_blocked(&self) {
        self.0.terminations_blocked.inc();
    }

    /// The brakes of all Projects hold back `environments` environments now.
    pub fn held(&self, environments: usize) {
        self.0.held.set(saturate(environments));
    }

    /// Something was refused; told once for as long as it lasts, as far as the process remembers.
    pub fn refusal(&self, reason: Refusal) {
        self.0.refusals.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Objects that teardowns had to leave behind, by the receipts that are kept; anything but zero wants attention.
    pub fn residue(&self, objects: usize) {
        self.0.residue.set(saturate(objects));
    }

    /// A look over the whole cluster took `elapsed` and so many requests, for so many environments.
    pub fn residue_scan(&self, elapsed: Duration, requests: u32, environments: usize) {
        self.0.residue_scan.observe(elapsed.as_secs_f64());
        self.0.residue_scan_requests.inc_by(u64::from(requests));
        let environments = u64::try_from(environments).unwrap_or(u64::MAX);
        self.0.residue_scan_environments.inc_by(environments);
    }

    /// A receipt was written.
    pub fn receipt(&self, is_signed: bool) {
        match is_signed {
            true => self.0.receipts_signed.inc(),
            false => self.0.receipts_unsigned.inc(),
        };
    }

    /// So many namespaces of environments have lost their Environment object; anything but zero wants attention.
    pub fn orphans(&self, namespaces: usize) {
        self.0.orphans.set(saturate(namespaces));
    }

    /// An environment became ready `elapsed` after its revision was first seen.
    pub fn time_to_ready(&self, elapsed: Duration) {
        self.0.time_to_ready.observe(elapsed.as_secs_f64());
    }

    /// An environment was gone `elapsed` after its retirement.
    pub fn time_to_gone(&self, elapsed: Duration) {
        self.0.time_to_gone.observe(elapsed.as_secs_f64());
    }

    /// Whether rendering processes are kept in by a filter of system calls, or by limits alone.
    pub fn render_filtered(&self, is_filtered: bool) {
        self.0.render_filtered.set(i64::from(is_filtered));
    }

    /// A question to the outside was answered, or was not in time.
    pub fn errand(&self, kind: ErrandKind, result: ErrandResult) {
        self.0.errands.get_or_create(&ErrandLabels { kind, result }).inc();
    }

    /// So many questions to the outside are under way now.
    pub fn errands_in_flight(&self, count: usize) {
        self.0.errands_in_flight.set(saturate(count));
    }

    /// A render ended.
    pub fn render(&self, result: RenderResult) {
        self.0.renders.get_or_create(&RenderLabels { result }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

// === impl ConnectionMetrics ===

impl ConnectionMetrics {
    /// A connection was accepted; it counts as open until the answer is dropped.
    pub fn opened(&self) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection(self.open.clone())
    }

    /// A request handler panicked.
    pub fn panicked(&self) {
        self.panics.inc();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn saturate(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a series, by its whole text before the value.
    fn value(metrics: &Metrics, series: &str) -> Option<String> {
        let exposition = metrics.exposition();
        let line = exposition.lines().find(|line| line.starts_with(&format!("{series} ")))?;
        Some(line[series.len() + 1..].to_owned())
    }

    #[test]
    fn feature_o1_every_series_is_there_before_anything_has_happened() {
        let metrics = Metrics::new();
        for series in [
            r#"graftling_webhook_deliveries_total{provider="github",result="bad_signature"}"#,
            r#"graftling_inbox_hints_total{result="refused"}"#,
            "graftling_inbox_depth",
            r#"graftling_http_panics_total{listener="admin"}"#,
            r#"graftling_host_calls_total{operation="lookup",result="rate_limited"}"#,
            r#"graftling_reconciles_total{outcome="timed_out"}"#,
            "graftling_reconcile_duration_seconds_count",
            r#"graftling_environments{phase="Blocked"}"#,
            r#"graftling_cluster_writes_total{verb="delete",result="conflict"}"#,
            r#"graftling_sweeps_total{result="complete"}"#,
            r#"graftling_environments_retired_total{cause="expired"}"#,
            "graftling_environments_braked_total",
            "graftling_terminations_blocked_total",
            "graftling_environments_held",
            r#"graftling_refusals_total{reason="protected_branch"}"#,
            "graftling_residue_objects",
            "graftling_residue_scan_seconds_count",
            "graftling_residue_scan_requests_total",
            "graftling_residue_scan_environments_total",
            "graftling_receipts_signed_total",
            "graftling_receipts_unsigned_total",
            "graftling_orphaned_namespaces",
            "graftling_time_to_ready_seconds_count",
            "graftling_time_to_gone_seconds_count",
            r#"graftling_errands_total{kind="webhook",result="not_yet"}"#,
            "graftling_errands_in_flight",
            r#"graftling_renders_total{result="crashed"}"#,
            "graftling_render_filtered",
        ] {
            assert_eq!(value(&metrics, series).as_deref(), Some("0"), "{series}");
        }
    }

    #[test]
    fn threat_t38_no_use_of_a_metric_adds_a_series() {
        let metrics = Metrics::new();
        let before = metrics.exposition().lines().count();
        for result in DeliveryResult::ALL {
            for provider in [
                None,
                Some(Provider::Git),
                Some(Provider::Gitea),
                Some(Provider::Gitlab),
                Some(Provider::Bitbucket),
                Some(Provider::Github),
            ] {
                metrics.delivery(provider, *result);
            }
        }
        metrics.hint(HintResult::Queued);
        metrics.connections(Listener::Webhook).panicked();
        metrics.host_call(HostOperation::Listing, HostCallResult::Transient);
        metrics.reconcile(ReconcileOutcome::Settled, Duration::from_millis(20));
        metrics.environments(Phase::Ready, 10_000);
        metrics.cluster_write(WriteVerb::Apply, WriteResult::Ok);
        metrics.sweep(SweepResult::Transient);
        metrics.render(RenderResult::Rejected);
        metrics.errand(ErrandKind::Http, ErrandResult::Bad);
        metrics.errands_in_flight(3);
        assert_eq!(metrics.exposition().lines().count(), before);
    }

    #[test]
    fn clones_count_into_the_same_series() {
        let metrics = Metrics::new();
        metrics.clone().retired(RemovalCause::BranchGone);
        metrics.braked(4);
        metrics.clone().time_to_gone(Duration::from_secs(3));
        metrics.time_to_ready(Duration::from_secs(8));
        metrics.residue(2);
        assert_eq!(
            value(&metrics, r#"graftling_environments_retired_total{cause="branch_gone"}"#).as_deref(),
            Some("1")
        );
        assert_eq!(value(&metrics, "graftling_environments_braked_total").as_deref(), Some("4"));
        assert_eq!(value(&metrics, "graftling_time_to_gone_seconds_sum").as_deref(), Some("3.0"));
        assert_eq!(value(&metrics, "graftling_time_to_ready_seconds_sum").as_deref(), Some("8.0"));
        assert_eq!(value(&metrics, "graftling_residue_objects").as_deref(), Some("2"));
    }

    #[test]
    fn a_connection_counts_as_open_until_it_is_dropped() {
        let metrics = Metrics::new();
        let open = metrics.connections(Listener::Webhook).opened();
        let series = r#"graftling_http_connections{listener="webhook"}"#;
        assert_eq!(value(&metrics, series).as_deref(), Some("1"));
        drop(open);
        assert_eq!(value(&metrics, series).as_deref(), Some("0"));
        let accepted = r#"graftling_http_connections_accepted_total{listener="webhook"}"#;
        assert_eq!(value(&metrics, accepted).as_deref(), Some("1"));
    }

    #[test]
    fn the_exposition_is_complete_open_metrics_text() {
        let exposition = Metrics::new().exposition();
        assert!(exposition.ends_with("# EOF\n"));
        assert!(
            exposition
                .lines()
                .all(|line| line.starts_with('#') || line.starts_with("graftling_"))
        );
    }
}
