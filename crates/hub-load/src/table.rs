//! Tables for people.

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};

/// Columns with a rule below their names.
pub(crate) fn columns(names: &[&str], rows: &[Vec<String>]) -> String {
    let style = TableStyle::new().header_separator(LineStyle::none().fill('-'));
    let mut table = Table::new();
    table
        .load_style(style)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(names.to_vec());
    table.add_rows(rows.to_vec());
    flush_left(&table)
}

/// Names and values of one thing.
pub(crate) fn pairs(rows: &[(String, String)]) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Disabled);
    for (name, value) in rows {
        table.add_row([name, value]);
    }
    flush_left(&table)
}

/// Without the padding at both ends, which nothing needs where there are no borders.
fn flush_left(table: &Table) -> String {
    let lines = table.lines().map(|line| {
        line.strip_prefix(' ')
            .unwrap_or(&line)
            .trim_end()
            .to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_over_a_rule_and_values_below_them() {
        let text = columns(
            &["server", "µs"],
            &[
                vec!["thingstead".into(), "2.7".into()],
                vec!["mosquitto".into(), "11.25".into()],
            ],
        );
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("server"), "{text}");
        assert!(lines[1].starts_with("---"), "{text}");
        assert!(lines[3].ends_with("11.25"), "{text}");
    }

    #[test]
    fn pairs_align() {
        let rows = [("cores", "2"), ("cpu model", "x")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let text = pairs(&rows);
        let column = |line: &str| line.find(['2', 'x']).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(column(lines[0]), column(lines[1]), "{text}");
    }
}
