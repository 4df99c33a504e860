//! From a record to the text of a template.

use super::super::terminal::{self, Escape};
use super::super::{EncodeError, Header, Record};
use super::{Field, NULL_TEXT, Step, Template};
use crate::units;

/// Writes records by a template.
#[derive(Clone, Debug)]
pub(in super::super) struct Writer {
    steps: Vec<Step>,
    null: &'static [u8],
}

impl Writer {
    pub(in super::super) fn new(template: &Template) -> Writer {
        Writer {
            steps: template.steps(),
            null: if template.null_text { NULL_TEXT } else { b"" },
        }
    }

    /// Appends the record; true means that a reader would cut it elsewhere.
    pub(in super::super) fn write(
        &self,
        record: &Record<'_>,
        terminal: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, EncodeError> {
        let start = out.len();
        let ambiguous = self.write_plain(record, out)?;
        if terminal {
            out.truncate(start);
            self.write_shown(record, out)?;
        }
        Ok(ambiguous)
    }

    fn write_plain(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        let mut ambiguous = false;
        // The place of the field before, where the next text is what ends it.
        let mut open = None;
        for step in &self.steps {
            let start = out.len();
            match step {
                Step::Literal(text, needle) => {
                    out.extend_from_slice(text);
                    if let Some(field_start) = open {
                        let end: usize = start - field_start;
                        ambiguous |= needle.find(&out[field_start..]) != Some(end);
                    }
                }
                Step::Length32 => self.write_field(Field::ValueLen32, record, out)?,
                Step::Run(field) | Step::Framed(field) => self.write_field(*field, record, out)?,
                Step::Until(field) => {
                    self.write_field(*field, record, out)?;
                    ambiguous |= self.misreads(*field, record);
                }
            }
            open = matches!(step, Step::Until(_)).then_some(start);
        }
        Ok(ambiguous)
    }

    /// The texts of the template are the user's own; all else must not drive the terminal.
    fn write_shown(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for step in &self.steps {
            let start = out.len();
            match step {
                Step::Literal(text, _) => {
                    out.extend_from_slice(text);
                    continue;
                }
                Step::Length32 => self.write_field(Field::ValueLen32, record, out)?,
                Step::Run(field) | Step::Framed(field) | Step::Until(field) => {
                    self.write_field(*field, record, out)?;
                }
            }
            terminal::show_tail(out, start, Escape::Hex);
        }
        Ok(())
    }

    fn write_field(
        &self,
        field: Field,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let len = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
        match field {
            Field::Topic => out.extend_from_slice(record.topic.unwrap_or("").as_bytes()),
            Field::Partition => write_number(record.partition.map_or(-1, i64::from), out),
            Field::Offset => write_number(record.offset.unwrap_or(-1), out),
            Field::Timestamp => write_number(record.timestamp_ms.unwrap_or(-1), out),
            Field::Time => match record.timestamp_ms {
                Some(ms) => out.extend_from_slice(units::format_time_ms(ms).as_bytes()),
                None => write_number(-1, out),
            },
            Field::Headers => write_headers(record.headers, out),
            Field::Key => out.extend_from_slice(record.key.unwrap_or(self.null)),
            Field::KeyLen => write_number(len(record.key), out),
            Field::Value => out.extend_from_slice(record.value.unwrap_or(self.null)),
            Field::ValueLen => write_number(len(record.value), out),
            Field::ValueLen32 => {
                let len = i32::try_from(len(record.value)).map_err(|_| EncodeError::TooLong {
                    bytes: record.value.map_or(0, <[u8]>::len),
                })?;
                out.extend_from_slice(&len.to_be_bytes());
            }
        }
        Ok(())
    }

    /// Whether the text of this field, even if cut in the right place, says something else.
    fn misreads(&self, field: Field, record: &Record<'_>) -> bool {
        let says_null = |bytes: Option<&[u8]>| !self.null.is_empty() && bytes == Some(self.null);
        match field {
            Field::Key => says_null(record.key),
            Field::Value => says_null(record.value),
            Field::Headers => record.headers.iter().any(|header| {
                header.name.iter().any(|byte| b",=".contains(byte))
                    || header
                        .value
                        .is_some_and(|value| value == NULL_TEXT || value.contains(&b','))
            }),
            _ => false,
        }
    }
}

fn write_number(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// As kcat's `print_headers`, except that a value is not cut at a NUL.
fn write_headers(headers: &[Header<'_>], out: &mut Vec<u8>) {
    for (index, header) in headers.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(header.name);
        out.push(b'=');
        out.extend_from_slice(header.value.unwrap_or(NULL_TEXT));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Encoder, Format};
    use super::*;

    fn written(template: &str, terminal: bool, record: &Record<'_>) -> (Vec<u8>, u64) {
        let template = Template::parse(template).expect("the template is well-formed");
        let mut encoder = Encoder::new(Format::Template(template)).for_terminal(terminal);
        let mut out = Vec::new();
        encoder
            .encode(record, &mut out)
            .expect("the value is not too long");
        (out, encoder.ambiguous())
    }

    #[test]
    fn every_token_is_written() {
        let record = Record {
            topic: Some("t"),
            partition: Some(1),
            offset: Some(2),
            timestamp_ms: Some(1500),
            key: Some(b"key"),
            value: None,
            headers: &[
                Header {
                    name: b"a",
                    value: Some(b"x\0y"),
                },
                Header {
                    name: b"b",
                    value: None,
                },
            ],
            ..Record::default()
        };
        let (text, ambiguous) =
            written("%t %p %o %T %{time} %h|%K %k %S %s%R%%\\n", false, &record);
        let expected =
            b"t 1 2 1500 1970-01-01T00:00:01.500Z a=x\0y,b=NULL|3 key -1 \xff\xff\xff\xff%\n";
        assert_eq!(text, expected);
        assert_eq!(ambiguous, 0);
        let (text, _) = written("%t|%p|%o|%T|%{time}|%h|%k", false, &Record::default());
        assert_eq!(text, b"|-1|-1|-1|-1||");
    }

    #[test]
    fn a_length_cannot_drive_the_terminal() {
        // 27 bytes: the last byte of the length is ESC.
        let record = Record {
            value: Some(b"[2J........................"),
            ..Record::default()
        };
        let (text, _) = written("%R%s\\n", true, &record);
        assert_eq!(text, b"\\x00\\x00\\x00\\x1b[2J........................\n");
    }

    #[test]
    fn headers_that_could_be_others_are_counted() {
        let count = |name: &[u8], value: &[u8]| {
            let headers = [Header {
                name,
                value: Some(value),
            }];
            let record = Record {
                headers: &headers,
                ..Record::default()
            };
            written("%h\\n", false, &record).1
        };
        assert_eq!(count(b"a", b"1=2"), 0);
        for (name, value) in [("a", "1,b=2"), ("a", "NULL"), ("a=b", "1"), ("a", "1\n")] {
            assert_eq!(count(name.as_bytes(), value.as_bytes()), 1);
        }
    }
}
