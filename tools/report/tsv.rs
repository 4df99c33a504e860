//! Tab-separated values, in the dialect of kafka-records(5).

use std::io;

use super::{Cell, Report, machine_number};
use crate::text::escape_tsv;

pub(super) fn write(report: &Report, header: bool, out: &mut impl io::Write) -> io::Result<()> {
    if header {
        let names: Vec<&str> = report.columns.iter().map(|column| column.name).collect();
        writeln!(out, "{}", names.join("\t"))?;
    }
    let mut line = Vec::new();
    for row in &report.rows {
        line.clear();
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                line.push(b'\t');
            }
            match cell {
                Cell::Text(text) => escape_tsv(text.as_bytes(), &mut line),
                cell => match machine_number(cell) {
                    Some(number) => line.extend_from_slice(number.as_bytes()),
                    None => line.extend_from_slice(b"\\N"),
                },
            }
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}
