//! All headers of a record in one TSV column: `name=value` joined by `&`.
//!
//! Names and values are percent-encoded: without tabs, backslashes and spaces
//! the column survives tools that do not know it. A name alone has a NULL
//! value, so the empty field is one header with an empty name and a NULL
//! value; `\N` is no headers. Order and duplicates are kept.

use std::ops::Range;

use super::super::{DecodeError, Header};
use crate::text::{UPPER, decode_escapes, hex_byte, hex_digits, unescaped_len};

pub(super) fn encode(headers: &[Header<'_>], out: &mut Vec<u8>) {
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
    let mut rest = bytes;
    loop {
        let len = unescaped_len(rest, |byte| !is_literal(byte));
        out.extend_from_slice(&rest[..len]);
        let Some(&byte) = rest.get(len) else { return };
        out.push(b'%');
        out.extend_from_slice(&hex_digits(byte, UPPER));
        rest = &rest[len + 1..];
    }
}

/// Visible ASCII except what has a meaning here, in TSV, or (`+`) in URLs.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch for each byte would keep `unescaped_len` from vector code"
)]
fn is_literal(byte: u8) -> bool {
    (byte > b' ')
        & (byte <= b'~')
        & !((byte == b'%') | (byte == b'&') | (byte == b'=') | (byte == b'+') | (byte == b'\\'))
}

/// One header as ranges of the decoded bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeaderRange {
    pub(super) name: Range<usize>,
    pub(super) value: Option<Range<usize>>,
}

/// Reads the column, without TSV escapes and not `\N`. Appends the decoded bytes
/// to `scratch` and where they are to `header_ranges`.
pub(super) fn decode(
    field: &[u8],
    scratch: &mut Vec<u8>,
    header_ranges: &mut Vec<HeaderRange>,
) -> Result<(), DecodeError> {
    let mut start = 0;
    for text in field.split(|&byte| byte == b'&') {
        let (name, value) = match memchr::memchr(b'=', text) {
            Some(at) => (&text[..at], Some((at + 1, &text[at + 1..]))),
            None => (text, None),
        };
        header_ranges.push(HeaderRange {
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
    decode_escapes(text, b'%', scratch, |at, after| {
        let digits = &after[..after.len().min(2)];
        let byte = hex_byte(digits).ok_or_else(|| {
            let shown = digits.escape_ascii();
            let problem =
                format!("%{shown} is not percent-encoding (write %25 for a percent sign)");
            DecodeError::new("column headers", problem).at(start + at)
        })?;
        Ok((byte, 2))
    })?;
    Ok(begin..scratch.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(headers: &[Header<'_>]) -> String {
        let mut out = Vec::new();
        encode(headers, &mut out);
        String::from_utf8(out).expect("percent-encoding leaves ASCII")
    }

    fn header<'a>(name: &'a str, value: Option<&'a str>) -> Header<'a> {
        Header::new(name.as_bytes(), value.map(str::as_bytes))
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
            let (mut scratch, mut header_ranges) = (Vec::new(), Vec::new());
            decode(text.as_bytes(), &mut scratch, &mut header_ranges)
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
