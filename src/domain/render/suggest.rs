//! "Did you mean …?"

/// ` (did you mean "…"?)` with the candidate nearest to `name`, or nothing when none is near.
pub(crate) fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let limit = 1 + name.chars().count() / 4;
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!(" (did you mean \"{candidate}\"?)"))
}

/// The number of letters to add, drop, change or swap with a neighbour to turn one word into the other. Only the first 64 letters
/// count.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (index, row) in rows.iter_mut().enumerate() {
        row[0] = index;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let changed = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("imgae", ["image", "images", "port"]), " (did you mean \"image\"?)");
        assert_eq!(did_you_mean("quot", ["quote", "not"]), " (did you mean \"quote\"?)");
        assert_eq!(did_you_mean("database", ["port", "image"]), "");
        assert_eq!(did_you_mean("", ["abcdef"]), "");
        assert_eq!(did_you_mean("z", [""]), "");
    }
}
