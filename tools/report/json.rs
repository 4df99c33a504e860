//! One JSON object a line, its members in the order of the columns.

use std::io;

use serde_json::{Map, Value};

use super::{Cell, Report, rounded};

pub(super) fn write(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    for row in &report.rows {
        let names = report.columns.iter().map(|column| column.name.to_owned());
        let members: Map<String, Value> = names.zip(row.iter().map(value)).collect();
        serde_json::to_writer(&mut *out, &members)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => text.clone().into(),
        Cell::Integer(number) | Cell::TimeMs(number) | Cell::DurationMs(number) => (*number).into(),
        Cell::Bytes(number) => (*number).into(),
        // A float that is not finite becomes null.
        Cell::Float(number) | Cell::Rate(number) | Cell::Share(number) | Cell::ByteRate(number) => {
            rounded(*number).into()
        }
        Cell::Unknown => Value::Null,
    }
}
