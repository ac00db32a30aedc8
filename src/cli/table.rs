//! Tables and ages the way kubectl shows them.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;

use super::printable::printable;

/// Columns without borders, three spaces apart, each as wide as its widest cell on a terminal. No cell is ever wrapped or cut.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The time from `then` to `now` in the two largest units that matter, as kubectl writes it; `<unknown>` without a `then`,
/// `0s` for a clock that runs ahead.
pub fn age(then: Option<Timestamp>, now: Timestamp) -> String {
    let Some(then) = then else {
        return "<unknown>".to_owned();
    };
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit}{small}{small_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age_of(seconds: i64) -> String {
        let now = Timestamp::from_second(2_000_000_000).expect("a time");
        let then = Timestamp::from_second(2_000_000_000 - seconds).expect("a time");
        age(Some(then), now)
    }

    #[test]
    fn an_age_has_at_most_two_units() {
        let day = 86_400;
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (135, "2m15s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_700, "3h15m"),
            (28_800, "8h"),
            (2 * day - 1, "47h"),
            (2 * day, "2d"),
            (3 * day + 7_200, "3d2h"),
            (8 * day, "8d"),
            (730 * day, "2y"),
            (740 * day, "2y10d"),
            (8 * 365 * day, "8y"),
        ] {
            assert_eq!(age_of(seconds), text, "{seconds} s");
        }
    }

    #[test]
    fn a_clock_that_runs_ahead_gives_no_negative_age() {
        assert_eq!(age_of(-30), "0s");
    }

    #[test]
    fn an_object_without_a_time_has_an_unknown_age() {
        assert_eq!(age(None, Timestamp::UNIX_EPOCH), "<unknown>");
    }

    #[test]
    fn columns_line_up_by_their_width_on_a_terminal() {
        let rows = [
            vec!["日本/x".to_owned(), "Ready".to_owned()],
            vec!["a".to_owned(), "Failed".to_owned()],
        ];
        assert_eq!(
            table(&["BRANCH", "PHASE"], rows),
            "BRANCH   PHASE\n日本/x   Ready\na        Failed\n"
        );
    }

    #[test]
    fn a_table_of_no_rows_is_its_header() {
        assert_eq!(table(&["BRANCH", "PHASE"], []), "BRANCH   PHASE\n");
    }

    #[test]
    fn a_long_cell_is_neither_wrapped_nor_cut() {
        let long = "x".repeat(400);
        let text = table(&["A", "B"], [vec![long.clone(), "y".to_owned()]]);
        assert_eq!(text.lines().last(), Some(format!("{long}   y").as_str()));
    }
}
