//! Aligned columns for people.

use std::collections::HashMap;
use std::io;

use super::fit::{Drawn, Fitted, Kind};
use super::{Cell, Report, Role, Style};
use crate::units::{drives_terminal, format_duration_ms, format_size, format_time_ms};

/// Writes the table; with what has changed since `before` beside each column of counts where anything has.
pub(super) fn write(
    report: &Report,
    style: Style,
    before: Option<&Report>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let mut columns = Vec::with_capacity(report.columns.len());
    let old_rows = before.map(|before| rows_by_labels(report, before));
    let mut wants_bar = style.has_bars;
    for (at, column) in report.columns.iter().enumerate() {
        let cells = report.rows.iter().map(|row| &row[at]);
        let kind = if is_numeric(cells.clone()) {
            Kind::Number
        } else {
            Kind::Text
        };
        let texts = cells.map(cell_text).collect();
        columns.push(Drawn::new(title(report, at), texts, kind));
        let changes = old_rows.as_ref().map(|rows| changes(report, rows, at));
        if let Some(texts) = changes.filter(|texts| texts.iter().any(|text| !text.is_empty())) {
            columns.push(Drawn::new("+/-".to_owned(), texts, Kind::Change));
        }
        if column.has_bar && std::mem::take(&mut wants_bar) {
            let texts = report.shares(at).map(bar).collect();
            columns.push(Drawn::new(String::new(), texts, Kind::Bar));
        }
    }
    let fitted = match style.width {
        Some(width) => Fitted::new(columns, width, style.is_utf8),
        None => Fitted::whole(columns),
    };
    for line in fitted.heading.iter().cloned().chain(fitted.lines()) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Cells of a terminal that the longest bar has.
const BAR: f64 = 8.0;

/// A bar of this share of the longest one, in eighths of a cell.
fn bar(share: f64) -> String {
    const PARTS: [&str; 8] = [
        "", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}",
    ];
    // What is more than nothing is seen.
    let eighths = (share * BAR * 8.0).ceil() as usize;
    "\u{2588}".repeat(eighths / 8) + PARTS[eighths % 8]
}

/// `age_ms` is `AGE` above cells that have their units with them, unless another column would be `AGE` too.
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

/// The rows of `before`, found by the labels that the rows of `report` have.
fn rows_by_labels<'a>(report: &Report, before: &'a Report) -> HashMap<String, &'a Vec<Cell>> {
    if before.columns != report.columns {
        return HashMap::new();
    }
    let rows = before.rows.iter();
    rows.map(|row| (format!("{:?}", before.labels(row)), row))
        .collect()
}

/// What has changed in column `at`, a text for each row, empty where nothing has.
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

/// A column of numbers is set to the right; one that knows nothing at all too, as numbers would be.
pub(super) fn is_numeric<'a>(mut cells: impl Iterator<Item = &'a Cell>) -> bool {
    cells.all(|cell| !matches!(cell, Cell::Text(_)))
}

pub(super) fn cell_text(cell: &Cell) -> String {
    match cell.normal() {
        Cell::Text(text) => printable(text),
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

/// A number as people read it: three digits that count, and all before the point.
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

/// The text with its control characters shown, so that a topic's or key's name cannot drive the terminal.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if drives_terminal(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{bar, short};

    #[test]
    fn a_number_has_three_digits_that_count() {
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
