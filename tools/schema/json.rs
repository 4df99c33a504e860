//! JSON text that is a value: parsed, or only checked and put on one line.

use serde::Deserialize as _;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::de::{Deserializer, SliceRead};

use super::Mismatch;

/// More levels than any value has that is written here.
const MAX_DEPTH: usize = 1000;

/// Parses a value; whole numbers of 64 bits stay exact.
pub fn parse(text: &[u8]) -> Result<Value, Mismatch> {
    let mut deserializer = deserializer(text)?;
    let value = Value::deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| Mismatch::new(format!("not JSON: {error}")))
}

/// Appends the text without the blanks between its parts; it is one line then.
pub fn write_compact(text: &[u8], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    check(text)?;
    let mut is_in_string = false;
    let mut is_escaped = false;
    out.extend(text.iter().filter(|&&byte| {
        if is_in_string {
            is_in_string = is_escaped || byte != b'"';
            is_escaped = byte == b'\\' && !is_escaped;
            return true;
        }
        is_in_string = byte == b'"';
        !byte.is_ascii_whitespace()
    }));
    Ok(())
}

/// Checks that the text is one JSON value.
pub fn check(text: &[u8]) -> Result<(), Mismatch> {
    // Strings that are passed over are not checked by serde_json.
    if let Err(error) = std::str::from_utf8(text) {
        let at = error.valid_up_to() + 1;
        return Err(Mismatch::new(format!("not JSON: byte {at} is not UTF-8")));
    }
    let mut deserializer = deserializer(text)?;
    let checked = IgnoredAny::deserialize(&mut deserializer);
    checked
        .and_then(|_| deserializer.end())
        .map_err(|error| Mismatch::new(format!("not JSON: {error}")))
}

fn deserializer(text: &[u8]) -> Result<Deserializer<SliceRead<'_>>, Mismatch> {
    if depth(text) > MAX_DEPTH {
        return Err(Mismatch::new("nested too deeply"));
    }
    let mut deserializer = Deserializer::new(SliceRead::new(text));
    // Its own limit is 128 levels, which a list that is a recursive record exceeds.
    deserializer.disable_recursion_limit();
    Ok(deserializer)
}

/// The most brackets that are open at a time.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut most, mut is_in_string, mut is_escaped) = (0usize, 0, false, false);
    for &byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            b'[' | b'{' if !is_in_string => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// What a value is, for a message: short, whatever it holds.
pub(super) fn describe(value: &Value) -> String {
    const MOST: usize = 40;
    match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > MOST => {
            let start: String = text.chars().take(MOST).collect();
            format!("{start:?}...")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compact(text: &str) -> Option<String> {
        let mut out = Vec::new();
        write_compact(text.as_bytes(), &mut out).ok()?;
        Some(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn blanks_between_the_parts_are_left_out_and_nothing_else_is_changed() {
        let text =
            "{ \"a b\" :\n[1.50, 12345678901234567890123, \"x \\\" y\\\\\" , \"z\"],\"a b\":1e400}";
        let expected =
            "{\"a b\":[1.50,12345678901234567890123,\"x \\\" y\\\\\",\"z\"],\"a b\":1e400}";
        assert_eq!(compact(text).as_deref(), Some(expected));
        assert_eq!(compact("{"), None);
        assert_eq!(compact("1 2"), None);
        assert_eq!(compact(""), None);
    }

    #[test]
    fn deep_values_are_parsed_and_too_deep_ones_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(900).as_bytes()).is_ok());
        assert!(parse(nested(100_000).as_bytes()).is_err());
        assert!(check(nested(100_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn compact_text_is_the_same_value(text in "[\\[\\]{}\", :0-9a\\\\\n]{0,30}") {
            if let Some(compact) = compact(&text) {
                prop_assert!(!compact.contains('\n'));
                prop_assert_eq!(parse(text.as_bytes()).ok(), parse(compact.as_bytes()).ok());
            }
        }
    }
}
