//! The text format of Prometheus, version 0.0.4.
//!
//! Every [`Role::Value`] column is one gauge, labelled with the row's
//! [`Role::Label`] columns. Prometheus counts time in seconds, so a time or a
//! duration in a column `age_ms` or `age` is exported as `age_seconds`.

use std::io;

use super::{Cell, Column, Report, Role, machine_number};

pub(super) fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    for (at, column) in report.columns.iter().enumerate() {
        let Role::Value(help) = column.role else {
            continue;
        };
        let values: Vec<(String, String)> = report
            .rows
            .iter()
            .filter_map(|row| Some((labels(&report.columns, row), value(&row[at])?)))
            .collect();
        if values.is_empty() {
            continue;
        }
        let mut cells = report.rows.iter().map(|row| &row[at]);
        // Kafka's -1 is no time, and must not change the name.
        let is_time = column.name.ends_with("_ms")
            || cells.any(|cell| matches!(cell, Cell::TimeMs(_) | Cell::DurationMs(_)));
        let name = metric_name(report.prefix, column.name, is_time);
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        writeln!(out, "# HELP {name} {help}")?;
        writeln!(out, "# TYPE {name} gauge")?;
        for (labels, value) in values {
            writeln!(out, "{name}{labels} {value}")?;
        }
    }
    Ok(())
}

fn metric_name(prefix: &str, column: &str, is_time: bool) -> String {
    if is_time {
        let name = column.strip_suffix("_ms").unwrap_or(column);
        return format!("{prefix}_{name}_seconds");
    }
    format!("{prefix}_{column}")
}

fn value(cell: &Cell) -> Option<String> {
    match cell {
        Cell::TimeMs(ms) | Cell::DurationMs(ms) => Some((*ms as f64 / 1000.0).to_string()),
        cell => machine_number(cell),
    }
}

/// `{group="a",topic="b"}`; nothing where no label is known.
fn labels(columns: &[Column], row: &[Cell]) -> String {
    let mut labels = String::new();
    for (column, cell) in columns.iter().zip(row) {
        if column.role != Role::Label {
            continue;
        }
        match cell {
            Cell::Text(text) => push_label(&mut labels, column.name, text),
            cell => {
                if let Some(number) = machine_number(cell) {
                    push_label(&mut labels, column.name, &number);
                }
            }
        }
    }
    if labels.is_empty() {
        return labels;
    }
    format!("{{{labels}}}")
}

/// Adds `name="value"` to the labels of a sample, after a comma unless it is the first.
///
/// In a value, backslash, quote and line feed are escaped.
pub fn push_label(labels: &mut String, name: &str, value: &str) {
    if !labels.is_empty() {
        labels.push(',');
    }
    labels.push_str(name);
    labels.push_str("=\"");
    for letter in value.chars() {
        match letter {
            '\\' => labels.push_str("\\\\"),
            '"' => labels.push_str("\\\""),
            '\n' => labels.push_str("\\n"),
            letter => labels.push(letter),
        }
    }
    labels.push('"');
}
