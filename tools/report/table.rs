//! Aligned columns for people.

use std::collections::HashMap;
use std::io;

use unicode_width::UnicodeWidthStr as _;

use super::{Cell, Report, Role};
use crate::units::{drives_terminal, format_duration_ms, format_size, format_time_ms};

/// Between two columns.
const GAP: &str = "  ";

/// A column as it is drawn, its title first.
struct Drawn {
    texts: Vec<String>,
    is_right: bool,
}

/// Writes the table; with what has changed since `before` beside each column of counts where anything has.
pub(super) fn write(
    report: &Report,
    before: Option<&Report>,
    out: &mut impl io::Write,
) -> io::Result<()> {
    let mut columns = Vec::with_capacity(report.columns.len());
    let old_rows = before.map(|before| rows_by_labels(report, before));
    for at in 0..report.columns.len() {
        let cells = report.rows.iter().map(|row| &row[at]);
        let title = title(report, at);
        columns.push(Drawn {
            texts: std::iter::once(title)
                .chain(cells.clone().map(cell_text))
                .collect(),
            is_right: is_numeric(cells),
        });
        let changes = old_rows.as_ref().map(|rows| changes(report, rows, at));
        if let Some(texts) = changes.filter(|texts| texts.iter().any(|text| !text.is_empty())) {
            columns.push(Drawn {
                texts: std::iter::once("+/-".to_owned()).chain(texts).collect(),
                is_right: true,
            });
        }
    }
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| column.texts.iter().map(|t| t.width()).max().unwrap_or(0))
        .collect();
    for row in 0..=report.rows.len() {
        let mut line = String::new();
        for (column, width) in columns.iter().zip(&widths) {
            let text = &column.texts[row];
            let padding = " ".repeat(width - text.width());
            let (left, right) = if column.is_right {
                (padding.as_str(), "")
            } else {
                ("", padding.as_str())
            };
            line.extend([left, text, right, GAP]);
        }
        // Blanks at the end of a line would only wrap on a narrow terminal.
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// `age_ms` is `AGE` above cells that have their units with them, unless another column would be `AGE` too.
fn title(report: &Report, at: usize) -> String {
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
fn is_numeric<'a>(mut cells: impl Iterator<Item = &'a Cell>) -> bool {
    cells.all(|cell| !matches!(cell, Cell::Text(_)))
}

fn cell_text(cell: &Cell) -> String {
    match cell.normal() {
        Cell::Text(text) => printable(text),
        Cell::Integer(number) => number.to_string(),
        // A small share is not nothing.
        Cell::Float(number) if *number != 0.0 && number.abs() < 0.1 => format!("{number:.4}"),
        Cell::Float(number) => format!("{number:.2}"),
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
