//! From a record to a line of TSV.

use super::{ByteStyle, Column, Tsv, Utf8, headers};
use crate::text::{LOWER, TerminalEscape, escape_tail_for_terminal, escape_tsv, hex_digits};
use crate::units;

use super::super::{EncodeError, Record};

#[derive(Clone, Debug)]
pub(in super::super) struct TsvEncoder {
    format: Tsv,
}

impl TsvEncoder {
    pub(in super::super) fn new(format: Tsv) -> TsvEncoder {
        TsvEncoder { format }
    }

    /// Appends one line. After an error a part of it may be in `out`.
    pub(in super::super) fn encode(
        &self,
        record: &Record<'_>,
        terminal: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        for (index, column) in self.format.columns.as_slice().iter().enumerate() {
            if index > 0 {
                out.push(b'\t');
            }
            self.write_column(*column, record, out)?;
        }
        out.push(b'\n');
        if terminal {
            // Tabs and line feeds of the data are already escaped.
            escape_tail_for_terminal(out, start, TerminalEscape::Hex);
        }
        Ok(())
    }

    fn write_column(
        &self,
        column: Column,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        match column {
            Column::Topic => match record.topic {
                Some(topic) => escape_tsv(topic.as_bytes(), out),
                None => write_null(out),
            },
            Column::Partition => write_number(record.partition.map(i64::from), out),
            Column::Offset => write_number(record.offset, out),
            Column::Timestamp => write_number(record.timestamp_ms, out),
            Column::Time => match record.timestamp_ms {
                Some(ms) => out.extend_from_slice(units::format_time_ms(ms).as_bytes()),
                None => write_null(out),
            },
            Column::Key => self.write_bytes(column, record.key, out)?,
            Column::Value => self.write_bytes(column, record.value, out)?,
            Column::Headers => headers::encode(record.headers, out),
            Column::DeliveryCount => write_number(record.delivery_count.map(i64::from), out),
        }
        Ok(())
    }

    fn write_bytes(
        &self,
        column: Column,
        bytes: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let Some(bytes) = bytes else {
            write_null(out);
            return Ok(());
        };
        if self.format.utf8 == Utf8::Strict
            && let Err(error) = std::str::from_utf8(bytes)
        {
            return Err(EncodeError::NotUtf8 {
                column: column.name(),
                byte: error.valid_up_to() + 1,
            });
        }
        match self.format.bytes {
            ByteStyle::Plain => escape_tsv(bytes, out),
            ByteStyle::Hex => write_hex(bytes, out),
        }
        Ok(())
    }
}

fn write_null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\N");
}

fn write_number(number: Option<i64>, out: &mut Vec<u8>) {
    match number {
        Some(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        None => write_null(out),
    }
}

/// In COPY's text format `\\` stands for the backslash of bytea's `\x`.
fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\\\x");
    out.extend(bytes.iter().flat_map(|&byte| hex_digits(byte, LOWER)));
}

#[cfg(test)]
mod tests {
    use super::super::super::{Encoder, Format, Header};
    use super::*;

    fn written(format: Tsv, record: &Record<'_>) -> Result<String, EncodeError> {
        let mut out = b"before ".to_vec();
        let result = Encoder::new(Format::Tsv(format)).encode(record, &mut out);
        let text = String::from_utf8(out.split_off(7)).expect("the line is text here");
        assert_eq!(text.is_empty(), result.is_err());
        result.map(|()| text)
    }

    #[test]
    fn a_line_is_what_the_manual_says() {
        let record = Record {
            topic: Some("t"),
            partition: Some(0),
            offset: Some(7),
            timestamp_ms: Some(1_795_373_046_123),
            key: None,
            value: Some(b"a\tb\nc\rd\0e\\Nf"),
            headers: &[Header::new(b"n", Some(b"v"))],
            ..Record::default()
        };
        let all = "topic,partition,offset,timestamp,key,value,headers,time";
        let format = |bytes: ByteStyle| Tsv {
            columns: all.parse().expect("the columns exist"),
            bytes,
            utf8: Utf8::Strict,
        };
        assert_eq!(
            written(format(ByteStyle::Plain), &record),
            Ok("t\t0\t7\t1795373046123\t\\N\ta\\tb\\nc\\rd\\0e\\\\Nf\tn=v\t2026-11-22T18:44:06.123Z\n".into())
        );
        assert_eq!(
            written(
                format(ByteStyle::Hex),
                &Record {
                    value: Some(b"\0az"),
                    ..Record::default()
                }
            ),
            Ok("\\N\t\\N\t\\N\t\\N\t\\N\t\\\\x00617a\t\\N\t\\N\n".into())
        );
    }

    #[test]
    fn strict_utf8_refuses_and_appends_nothing() {
        let strict = Tsv {
            utf8: Utf8::Strict,
            ..Tsv::default()
        };
        let record = Record {
            key: Some(b"k"),
            value: Some(b"ab\xffc"),
            ..Record::default()
        };
        let error = written(strict, &record).map_err(|error| error.to_string());
        assert_eq!(error, Err("the value is not UTF-8 (at byte 3)".into()));
    }
}
