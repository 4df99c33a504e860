//! Escapes of a field, and `--bytes=hex`.

use std::ops::Range;

use super::super::super::DecodeError;
use super::super::Column;
use super::{FieldBytes, fail};
use crate::text::{decode_escapes, hex_byte};

/// Appends the field without its escapes to `scratch`.
pub(super) fn unescape(
    column: Column,
    field: &[u8],
    start: usize,
    scratch: &mut Vec<u8>,
) -> Result<Range<usize>, DecodeError> {
    let begin = scratch.len();
    decode_escapes(field, b'\\', scratch, |at, after| {
        unescape_one(after).map_err(|problem| fail(column, problem).at(start + at))
    })?;
    Ok(begin..scratch.len())
}

/// The byte of an escape, and how many bytes follow the backslash.
fn unescape_one(after: &[u8]) -> Result<(u8, usize), String> {
    let byte = match after.first() {
        Some(&kind @ (b'\\' | b'\'')) => kind,
        Some(b't') => b'\t',
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b'0') => 0,
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'v') => 11,
        Some(b'x') => {
            let byte = after.get(1..3).and_then(hex_byte);
            let byte = byte.ok_or("\\x needs two hexadecimal digits")?;
            return Ok((byte, 3));
        }
        Some(b'N') => {
            let problem = "\\N is NULL only where it is the whole field (write \\\\N for the text)";
            return Err(problem.to_owned());
        }
        Some(other) => return Err(format!("unknown escape \\{}", other.escape_ascii())),
        None => {
            let problem = "a backslash at the end escapes nothing (write \\\\ for a backslash)";
            return Err(problem.to_owned());
        }
    };
    Ok((byte, 1))
}

/// Decodes `--bytes=hex`, in place: such a field begins with an escaped
/// backslash, so it is in `scratch`, and its bytes are fewer than its digits.
pub(super) fn unhex(
    column: Column,
    field: &FieldBytes,
    start: usize,
    scratch: &mut Vec<u8>,
) -> Result<Range<usize>, DecodeError> {
    let digits = match field {
        FieldBytes::Scratch(range)
            if scratch[range.clone()].starts_with(b"\\x") && range.len().is_multiple_of(2) =>
        {
            range.start + 2..range.end
        }
        _ => {
            let problem = "--bytes=hex needs \\\\x and an even number of hexadecimal digits";
            return Err(fail(column, problem).at(start));
        }
    };
    let begin = digits.start - 2;
    let len = digits.len() / 2;
    for index in 0..len {
        let at = digits.start + 2 * index;
        let pair = &scratch[at..at + 2];
        let Some(byte) = hex_byte(pair) else {
            let problem = format!("{} is not hexadecimal", pair.escape_ascii());
            // In the line the prefix is \\x, one byte longer than here.
            return Err(fail(column, problem).at(start + 3 + 2 * index));
        };
        scratch[begin + index] = byte;
    }
    scratch.truncate(begin + len);
    Ok(begin..begin + len)
}
