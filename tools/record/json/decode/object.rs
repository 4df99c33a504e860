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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Topic,
    Partition,
    Offset,
    TsType,
    Ts,
    Broker,
    Headers,
    Key,
    KeyBase64,
    Payload,
    PayloadBase64,
    Value,
}

/// The fields in kcat's order.
const FIELDS: [(Field, &str, Expected); 12] = [
    (Field::Topic, "topic", Expected::Text),
    (Field::Partition, "partition", Expected::Integer),
    (Field::Offset, "offset", Expected::Integer),
    (Field::TsType, "tstype", Expected::Text),
    (Field::Ts, "ts", Expected::Integer),
    (Field::Broker, "broker", Expected::Integer),
    (Field::Headers, "headers", Expected::Headers),
    (Field::Key, "key", Expected::Text),
    (Field::KeyBase64, "key_base64", Expected::Text),
    (Field::Payload, "payload", Expected::Text),
    (Field::PayloadBase64, "payload_base64", Expected::Text),
    (Field::Value, "value", Expected::Text),
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
            let (field, name, expected) = FIELDS[index];
            if std::mem::replace(&mut seen[index], true) {
                return Err(A::Error::custom(format_args!("{name} is there twice")));
            }
            let value = object.next_value_seed(ValueSeed {
                field: name,
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
        field: Field,
        value: Value<'de>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), E> {
        match field {
            Field::Topic => self.topic = value.into_text(),
            Field::Partition => self.partition = value.into_integer(),
            Field::Offset => self.offset = value.into_integer(),
            Field::TsType => self.tstype = value.into_text(),
            Field::Ts => self.ts = value.into_integer(),
            Field::Broker => self.broker = value.into_integer(),
            Field::Headers => self.headers = headers(value, scratch)?,
            Field::Key => self.key = value.into_text(),
            Field::KeyBase64 => self.key_base64 = from_base64("key_base64", value, scratch)?,
            Field::Payload => self.payload = Some(value),
            Field::PayloadBase64 => {
                let bytes = from_base64("payload_base64", value, scratch)?;
                self.payload_base64 = Some(bytes.map_or(Value::Null, Value::Text));
            }
            Field::Value => self.value = Some(value),
        }
        Ok(())
    }
}

fn from_base64<'de, E: Error>(
    name: &str,
    value: Value<'de>,
    scratch: &mut Vec<u8>,
) -> Result<Option<Text<'de>>, E> {
    let text = value.into_text();
    text.map(|text| text.decode_base64(name, scratch))
        .transpose()
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
        Ok(FIELDS.iter().position(|(_, known, _)| *known == name))
    }
}
