//! Tab-separated values, in the dialect of kafka-records(5).

use std::io;

use super::{Cell, Report, machine_number};

pub(super) fn write(report: &Report, header: bool, out: &mut impl io::Write) -> io::Result<()> {
    if header {
        let names: Vec<&str> = report.columns.iter().map(|column| column.name).collect();
        writeln!(out, "{}", names.join("\t"))?;
    }
    for row in &report.rows {
        let cells: Vec<String> = row.iter().map(cell_text).collect();
        writeln!(out, "{}", cells.join("\t"))?;
    }
    Ok(())
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => escape(text),
        cell => machine_number(cell).unwrap_or_else(|| "\\N".to_owned()),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\0' => escaped.push_str("\\0"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
