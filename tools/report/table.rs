//! Aligned columns for people.

use std::collections::HashMap;
use std::io;

use super::layout::{ColumnKind, TableColumn, TableLayout};
use super::{Cell, Report, Role, Style};
use crate::text::visible;
use crate::units::{format_duration_ms, format_size, format_time_ms};

/// Writes the table. With `before`, each column of counts that has changed has the changes next to it.
pub(super) fn write(
    report: &Report,
    style: Style,
    before: Option<&Report>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let mut columns = Vec::with_capacity(report.columns.len());
    let old_rows = before.map(|before| rows_by_labels(report, before));
    let mut needs_bar = style.has_bars;
    for (at, column) in report.columns.iter().enumerate() {
        let cells = report.rows.iter().map(|row| &row[at]);
        let kind = if is_numeric(cells.clone()) {
            ColumnKind::Number
        } else {
            ColumnKind::Text
        };
        let texts = cells.map(cell_text).collect();
        columns.push(TableColumn::new(title(report, at), texts, kind));
        let changes = old_rows.as_ref().map(|rows| changes(report, rows, at));
        if let Some(texts) = changes.filter(|texts| texts.iter().any(|text| !text.is_empty())) {
            columns.push(TableColumn::new(
                "+/-".to_owned(),
                texts,
                ColumnKind::Change,
            ));
        }
        if column.has_bar && std::mem::take(&mut needs_bar) {
            let texts = report.shares(at).map(bar).collect();
            columns.push(TableColumn::new(String::new(), texts, ColumnKind::Bar));
        }
    }
    let layout = match style.width {
        Some(width) => TableLayout::new(columns, width, style.is_utf8),
        None => TableLayout::unlimited(columns),
    };
    for line in layout.heading.iter().cloned().chain(layout.lines()) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Width of the longest bar, in cells of a terminal.
const BAR_WIDTH: f64 = 8.0;

/// A bar of this share of the longest one, in eighths of a cell.
fn bar(share: f64) -> String {
    const PARTS: [&str; 8] = [
        "", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}",
    ];
    // Anything above 0 is visible.
    let eighths = (share * BAR_WIDTH * 8.0).ceil() as usize;
    "\u{2588}".repeat(eighths / 8) + PARTS[eighths % 8]
}

/// `AGE` for `age_ms`, as the cells have units, unless another column would be `AGE` too.
pub(super) fn title(report: &Report, at: usize) -> String {
    let plain = |name: &'static str| {
        let unit = ["_ms", "_bytes"]
            .iter()
            .find_map(|unit| name.strip_suffix(unit));
        unit.unwrap_or(name)
    };
    let name = report.columns[at].name;
    let short = plain(name);
    let same = report.columns.iter().filter(|c| plain(c.name) == short);
    let title = if same.count() > 1 { name } else { short };
    title.to_uppercase()
}

/// The rows of `before`, by their labels.
fn rows_by_labels<'a>(report: &Report, before: &'a Report) -> HashMap<String, &'a Vec<Cell>> {
    if before.columns != report.columns {
        return HashMap::new();
    }
    let rows = before.rows.iter();
    rows.map(|row| (format!("{:?}", before.labels(row)), row))
        .collect()
}

/// The changes of column `at`: a text for each row, empty if nothing has changed.
fn changes(report: &Report, old_rows: &HashMap<String, &Vec<Cell>>, at: usize) -> Vec<String> {
    let is_value = matches!(report.columns[at].role, Role::Value(_));
    let rows = report.rows.iter();
    rows.map(|row| {
        if !is_value {
            return String::new();
        }
        let old = old_rows.get(&format!("{:?}", report.labels(row)));
        old.map_or_else(String::new, |old| change(&old[at], &row[at]))
    })
    .collect()
}

fn change(old: &Cell, new: &Cell) -> String {
    match (old, new) {
        (Cell::Integer(old), Cell::Integer(new)) if old != new => format!("{:+}", new - old),
        (Cell::Bytes(old), Cell::Bytes(new)) if old != new => {
            let sign = if new > old { '+' } else { '-' };
            format!("{sign}{}", format_size(new.abs_diff(*old)))
        }
        _ => String::new(),
    }
}

/// Columns of numbers are aligned to the right, also if all are unknown.
pub(super) fn is_numeric<'a>(mut cells: impl Iterator<Item = &'a Cell>) -> bool {
    cells.all(|cell| !matches!(cell, Cell::Text(_)))
}

pub(super) fn cell_text(cell: &Cell) -> String {
    match cell.normalized() {
        Cell::Text(text) => visible(text, &[]).into_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Float(number) => short(*number),
        Cell::Rate(number) => format!("{}/s", short(*number)),
        Cell::Share(share) => format!("{}%", short(share * 100.0)),
        Cell::TimeMs(ms) => format_time_ms(*ms),
        Cell::DurationMs(ms) => format_duration_ms(*ms),
        Cell::Bytes(bytes) => format_size(*bytes),
        Cell::ByteRate(bytes) => match *bytes as u64 {
            small @ 0..1024 => format!("{small}B/s"),
            bytes => format!("{}/s", format_size(bytes)),
        },
        Cell::Unknown => "-".to_owned(),
    }
}

/// A number for people: three significant digits, and all digits before the point.
fn short(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let before_point = number.abs().log10().floor() as i32 + 1;
    let decimals = (3 - before_point).clamp(0, 9) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{bar, short};

    #[test]
    fn a_number_has_three_significant_digits() {
        for (number, text) in [
            (0.0, "0"),
            (2.5, "2.5"),
            (27.716_111_111, "27.7"),
            (0.004_123_4, "0.00412"),
            (1234.9, "1235"),
            (99.99, "100"),
            (-0.5, "-0.5"),
            (1e-12, "0"),
        ] {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(0.001), "\u{258f}");
        assert_eq!(bar(0.5), "\u{2588}\u{2588}\u{2588}\u{2588}");
        assert_eq!(bar(1.0).chars().count(), 8);
    }
}
