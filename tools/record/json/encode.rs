//! From a record to a JSON object.

use super::super::split::ByteSearch;
use super::super::{Content, Header, Record, TimestampType};
use super::Json;
use crate::text::json::{write_base64, write_string};
use crate::text::{TerminalEscape, escape_tail_for_terminal};

#[derive(Clone, Debug)]
pub(in super::super) struct JsonEncoder {
    delimiter: Vec<u8>,
    /// `None` if no object can contain the delimiter.
    delimiter_search: Option<ByteSearch>,
}

impl JsonEncoder {
    pub(in super::super) fn new(format: Json) -> JsonEncoder {
        // Control characters are always escaped, so most delimiters need no search.
        let never_inside = format.delimiter.iter().any(u8::is_ascii_control);
        let searched = !format.delimiter.is_empty() && !never_inside;
        JsonEncoder {
            delimiter_search: searched.then(|| ByteSearch::new(&format.delimiter)),
            delimiter: format.delimiter,
        }
    }

    /// Appends the object. Returns whether a reader would split it at another place.
    pub(in super::super) fn encode(
        &self,
        record: &Record<'_>,
        terminal: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        write_object(record, out);
        if terminal {
            escape_tail_for_terminal(out, start, TerminalEscape::Json);
        }
        let end = out.len();
        out.extend_from_slice(&self.delimiter);
        self.delimiter_search
            .as_ref()
            .is_some_and(|delimiter_search| {
                delimiter_search.find(&out[start..]) != Some(end - start)
            })
    }
}

fn write_object(record: &Record<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some(topic) = record.topic {
        out.extend_from_slice(b"\"topic\":");
        write_string(topic.as_bytes(), out);
        out.push(b',');
    }
    write_number(b"\"partition\":", record.partition.map(i64::from), out);
    write_number(b"\"offset\":", record.offset, out);
    match record.timestamp_type {
        TimestampType::None => {}
        TimestampType::CreateTime => out.extend_from_slice(b"\"tstype\":\"create\","),
        TimestampType::LogAppendTime => out.extend_from_slice(b"\"tstype\":\"logappend\","),
    }
    write_number(b"\"ts\":", record.timestamp_ms, out);
    write_number(b"\"broker\":", record.broker.map(i64::from), out);
    let delivery_count = record.delivery_count.map(i64::from);
    write_number(b"\"delivery_count\":", delivery_count, out);
    if !record.headers.is_empty() {
        write_headers(record.headers, out);
        out.push(b',');
    }
    write_bytes("key", record.key, record.key_content, out);
    out.push(b',');
    write_bytes("payload", record.value, record.value_content, out);
    write_schema_id("key", record.key_content, out);
    write_schema_id("value", record.value_content, out);
    out.push(b'}');
}

/// As kcat does with Avro.
fn write_schema_id(field: &str, content: Content, out: &mut Vec<u8>) {
    let Content::Json {
        schema_id: Some(schema_id),
    } = content
    else {
        return;
    };
    out.extend_from_slice(b",\"");
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(b"_schema_id\":");
    out.extend_from_slice(itoa::Buffer::new().format(schema_id).as_bytes());
}

/// A field and its comma; nothing where the number is not known.
fn write_number(field: &[u8], number: Option<i64>, out: &mut Vec<u8>) {
    let Some(number) = number else { return };
    out.extend_from_slice(field);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.push(b',');
}

fn write_bytes(field: &str, bytes: Option<&[u8]>, content: Content, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(field.as_bytes());
    match (bytes, content) {
        (None, _) => out.extend_from_slice(b"\":null"),
        (Some(value), Content::Json { .. }) => {
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        }
        (Some(text), Content::Bytes) if std::str::from_utf8(text).is_ok() => {
            out.extend_from_slice(b"\":");
            write_string(text, out);
        }
        (Some(binary), _) => {
            out.extend_from_slice(b"_base64\":");
            write_base64(binary, out);
        }
    }
}

fn write_headers(headers: &[Header<'_>], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"headers\":[");
    for (index, header) in headers.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"[" } else { b",[" });
        let name_is_text = std::str::from_utf8(header.name).is_ok();
        let (text, binary) = match header.value {
            Some(value) if std::str::from_utf8(value).is_err() => (None, Some(value)),
            value => (value, None),
        };
        write_or_null(name_is_text.then_some(header.name), write_string, out);
        out.push(b',');
        write_or_null(text, write_string, out);
        if binary.is_some() || !name_is_text {
            out.push(b',');
            write_or_null(binary, write_base64, out);
        }
        if !name_is_text {
            out.push(b',');
            write_base64(header.name, out);
        }
        out.push(b']');
    }
    out.push(b']');
}

fn write_or_null(bytes: Option<&[u8]>, write: fn(&[u8], &mut Vec<u8>), out: &mut Vec<u8>) {
    match bytes {
        Some(bytes) => write(bytes, out),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Encoder, Format};
    use super::*;

    fn written(record: &Record<'_>) -> String {
        let mut out = Vec::new();
        Encoder::new(Format::Json(Json::default()))
            .encode(record, &mut out)
            .expect("JSON output has no errors");
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn the_fields_are_kcats_in_kcats_order() {
        let record = Record {
            topic: Some("t"),
            partition: Some(0),
            offset: Some(7),
            timestamp_ms: Some(1500),
            timestamp_type: TimestampType::CreateTime,
            broker: Some(1),
            key: None,
            value: Some("a\"\\/\n\r\t\u{8}\u{c}\u{1b}\u{7f}ü\u{2028}".as_bytes()),
            ..Record::default()
        };
        assert_eq!(
            written(&record),
            "{\"topic\":\"t\",\"partition\":0,\"offset\":7,\"tstype\":\"create\",\"ts\":1500,\"broker\":1,\
             \"key\":null,\"payload\":\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u001B\u{7f}ü\u{2028}\"}\n"
        );
    }

    #[test]
    fn what_is_not_utf8_is_base64() {
        let header = |name, value| Header { name, value };
        let headers: [Header<'_>; 5] = [
            header(b"n", Some(b"v")),
            header(b"n", None),
            header(b"n", Some(b"\xff")),
            header(b"\xfe", Some(b"v")),
            header(b"\xfe", Some(b"\xff")),
        ];
        let record = Record {
            key: Some(b"\xff"),
            value: Some(b"\xc3\x28"),
            headers: &headers,
            ..Record::default()
        };
        assert_eq!(
            written(&record),
            "{\"headers\":[[\"n\",\"v\"],[\"n\",null],[\"n\",null,\"/w==\"],[null,\"v\",null,\"/g==\"],\
             [null,null,\"/w==\",\"/g==\"]],\"key_base64\":\"/w==\",\"payload_base64\":\"wyg=\"}\n"
        );
    }

    #[test]
    fn values_of_a_schema_are_embedded_and_others_are_base64() {
        let record = Record {
            key: Some(b"text"),
            value: Some(b"{\"a\":1}"),
            key_content: Content::Encoded,
            value_content: Content::Json { schema_id: Some(7) },
            ..Record::default()
        };
        assert_eq!(
            written(&record),
            "{\"key_base64\":\"dGV4dA==\",\"payload\":{\"a\":1},\"value_schema_id\":7}\n"
        );
    }

    #[test]
    fn an_object_that_contains_its_delimiter_is_counted() {
        let format = Json {
            delimiter: b",".to_vec(),
        };
        let mut encoder = Encoder::new(Format::Json(format));
        encoder
            .encode(&Record::default(), &mut Vec::new())
            .expect("JSON output has no errors");
        assert_eq!(encoder.ambiguous(), 1);
    }
}
