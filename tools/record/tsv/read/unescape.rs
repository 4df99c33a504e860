//! Undoing the escapes of a field, and `--bytes=hex`.

use std::ops::Range;

use super::super::super::DecodeError;
use super::super::super::escape::hex_digit;
use super::super::Column;
use super::{Field, fail};

/// Appends the field without its escapes to `scratch`.
pub(super) fn unescape(
    column: Column,
    field: &[u8],
    start: usize,
    scratch: &mut Vec<u8>,
) -> Result<Range<usize>, DecodeError> {
    let begin = scratch.len();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &field[at..]) {
        scratch.extend_from_slice(&field[at..at + found]);
        at += found;
        let Some(&kind) = field.get(at + 1) else {
            let problem = "a backslash at the end escapes nothing (write \\\\ for a backslash)";
            return Err(fail(column, problem).at(start + at));
        };
        let (byte, used) = match kind {
            b'\\' | b'\'' => (kind, 2),
            b't' => (b'\t', 2),
            b'n' => (b'\n', 2),
            b'r' => (b'\r', 2),
            b'0' => (0, 2),
            b'b' => (8, 2),
            b'f' => (12, 2),
            b'v' => (11, 2),
            b'x' => {
                let pair = field.get(at + 2..at + 4);
                let Some(byte) = pair.and_then(|pair| hex_pair(pair[0], pair[1])) else {
                    let problem = "\\x needs two hexadecimal digits";
                    return Err(fail(column, problem).at(start + at));
                };
                (byte, 4)
            }
            b'N' => {
                let problem =
                    "\\N is NULL only where it is the whole field (write \\\\N for the text)";
                return Err(fail(column, problem).at(start + at));
            }
            other => {
                let problem = format!("unknown escape \\{}", other.escape_ascii());
                return Err(fail(column, problem).at(start + at));
            }
        };
        scratch.push(byte);
        at += used;
    }
    scratch.extend_from_slice(&field[at..]);
    Ok(begin..scratch.len())
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    Some(hex_digit(high)? << 4 | hex_digit(low)?)
}

/// Undoes `--bytes=hex`, in place: a field that has it begins with an escaped
/// backslash, so it is in `scratch`, and what it says is shorter than it is.
pub(super) fn unhex(
    column: Column,
    field: &Field,
    start: usize,
    scratch: &mut Vec<u8>,
) -> Result<Range<usize>, DecodeError> {
    let digits = match field {
        Field::Scratch(range)
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
        let Some(byte) = hex_pair(scratch[at], scratch[at + 1]) else {
            let problem = format!("{} is not hexadecimal", scratch[at..at + 2].escape_ascii());
            // In the line the prefix is \\x, one byte longer than here.
            return Err(fail(column, problem).at(start + 3 + 2 * index));
        };
        scratch[begin + index] = byte;
    }
    scratch.truncate(begin + len);
    Ok(begin..begin + len)
}
