//! From a record to a JSON object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::split::ByteSearch;
use super::super::{Header, Record, TimestampType};
use super::Json;
use crate::text::{TerminalEscape, UPPER, escape_tail_for_terminal, hex_digits};

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
    write_bytes("key", record.key, out);
    out.push(b',');
    write_bytes("payload", record.value, out);
    out.push(b'}');
}

/// A field and its comma; nothing where the number is not known.
fn write_number(field: &[u8], number: Option<i64>, out: &mut Vec<u8>) {
    let Some(number) = number else { return };
    out.extend_from_slice(field);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.push(b',');
}

fn write_bytes(field: &str, bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(field.as_bytes());
    match bytes {
        None => out.extend_from_slice(b"\":null"),
        Some(text) if std::str::from_utf8(text).is_ok() => {
            out.extend_from_slice(b"\":");
            write_string(text, out);
        }
        Some(binary) => {
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

/// The character after the backslash for a byte; 0 for a byte that is not escaped.
///
/// The escapes are those of kcat's library (yajl).
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < b' ' as usize {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[b'\n' as usize] = b'n';
    escapes[b'\r' as usize] = b'r';
    escapes[b'\t' as usize] = b't';
    escapes[0x08] = b'b';
    escapes[0x0c] = b'f';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// `text` is UTF-8. Text that is JSON itself has a quote every few bytes, other text has hardly any: so eight bytes
/// are checked together, and one by one only if one of them needs an escape.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        if needs_escape(*word) {
            write_escaped(word, out);
        } else {
            out.extend_from_slice(word);
        }
    }
    write_escaped(rest, out);
    out.push(b'"');
}

/// Whether a byte is below the space, a quote or a backslash ("Bit Twiddling Hacks": a word with a byte less than n,
/// with a zero byte). Bytes of 128 and more are none of them.
fn needs_escape(word: [u8; 8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & HIGH != 0
}

/// Writes at most eight bytes. A backslash is always stored, and overwritten where it is not needed: a branch that is
/// hard to predict costs more.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut written = [0; 16];
    let mut used = 0;
    for &byte in text {
        let escape = ESCAPES[usize::from(byte)];
        if escape == b'u' {
            out.extend_from_slice(&written[..used]);
            used = 0;
            write_control(byte, out);
            continue;
        }
        written[used % 16] = b'\\';
        used += usize::from(escape != 0);
        written[used % 16] = if escape == 0 { byte } else { escape };
        used += 1;
    }
    out.extend_from_slice(&written[..used]);
}

#[cold]
fn write_control(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\u00");
    out.extend_from_slice(&hex_digits(byte, UPPER));
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    // Four characters for every three bytes begun.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("the space is as large as base64 needs");
    out.truncate(start + written);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            headers: &[],
            ..Record::default()
        };
        assert_eq!(
            written(&record),
            "{\"topic\":\"t\",\"partition\":0,\"offset\":7,\"tstype\":\"create\",\"ts\":1500,\"broker\":1,\
             \"key\":null,\"payload\":\"a\\\"\\\\/\\n\\r\\t\\b\\f\\u001B\u{7f}ü\u{2028}\"}\n"
        );
    }

    proptest! {
        #[test]
        fn eight_bytes_are_checked_as_one_by_one(word in proptest::array::uniform8(prop_oneof![
            Just(b'"'), Just(b'\\'), 30..36u8, 90..94u8, 126..130u8, any::<u8>(),
        ])) {
            let expected = word.iter().any(|&byte| ESCAPES[usize::from(byte)] != 0);
            prop_assert_eq!(needs_escape(word), expected);
        }
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
