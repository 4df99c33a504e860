//! Comma-separated values (RFC 4180), with a header.

use std::io;

use super::{Cell, Report, machine_number};

pub(super) fn write(report: &Report, header: bool, out: &mut impl io::Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    if header {
        writer.write_record(report.columns.iter().map(|column| column.name))?;
    }
    for row in &report.rows {
        writer.write_record(row.iter().map(|cell| match cell {
            Cell::Text(text) => text.clone(),
            cell => machine_number(cell).unwrap_or_default(),
        }))?;
    }
    writer.flush()
}
