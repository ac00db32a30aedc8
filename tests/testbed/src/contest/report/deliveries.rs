//! What is told of deliveries: how many were answered with what, how soon, and what each took of the processor.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::super::deliveries::Kind;
use super::super::record::{Deliveries, Record, Used};
use super::super::statistics::median;
use super::number;

/// Deliveries of one kind: medians of all rounds.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Told {
    /// Which.
    pub(in super::super) kind: Kind,
    /// The rate, if it was a steady one.
    pub(in super::super) per_second: Option<u32>,
    /// Whether there was an API server.
    pub(in super::super) api_server: bool,
    /// How many were answered in a second as they are to be.
    pub(in super::super) answered: Option<f64>,
    /// How many were answered in a second of the server's time on a processor.
    pub(in super::super) of_a_processor: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    /// 99 of 100 answers came within so many milliseconds.
    pub(in super::super) p99: Option<f64>,
    peak: Option<f64>,
    requests: Option<f64>,
    statuses: BTreeMap<u16, u32>,
}

/// Sums up the measurements of deliveries among some.
pub(super) fn told<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<Told> {
    let mut by_kind: BTreeMap<_, Vec<(&Deliveries, &Used)>> = BTreeMap::new();
    for record in records {
        if let (Some(deliveries), Some(used)) = (&record.deliveries, &record.used) {
            let key = (!deliveries.api_server, deliveries.per_second, deliveries.kind);
            by_kind.entry(key).or_default().push((deliveries, used));
        }
    }
    by_kind.into_values().filter_map(|rounds| sum_up(&rounds)).collect()
}

fn sum_up(rounds: &[(&Deliveries, &Used)]) -> Option<Told> {
    let (first, _) = rounds.first()?;
    let of = |part: &dyn Fn(&Deliveries, &Used) -> f64| median(rounds.iter().map(|(deliveries, used)| part(deliveries, used)));
    let mut statuses: BTreeMap<u16, u32> = BTreeMap::new();
    for (status, count) in rounds.iter().flat_map(|(deliveries, _)| &deliveries.answers.statuses) {
        *statuses.entry(*status).or_default() += count;
    }
    let right = |deliveries: &Deliveries| f64::from(deliveries.answers.count(first.kind.status()));
    Some(Told {
        kind: first.kind,
        per_second: first.per_second,
        api_server: first.api_server,
        answered: of(&|deliveries, _| right(deliveries) / deliveries.answers.seconds),
        of_a_processor: of(&|deliveries, used| right(deliveries) * 1000.0 / used.contender_cpu_ms),
        p50: of(&|deliveries, _| deliveries.answers.p50_ms),
        p95: of(&|deliveries, _| deliveries.answers.p95_ms),
        p99: of(&|deliveries, _| deliveries.answers.p99_ms),
        peak: of(&|_, used| used.peak_kib as f64 / 1024.0),
        requests: of(&|_, used| f64::from(used.requests)),
        statuses,
    })
}

/// The table of deliveries.
pub(super) fn write(text: &mut String, told: &[Told]) {
    text.push_str("| deliveries of 10 KB | rate | API server | per second | per second of the server's CPU | p50 ms | p95 | p99 | answers | requests | peak MiB |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|---|\n");
    for told in told {
        let rate = told
            .per_second
            .map_or_else(|| "as answered".to_owned(), |rate| format!("{rate} a second"));
        let statuses: Vec<String> = told.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        let _ = writeln!(
            text,
            "| {} | {rate} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            told.kind.title(),
            if told.api_server { "up" } else { "down" },
            number(told.answered),
            number(told.of_a_processor),
            number(told.p50),
            number(told.p95),
            number(told.p99),
            statuses.join(", "),
            number(told.requests),
            number(told.peak),
        );
    }
    text.push_str(
        "\nValid ones tell of ten branches that have an environment at that revision, so there is nothing to do but to look. Oversized ones \
         declare 6 MiB, and come on a connection each. At a steady rate answers are timed from when the delivery was due. With the API server \
         down, none of it is asked.\n",
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what was just put in is there")]
mod tests {
    use super::super::super::deliveries::Answers;
    use super::super::super::record::{Cell, Load, Series};
    use super::super::super::task::Name;
    use super::*;

    fn record(per_second: Option<u32>, api_server: bool, answered: u32, refused: u32) -> Record {
        let load = Load::Webhook {
            per_second: 1000,
            seconds: 2,
        };
        Record {
            cell: Cell {
                contender: Name::Graftling,
                load,
                series: Series::Pinned,
                round: 0,
                crds: 0,
            },
            sample: 0,
            environments: 0,
            wall_ms: None,
            used: Some(Used {
                contender_cpu_ms: 500.0,
                server_cpu_ms: 0.0,
                server_cpu_gross_ms: 0.0,
                requests: 0,
                writes: 0,
                all_requests: 0,
                peak_kib: 2048,
                resident_kib: 1024,
                until_quiet_ms: 2_000.0,
            }),
            deliveries: Some(Deliveries {
                kind: Kind::Valid,
                per_second,
                api_server,
                answers: Answers {
                    statuses: vec![(202, answered), (503, refused)],
                    seconds: 2.0,
                    p50_ms: 0.5,
                    p95_ms: 1.5,
                    p99_ms: 2.5,
                },
            }),
        }
    }

    #[test]
    fn only_deliveries_that_were_answered_as_they_are_to_be_count_for_the_rate() {
        let records = [
            record(None, true, 8_000, 500),
            record(None, false, 100, 0),
            record(Some(1000), true, 2_000, 0),
        ];
        let told = told(records.iter());
        let order: Vec<_> = told.iter().map(|told| (told.api_server, told.per_second)).collect();
        assert_eq!(order, [(true, None), (true, Some(1000)), (false, None)]);
        assert_eq!((told[0].answered, told[0].of_a_processor), (Some(4_000.0), Some(16_000.0)));
        let mut text = String::new();
        write(&mut text, &told);
        let row = "| valid | as answered | up | 4000 | 16000 | 0.50 | 1.50 | 2.50 | 202: 8000, 503: 500 | 0 | 2 |";
        assert!(text.contains(row), "{text}");
    }
}
