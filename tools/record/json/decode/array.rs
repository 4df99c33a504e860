//! A line that is an array of objects: its elements one after the other.

use super::super::super::DecodeError;
use super::super::super::split::RecordBounds;

/// The rest of a line that is an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrayRemainder(RecordBounds);

#[derive(Debug)]
pub(super) enum LineElement<'a> {
    /// An object, with the rest of its array if there is more.
    Object {
        text: &'a [u8],
        used: usize,
        rest: Option<ArrayRemainder>,
    },
    /// The end of the array.
    Empty { used: usize },
}

/// The line as one object, or the first object of the array that it is.
pub(super) fn first(input: &[u8], bounds: RecordBounds) -> Result<LineElement<'_>, DecodeError> {
    let text = &input[..bounds.end];
    let start = skip_blanks(text, 0);
    if text.get(start) != Some(&b'[') {
        let used = bounds.used;
        let rest = None;
        return Ok(LineElement::Object { text, used, rest });
    }
    let first = skip_blanks(text, start + 1);
    if text.get(first) == Some(&b']') {
        expect_end(text, first + 1)?;
        return Ok(LineElement::Empty { used: bounds.used });
    }
    element(input, bounds, first)
}

/// The next object of an array.
pub(super) fn next(
    input: &[u8],
    ArrayRemainder(bounds): ArrayRemainder,
) -> Result<LineElement<'_>, DecodeError> {
    element(input, bounds, skip_blanks(&input[..bounds.end], 0))
}

fn element(
    input: &[u8],
    bounds: RecordBounds,
    start: usize,
) -> Result<LineElement<'_>, DecodeError> {
    let line = &input[..bounds.end];
    let end = object_end(line, start).ok_or_else(|| expected(start))?;
    let text = &line[start..end];
    let behind = skip_blanks(line, end);
    match line.get(behind) {
        Some(b',') => Ok(LineElement::Object {
            text,
            used: behind + 1,
            rest: Some(ArrayRemainder(RecordBounds {
                end: bounds.end - behind - 1,
                used: bounds.used - behind - 1,
            })),
        }),
        Some(b']') => {
            expect_end(line, behind + 1)?;
            let used = bounds.used;
            let rest = None;
            Ok(LineElement::Object { text, used, rest })
        }
        _ => Err(expected(behind)),
    }
}

fn expect_end(line: &[u8], from: usize) -> Result<(), DecodeError> {
    let end = skip_blanks(line, from);
    if end == line.len() {
        return Ok(());
    }
    Err(DecodeError::new("", "something follows the array").at(end))
}

fn expected(at: usize) -> DecodeError {
    DecodeError::new("", "an array of JSON objects was expected").at(at)
}

fn skip_blanks(text: &[u8], from: usize) -> usize {
    let blanks = text[from..].iter().take_while(|b| b.is_ascii_whitespace());
    from + blanks.count()
}

/// Where the object that starts here ends: the brace that closes it, outside of strings.
fn object_end(text: &[u8], start: usize) -> Option<usize> {
    if text.get(start) != Some(&b'{') {
        return None;
    }
    let mut depth = 0usize;
    let mut is_in_string = false;
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if is_in_string => at += 1,
            b'"' => is_in_string = !is_in_string,
            b'{' if !is_in_string => depth += 1,
            b'}' if !is_in_string => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}
