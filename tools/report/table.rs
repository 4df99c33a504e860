//! Aligned columns for people.

use std::fmt::Write as _;
use std::io;

use unicode_width::UnicodeWidthStr as _;

use super::{Cell, Report};
use crate::units::{format_duration_ms, format_size, format_time_ms};

/// Between two columns.
const GAP: &str = "  ";

pub(super) fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    let header: Vec<String> = report.columns.iter().map(|c| title(c.name)).collect();
    let rows: Vec<Vec<String>> = report
        .rows
        .iter()
        .map(|row| row.iter().map(cell_text).collect())
        .collect();
    let last = header.len().saturating_sub(1);
    let widths: Vec<usize> = (0..header.len())
        .map(|at| {
            let cells = rows.iter().map(|row| row[at].width());
            cells.chain([header[at].width()]).max().unwrap_or(0)
        })
        .collect();
    let right: Vec<bool> = (0..header.len())
        .map(|at| is_numeric(report.rows.iter().map(|row| &row[at])))
        .collect();
    for row in std::iter::once(&header).chain(&rows) {
        let mut line = String::new();
        for (at, text) in row.iter().enumerate() {
            let padding = " ".repeat(widths[at] - text.width());
            let gap = if at == last { "" } else { GAP };
            // Blanks at the end of a line would only wrap on a narrow terminal.
            let _ = match (right[at], at == last) {
                (true, _) => write!(line, "{padding}{text}{gap}"),
                (false, false) => write!(line, "{text}{padding}{gap}"),
                (false, true) => write!(line, "{text}"),
            };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// `age_ms` is `AGE` above cells that have their units with them.
fn title(name: &str) -> String {
    let unit = ["_ms", "_bytes"]
        .iter()
        .find_map(|unit| name.strip_suffix(unit));
    unit.unwrap_or(name).to_uppercase()
}

/// A column of numbers is set to the right; one that knows nothing at all too, as numbers would be.
fn is_numeric<'a>(mut cells: impl Iterator<Item = &'a Cell>) -> bool {
    cells.all(|cell| !matches!(cell, Cell::Text(_)))
}

fn cell_text(cell: &Cell) -> String {
    match cell.normal() {
        Cell::Text(text) => printable(text),
        Cell::Integer(number) => number.to_string(),
        Cell::Float(number) => format!("{number:.2}"),
        Cell::TimeMs(ms) => format_time_ms(*ms),
        Cell::DurationMs(ms) => format_duration_ms(*ms),
        Cell::Bytes(bytes) => format_size(*bytes),
        Cell::Unknown => "-".to_owned(),
    }
}

/// The text with its control characters shown, so that a topic's or key's name cannot drive the terminal.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        // Directional formatting can make a terminal show another text than is there.
        let turns = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}
