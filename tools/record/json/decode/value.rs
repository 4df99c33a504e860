//! The values of fields: whole numbers, strings, and arrays of strings.
//!
//! A string borrows from the input, or from a buffer that all records share. serde's derive would allocate each string
//! that has an escape, and most payloads that are JSON have one.

use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

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

/// What a field may have besides null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Text,
    Integer,
    /// All headers: an array, or an object of names and values.
    Headers,
    /// An element of headers: a string, or an array of strings.
    Header,
}

#[derive(Clone, Debug)]
pub(super) enum Value<'de> {
    Null,
    Integer(i64),
    Text(Text<'de>),
    Array(Vec<Value<'de>>),
}

impl<'de> Value<'de> {
    pub(super) fn into_integer(self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(number),
            Value::Null | Value::Text(_) | Value::Array(_) => None,
        }
    }

    pub(super) fn into_text(self) -> Option<Text<'de>> {
        match self {
            Value::Text(text) => Some(text),
            Value::Null | Value::Integer(_) | Value::Array(_) => None,
        }
    }
}

/// Reads the value of a field.
pub(super) struct ValueSeed<'s> {
    pub(super) field: &'static str,
    pub(super) expected: Expected,
    pub(super) scratch: &'s mut Vec<u8>,
}

impl ValueSeed<'_> {
    fn expects_text(&self) -> bool {
        matches!(self.expected, Expected::Text | Expected::Header)
    }

    /// For a part of the headers.
    fn part(&mut self, expected: Expected) -> ValueSeed<'_> {
        ValueSeed {
            field: "a header",
            expected,
            scratch: self.scratch,
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            Expected::Text => write!(f, "a string or null for {}", self.field)?,
            Expected::Integer => write!(f, "a whole number for {}", self.field)?,
            Expected::Headers => f.write_str("an array of [name, value] for headers")?,
            Expected::Header => f.write_str("[name, value] in headers")?,
        }
        if matches!(self.field, "key" | "payload") {
            f.write_str(" (numbers and objects, as kcat -s writes them, cannot be read back)")?;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        if !self.expects_text() {
            return Err(E::invalid_type(Unexpected::Str(text), &self));
        }
        Ok(Value::Text(Text::Input(text.as_bytes())))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        if !self.expects_text() {
            return Err(E::invalid_type(Unexpected::Str(text), &self));
        }
        let start = self.scratch.len();
        self.scratch.extend_from_slice(text.as_bytes());
        Ok(Value::Text(Text::Scratch(start..self.scratch.len())))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'de>, E> {
        if self.expected != Expected::Integer {
            return Err(E::invalid_type(Unexpected::Signed(number), &self));
        }
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        if self.expected != Expected::Integer {
            return Err(E::invalid_type(Unexpected::Unsigned(number), &self));
        }
        let signed = i64::try_from(number);
        let too_large = |_| E::custom(format_args!("{} {number} is too large", self.field));
        signed.map(Value::Integer).map_err(too_large)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<Value<'de>, A::Error> {
        let expected = match self.expected {
            Expected::Headers => Expected::Header,
            Expected::Header => Expected::Text,
            Expected::Text | Expected::Integer => {
                return Err(A::Error::invalid_type(Unexpected::Seq, &self));
            }
        };
        let mut values = Vec::new();
        while let Some(value) = array.next_element_seed(self.part(expected))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    /// The object that kcat's help shows for headers, as an array of names and values.
    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Value<'de>, A::Error> {
        if self.expected != Expected::Headers {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        }
        let mut values = Vec::new();
        while let Some(name) = object.next_key_seed(self.part(Expected::Text))? {
            values.push(name);
            values.push(object.next_value_seed(self.part(Expected::Text))?);
        }
        Ok(Value::Array(values))
    }
}
