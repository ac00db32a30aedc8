//! What many measurements amount to.

/// Some values of a distribution, found by the nearest rank: each of them was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many there were.
    pub count: usize,
    /// The least.
    pub least: f64,
    /// The median.
    pub p50: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
    /// 99 of 100 are at most this. With fewer than 100 it is the greatest.
    pub p99: f64,
}

/// The summary of some values; nothing of nothing.
pub fn summary(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
    let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    Some(Summary {
        count: sorted.len(),
        least: *sorted.first()?,
        p50: percentile(&sorted, 50)?,
        p95: percentile(&sorted, 95)?,
        p99: percentile(&sorted, 99)?,
    })
}

/// The value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The median of some values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    summary(values).map(|summary| summary.p50)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a summary of something is there")]
mod tests {
    use super::*;

    #[test]
    fn each_percentile_is_a_value_that_was_measured() {
        let summary = summary((1..=200).rev().map(f64::from)).unwrap();
        assert_eq!((summary.count, summary.least), (200, 1.0));
        assert_eq!((summary.p50, summary.p95, summary.p99), (100.0, 190.0, 198.0));
    }

    #[test]
    fn few_values_have_their_greatest_as_the_rare_ones() {
        let summary = summary([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((summary.p50, summary.p95, summary.p99), (2.0, 3.0, 3.0));
    }

    #[test]
    fn nothing_has_no_summary_and_what_is_no_number_does_not_count() {
        assert_eq!(summary([]), None);
        assert_eq!(summary([f64::NAN]), None);
        assert_eq!(summary([f64::NAN, 4.0]).unwrap().count, 1);
    }
}
