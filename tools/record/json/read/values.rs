//! The values of fields: strings that borrow where they can, and whole numbers.

use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, Visitor};

/// A string of the input: a slice of it, or a range of the scratch buffer
/// where an escape or base64 had to be undone.
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

    /// The bytes that the text says in base64, appended to `scratch`.
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

/// Takes a string or null.
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
        match self.field {
            "key" | "payload" => {
                f.write_str(" (numbers and objects, as kcat -s writes them, cannot be read back)")
            }
            _ => Ok(()),
        }
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

/// Takes a whole number or null.
pub(super) struct NumberSeed {
    pub(super) field: &'static str,
}

impl<'de> DeserializeSeed<'de> for NumberSeed {
    type Value = Option<i64>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl Visitor<'_> for NumberSeed {
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
        i64::try_from(number)
            .map(Some)
            .map_err(|_| E::custom(format_args!("{} {number} is too large", self.field)))
    }
}
