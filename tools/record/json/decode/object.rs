//! The fields of an object.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::headers::{HeaderText, headers};
use super::value::{Expected, Text, Value, ValueSeed};

/// The fields of an object; `None` is null or missing, [`Value::Null`] is null.
#[derive(Debug, Default)]
pub(super) struct Fields<'de> {
    pub(super) topic: Option<Text<'de>>,
    pub(super) partition: Option<i64>,
    pub(super) offset: Option<i64>,
    pub(super) tstype: Option<Text<'de>>,
    pub(super) ts: Option<i64>,
    pub(super) broker: Option<i64>,
    pub(super) headers: Vec<HeaderText<'de>>,
    pub(super) key: Option<Text<'de>>,
    pub(super) key_base64: Option<Text<'de>>,
    pub(super) payload: Option<Value<'de>>,
    pub(super) payload_base64: Option<Value<'de>>,
    /// The payload as kafkactl, kaf and Java tools call it.
    pub(super) value: Option<Value<'de>>,
    /// Whether there is a field that no record has, as `key_schema_id`.
    pub(super) has_unknown: bool,
}

/// The fields in kcat's order.
const FIELDS: [(&str, Expected); 12] = [
    ("topic", Expected::Text),
    ("partition", Expected::Integer),
    ("offset", Expected::Integer),
    ("tstype", Expected::Text),
    ("ts", Expected::Integer),
    ("broker", Expected::Integer),
    ("headers", Expected::Headers),
    ("key", Expected::Text),
    ("key_base64", Expected::Text),
    ("payload", Expected::Text),
    ("payload_base64", Expected::Text),
    ("value", Expected::Text),
];

/// Reads an object.
pub(super) struct ObjectSeed<'s> {
    pub(super) scratch: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        let mut seen = [false; FIELDS.len()];
        while let Some(index) = object.next_key_seed(NameSeed)? {
            let Some(index) = index else {
                fields.has_unknown = true;
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let (field, expected) = FIELDS[index];
            if std::mem::replace(&mut seen[index], true) {
                return Err(A::Error::custom(format_args!("{field} is there twice")));
            }
            let value = object.next_value_seed(ValueSeed {
                field,
                expected,
                scratch: self.scratch,
            })?;
            fields.set(field, value, self.scratch)?;
        }
        Ok(fields)
    }
}

impl<'de> Fields<'de> {
    fn set<E: Error>(
        &mut self,
        field: &str,
        value: Value<'de>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), E> {
        match (field, value) {
            ("partition", Value::Integer(number)) => self.partition = Some(number),
            ("offset", Value::Integer(number)) => self.offset = Some(number),
            ("ts", Value::Integer(number)) => self.ts = Some(number),
            ("broker", Value::Integer(number)) => self.broker = Some(number),
            ("headers", value) => self.headers = headers(value, scratch)?,
            ("topic", value) => self.topic = value.into_text(),
            ("tstype", value) => self.tstype = value.into_text(),
            ("key", value) => self.key = value.into_text(),
            ("payload", value) => self.payload = Some(value),
            ("value", value) => self.value = Some(value),
            ("key_base64" | "payload_base64", value) => {
                let text = value.into_text();
                let bytes = text
                    .map(|text| text.decode_base64(field, scratch))
                    .transpose()?;
                match field {
                    "key_base64" => self.key_base64 = bytes,
                    _ => self.payload_base64 = Some(bytes.map_or(Value::Null, Value::Text)),
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Reads the name of a field: its index in [`FIELDS`].
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(FIELDS.iter().position(|(known, _)| *known == name))
    }
}
