//! Several rounds of one measurement.

use serde::Serialize;

/// Smallest, middle and largest of some rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
    pub(super) rounds: usize,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self {
            min,
            median,
            max,
            rounds: values.len(),
        })
    }
}

/// A number with the digits that mean something: three, and no fraction from a hundred on.
pub(super) fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => grouped(value.round()),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A whole number with a comma between thousands.
fn grouped(value: f64) -> String {
    let text = format!("{value:.0}");
    let (sign, figures) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |figures| ("-", figures));
    let mut grouped = String::from(sign);
    for (index, figure) in figures.chars().enumerate() {
        if index > 0 && (figures.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(figure);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        let median = |values: &[f64]| Spread::of(values).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let spread = Spread::of(&[2.0, 7.0, 1.0]).unwrap();
        assert_eq!((spread.min, spread.max, spread.rounds), (1.0, 7.0, 3));
    }

    #[test]
    fn numbers_show_three_digits() {
        let table = [
            (2.714, "2.71"),
            (27.14, "27.1"),
            (271.4, "271"),
            (1_234_567.8, "1,234,568"),
            (999.9, "1,000"),
            (0.0, "0.00"),
        ];
        for (value, text) in table {
            assert_eq!(digits(value), text);
        }
    }
}
