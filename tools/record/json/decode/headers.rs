//! Headers: an array of arrays, or kcat's flat array of names and values.

use serde::de::Error;

use super::value::{Text, Value};

/// A header's name and value.
pub(super) type HeaderText<'de> = (Text<'de>, Option<Text<'de>>);

/// The headers of a field that was read with `Expected::Headers`.
pub(super) fn headers<'de, E: Error>(
    field: Value<'de>,
    scratch: &mut Vec<u8>,
) -> Result<Vec<HeaderText<'de>>, E> {
    let Value::Array(values) = field else {
        return Ok(Vec::new());
    };
    let arrays = values
        .iter()
        .filter(|value| matches!(value, Value::Array(_)));
    let is_flat = match arrays.count() {
        0 => true,
        count if count == values.len() => false,
        _ => {
            return Err(E::custom(
                "headers mix arrays with kcat's flat names and values",
            ));
        }
    };
    let mut headers = Vec::with_capacity(values.len());
    let mut values = values.into_iter();
    while let Some(value) = values.next() {
        let parts = match value {
            Value::Array(parts) => parts,
            name if is_flat => match values.next() {
                Some(value) => vec![name, value],
                None => return Err(E::custom("the last name in headers has no value")),
            },
            _ => Vec::new(),
        };
        headers.push(header(parts, scratch)?);
    }
    Ok(headers)
}

/// `[name, value]` and its longer forms with base64.
fn header<'de, E: Error>(
    parts: Vec<Value<'de>>,
    scratch: &mut Vec<u8>,
) -> Result<HeaderText<'de>, E> {
    let len = parts.len();
    if !(2..=4).contains(&len) {
        return Err(E::custom(format_args!(
            "a header has {len} parts, expected [name, value] or [name, null, base64]"
        )));
    }
    let mut parts = parts.into_iter().map(Value::into_text);
    let [name, value, value_base64, name_base64] = std::array::from_fn(|_| parts.next().flatten());
    let name = text_or_base64("name", name, name_base64, scratch)?
        .ok_or_else(|| E::custom("a header in headers has no name"))?;
    let value = text_or_base64("value", value, value_base64, scratch)?;
    Ok((name, value))
}

fn text_or_base64<'de, E: Error>(
    part: &str,
    text: Option<Text<'de>>,
    base64: Option<Text<'de>>,
    scratch: &mut Vec<u8>,
) -> Result<Option<Text<'de>>, E> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(E::custom(format_args!(
            "a header has its {part} both as text and as base64"
        ))),
        (None, Some(base64)) => base64
            .decode_base64(&format!("the {part} of a header"), scratch)
            .map(Some),
        (text, None) => Ok(text),
    }
}
