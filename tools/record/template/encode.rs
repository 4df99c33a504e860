//! From a record to the text of a template.

use super::super::{EncodeError, Header, Record};
use super::{Field, NULL_TEXT, Template, TokenCodec};
use crate::text::{TerminalEscape, escape_tail_for_terminal};
use crate::units;

#[derive(Clone, Debug)]
pub(in super::super) struct TemplateEncoder {
    codecs: Vec<TokenCodec>,
    null: &'static [u8],
}

impl TemplateEncoder {
    pub(in super::super) fn new(template: &Template) -> TemplateEncoder {
        TemplateEncoder {
            codecs: template.codecs(),
            null: if template.null_text { NULL_TEXT } else { b"" },
        }
    }

    /// Appends the record. Returns whether a reader would split it at another place.
    pub(in super::super) fn encode(
        &self,
        record: &Record<'_>,
        terminal: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, EncodeError> {
        let start = out.len();
        let ambiguous = self.encode_exact(record, out)?;
        if terminal {
            out.truncate(start);
            self.encode_for_terminal(record, out)?;
        }
        Ok(ambiguous)
    }

    fn encode_exact(&self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        let mut ambiguous = false;
        // Where the field before starts, if the next literal ends it.
        let mut open = None;
        for token in &self.codecs {
            let start = out.len();
            match token {
                TokenCodec::Literal(text, search) => {
                    out.extend_from_slice(text);
                    if let Some(field_start) = open {
                        let end: usize = start - field_start;
                        ambiguous |= search.find(&out[field_start..]) != Some(end);
                    }
                }
                TokenCodec::Length32 => self.write_field(Field::ValueLen32, record, out)?,
                TokenCodec::Number(field) | TokenCodec::LengthPrefixed(field) => {
                    self.write_field(*field, record, out)?;
                }
                TokenCodec::Delimited(field) => {
                    self.write_field(*field, record, out)?;
                    ambiguous |= self.is_ambiguous(*field, record);
                }
            }
            open = matches!(token, TokenCodec::Delimited(_)).then_some(start);
        }
        Ok(ambiguous)
    }

    /// Escapes everything but the literals, which the user wrote.
    fn encode_for_terminal(
        &self,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        for token in &self.codecs {
            let start = out.len();
            match token {
                TokenCodec::Literal(text, _) => {
                    out.extend_from_slice(text);
                    continue;
                }
                TokenCodec::Length32 => self.write_field(Field::ValueLen32, record, out)?,
                TokenCodec::Number(field)
                | TokenCodec::LengthPrefixed(field)
                | TokenCodec::Delimited(field) => {
                    self.write_field(*field, record, out)?;
                }
            }
            escape_tail_for_terminal(out, start, TerminalEscape::Hex);
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
            Field::DeliveryCount => write_number(record.delivery_count.map_or(-1, i64::from), out),
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

    /// Whether the text of this field, even if its end is found, means something else.
    fn is_ambiguous(&self, field: Field, record: &Record<'_>) -> bool {
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
            headers: &[Header::new(b"a", Some(b"x\0y")), Header::new(b"b", None)],
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
    fn a_length_is_escaped_for_a_terminal() {
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
