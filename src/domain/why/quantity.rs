//! Amounts of resources as Kubernetes writes them, for people.

/// What is left of `limited` when `used` is taken; `None` where one of them is no quantity. Never below zero.
pub(super) fn left(limited: &str, used: &str) -> Option<String> {
    let left = (value(limited)? - value(used)?).max(0.0);
    Some(shown(left, limited))
}

/// A quantity as a number of its unit.
pub(in crate::domain) fn value(text: &str) -> Option<f64> {
    let end = text
        .find(|character: char| !(character.is_ascii_digit() || "+-.".contains(character)))
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let number: f64 = digits.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        exponent => 10_f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(number * factor)
}

/// Written in the manner of `like`: binary units stay binary units.
fn shown(amount: f64, like: &str) -> String {
    let units: &[(f64, &str)] = match like {
        text if text.ends_with('i') => &[(1_073_741_824.0, "Gi"), (1_048_576.0, "Mi"), (1024.0, "Ki")],
        text if text.ends_with(['k', 'M', 'G', 'T']) => &[(1e9, "G"), (1e6, "M"), (1e3, "k")],
        _ => &[],
    };
    if let Some((factor, unit)) = units
        .iter()
        .find(|(factor, _)| amount >= *factor && (amount / factor).fract() == 0.0)
    {
        return format!("{}{unit}", amount / factor);
    }
    match amount.fract() == 0.0 {
        true => format!("{amount}"),
        false => format!("{}m", (amount * 1e3).round()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_written_as_the_limit_is() {
        for (limited, used, wanted) in [
            ("1Gi", "512Mi", Some("512Mi")),
            ("2Gi", "1Gi", Some("1Gi")),
            ("1Gi", "2Gi", Some("0")),
            ("2", "1500m", Some("500m")),
            ("10", "10", Some("0")),
            ("1G", "500M", Some("500M")),
            ("1e3", "1", Some("999")),
            ("1Gi", "1e6", Some("1072741824")),
            ("many", "1", None),
            ("1x", "1", None),
        ] {
            assert_eq!(left(limited, used).as_deref(), wanted, "{limited} {used}");
        }
    }
}
