//! The values of fields: strings and whole numbers.
//!
//! A string borrows from the input, or from a buffer that all records share. serde's derive would allocate each string
//! that has an escape, and most payloads that are JSON have one.

use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A string: a slice of the input, or a range of the scratch buffer if it had escapes or was base64.
#[derive(Clone, Debug)]
pub(super) enum Text<'de> {
    Input(&'de [u8]),
    Scratch(Range<usize>),
}

impl<'de> Text<'de> {
    pub(super) fn bytes<'a>(&self, scratch: &'a [u8]) -> &'a [u8]
    where
        'de: 'a,
    {
        match self {
            Text::Input(bytes) => bytes,
            Text::Scratch(range) => &scratch[range.clone()],
        }
    }

    /// Appends the decoded base64 to `scratch`.
    pub(super) fn decode_base64<E: Error>(
        &self,
        field: &str,
        scratch: &mut Vec<u8>,
    ) -> Result<Text<'de>, E> {
        let start = scratch.len();
        let decoded = match self {
            Text::Input(text) => STANDARD.decode_vec(text, scratch),
            Text::Scratch(range) => {
                let text = scratch[range.clone()].to_owned();
                STANDARD.decode_vec(text, scratch)
            }
        };
        decoded.map_err(|error| E::custom(format_args!("{field} is not base64: {error}")))?;
        Ok(Text::Scratch(start..scratch.len()))
    }
}

/// Reads a string or null.
pub(super) struct TextSeed<'s> {
    pub(super) field: &'static str,
    pub(super) scratch: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for TextSeed<'_> {
    type Value = Option<Text<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TextSeed<'_> {
    type Value = Option<Text<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or null for {}", self.field)?;
        if matches!(self.field, "key" | "payload") {
            f.write_str(" (numbers and objects are read with -s, as -s value=json)")?;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Text::Input(text.as_bytes())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(text.as_bytes());
        Ok(Some(Text::Scratch(start..self.scratch.len())))
    }
}

/// Reads any JSON as the text that it is; null is null.
pub(super) struct JsonSeed;

impl<'de> DeserializeSeed<'de> for JsonSeed {
    type Value = Option<Text<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        let text = <&RawValue>::deserialize(input)?.get();
        Ok((text != "null").then_some(Text::Input(text.as_bytes())))
    }
}

/// Reads a whole number or null.
pub(super) struct IntegerSeed {
    pub(super) field: &'static str,
}

impl<'de> DeserializeSeed<'de> for IntegerSeed {
    type Value = Option<i64>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl Visitor<'_> for IntegerSeed {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number for {}", self.field)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let signed = i64::try_from(number);
        let too_large = |_| E::custom(format_args!("{} {number} is too large", self.field));
        signed.map(Some).map_err(too_large)
    }
}
