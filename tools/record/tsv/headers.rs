//! All headers of a record in one TSV column: `name=value` joined by `&`.
//!
//! Names and values are percent-encoded, which leaves no tab, backslash or
//! blank, so that the column also survives tools that know nothing of it. A
//! name alone has a NULL value; the empty field is therefore one header with
//! an empty name and a NULL value, and `\N` is no headers at all. Order and
//! duplicates are kept.

use std::ops::Range;

use super::super::escape::hex_digit;
use super::super::scan::clean_len;
use super::super::{DecodeError, Header};

pub(super) fn write(headers: &[Header<'_>], out: &mut Vec<u8>) {
    if headers.is_empty() {
        out.extend_from_slice(b"\\N");
        return;
    }
    for (index, header) in headers.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        percent_encode(header.name, out);
        if let Some(value) = header.value {
            out.push(b'=');
            percent_encode(value, out);
        }
    }
}

fn percent_encode(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = bytes;
    loop {
        let clean = clean_len(rest, |byte| !is_literal(byte));
        out.extend_from_slice(&rest[..clean]);
        let Some(&byte) = rest.get(clean) else { return };
        let digits = [
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ];
        out.push(b'%');
        out.extend_from_slice(&digits);
        rest = &rest[clean + 1..];
    }
}

/// Visible ASCII except what has a meaning here, in TSV, or (`+`) in URLs.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch for each byte would keep `clean_len` from vector code"
)]
fn is_literal(byte: u8) -> bool {
    (byte > b' ')
        & (byte <= b'~')
        & !((byte == b'%') | (byte == b'&') | (byte == b'=') | (byte == b'+') | (byte == b'\\'))
}

/// One header as ranges of the decoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) name: Range<usize>,
    pub(super) value: Option<Range<usize>>,
}

/// Reads the column, whose TSV escapes are undone already and which is not
/// `\N`. The decoded bytes are appended to `scratch`, their places to `spans`.
pub(super) fn read(
    field: &[u8],
    scratch: &mut Vec<u8>,
    spans: &mut Vec<Span>,
) -> Result<(), DecodeError> {
    let mut start = 0;
    for text in field.split(|&byte| byte == b'&') {
        let (name, value) = match memchr::memchr(b'=', text) {
            Some(at) => (&text[..at], Some((at + 1, &text[at + 1..]))),
            None => (text, None),
        };
        spans.push(Span {
            name: percent_decode(name, start, scratch)?,
            value: match value {
                Some((at, value)) => Some(percent_decode(value, start + at, scratch)?),
                None => None,
            },
        });
        start += text.len() + 1;
    }
    Ok(())
}

fn percent_decode(
    text: &[u8],
    start: usize,
    scratch: &mut Vec<u8>,
) -> Result<Range<usize>, DecodeError> {
    let begin = scratch.len();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'%', &text[at..]) {
        scratch.extend_from_slice(&text[at..at + found]);
        at += found;
        let digits = &text[at + 1..text.len().min(at + 3)];
        let &[high, low] = digits else {
            return Err(bad_percent(digits, start + at));
        };
        let (Some(high), Some(low)) = (hex_digit(high), hex_digit(low)) else {
            return Err(bad_percent(digits, start + at));
        };
        scratch.push(high << 4 | low);
        at += 3;
    }
    scratch.extend_from_slice(&text[at..]);
    Ok(begin..scratch.len())
}

fn bad_percent(digits: &[u8], index: usize) -> DecodeError {
    let shown = digits.escape_ascii();
    let problem = format!("%{shown} is not percent-encoding (write %25 for a percent sign)");
    DecodeError::new("column headers", problem).at(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(headers: &[Header<'_>]) -> String {
        let mut out = Vec::new();
        write(headers, &mut out);
        String::from_utf8(out).expect("percent-encoding leaves ASCII")
    }

    fn header<'a>(name: &'a str, value: Option<&'a str>) -> Header<'a> {
        Header {
            name: name.as_bytes(),
            value: value.map(str::as_bytes),
        }
    }

    #[test]
    fn each_kind_of_header_has_its_own_text() {
        for (headers, text) in [
            (vec![], "\\N"),
            (vec![header("", None)], ""),
            (vec![header("", Some(""))], "="),
            (vec![header("", None), header("", None)], "&"),
            (vec![header("a", None)], "a"),
            (vec![header("a", Some(""))], "a="),
            (
                vec![header("a", Some("1")), header("a", Some("2"))],
                "a=1&a=2",
            ),
            (
                vec![header("a b", Some("x=y&z%\t\\+ü"))],
                "a%20b=x%3Dy%26z%25%09%5C%2B%C3%BC",
            ),
            (vec![header("\\N", None)], "%5CN"),
            (
                vec![header("trace-id", Some("http://h/p?q;'\"{}"))],
                "trace-id=http://h/p?q;'\"{}",
            ),
        ] {
            assert_eq!(written(&headers), text);
        }
    }

    #[test]
    fn a_bad_percent_sign_is_named_with_its_place() {
        let error = |text: &str| {
            let (mut scratch, mut spans) = (Vec::new(), Vec::new());
            read(text.as_bytes(), &mut scratch, &mut spans)
                .map_err(|error| error.to_string())
                .expect_err("the text is malformed")
        };
        assert_eq!(
            error("a=1&b=%zz"),
            "column headers, byte 7: %zz is not percent-encoding (write %25 for a percent sign)"
        );
        assert_eq!(
            error("a%4"),
            "column headers, byte 2: %4 is not percent-encoding (write %25 for a percent sign)"
        );
        assert!(error("a=100%").contains("byte 6: % is not"));
    }
}
