//! The fields of an object.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::super::super::Embedded;
use super::headers::{HeaderText, HeadersSeed};
use super::value::{IntegerSeed, JsonSeed, Text, TextSeed};

/// A payload, where null is a tombstone and a missing one an error.
#[derive(Debug, Default)]
pub(super) enum Payload<'de> {
    #[default]
    Missing,
    Null,
    Text(Text<'de>),
}

impl<'de> From<Option<Text<'de>>> for Payload<'de> {
    fn from(text: Option<Text<'de>>) -> Payload<'de> {
        text.map_or(Payload::Null, Payload::Text)
    }
}

/// The fields of an object; `None` is null or missing.
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
    pub(super) payload: Payload<'de>,
    pub(super) payload_base64: Payload<'de>,
    /// The payload as kafkactl, kaf and Java tools call it.
    pub(super) value: Payload<'de>,
    /// The ids of the schemas that key and payload were decoded with.
    pub(super) schema_ids: [Option<i64>; 2],
    /// Whether there is a field that no record has.
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
    KeySchemaId,
    ValueSchemaId,
}

/// The fields in kcat's order.
const FIELDS: [(Field, &str); 14] = [
    (Field::Topic, "topic"),
    (Field::Partition, "partition"),
    (Field::Offset, "offset"),
    (Field::TsType, "tstype"),
    (Field::Ts, "ts"),
    (Field::Broker, "broker"),
    (Field::Headers, "headers"),
    (Field::Key, "key"),
    (Field::KeyBase64, "key_base64"),
    (Field::Payload, "payload"),
    (Field::PayloadBase64, "payload_base64"),
    (Field::Value, "value"),
    (Field::KeySchemaId, "key_schema_id"),
    (Field::ValueSchemaId, "value_schema_id"),
];

impl Embedded {
    fn has(self, field: Field) -> bool {
        match field {
            Field::Key => self.key,
            Field::Payload | Field::Value => self.value,
            _ => false,
        }
    }
}

pub(super) struct ObjectSeed<'s> {
    /// Which of key and payload are JSON, not text.
    pub(super) embedded: Embedded,
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
        let mut next = 0;
        while let Some(index) = object.next_key_seed(NameSeed { next })? {
            let Some(index) = index else {
                fields.has_unknown = true;
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            next = index + 1;
            let (field, name) = FIELDS[index];
            if std::mem::replace(&mut seen[index], true) {
                return Err(A::Error::custom(format_args!("{name} is there twice")));
            }
            let scratch = &mut *self.scratch;
            if field == Field::Headers {
                fields.headers = object.next_value_seed(HeadersSeed { scratch })?;
            } else if let Some(number) = fields.integer(field) {
                *number = object.next_value_seed(IntegerSeed { field: name })?;
            } else if self.embedded.has(field) {
                let text = object.next_value_seed(JsonSeed)?;
                fields.set_text((field, name), text, self.scratch)?;
            } else {
                let field_text = TextSeed {
                    field: name,
                    scratch,
                };
                let text = object.next_value_seed(field_text)?;
                fields.set_text((field, name), text, self.scratch)?;
            }
        }
        Ok(fields)
    }
}

impl<'de> Fields<'de> {
    fn integer(&mut self, field: Field) -> Option<&mut Option<i64>> {
        Some(match field {
            Field::Partition => &mut self.partition,
            Field::Offset => &mut self.offset,
            Field::Ts => &mut self.ts,
            Field::Broker => &mut self.broker,
            Field::KeySchemaId => &mut self.schema_ids[0],
            Field::ValueSchemaId => &mut self.schema_ids[1],
            _ => return None,
        })
    }

    fn set_text<E: Error>(
        &mut self,
        (field, name): (Field, &str),
        text: Option<Text<'de>>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), E> {
        let decoded = |text: Option<Text<'de>>, scratch| {
            let bytes = text.map(|text| text.decode_base64(name, scratch));
            bytes.transpose()
        };
        match field {
            Field::Topic => self.topic = text,
            Field::TsType => self.tstype = text,
            Field::Key => self.key = text,
            Field::KeyBase64 => self.key_base64 = decoded(text, scratch)?,
            Field::Payload => self.payload = text.into(),
            Field::PayloadBase64 => self.payload_base64 = decoded(text, scratch)?.into(),
            Field::Value => self.value = text.into(),
            // These are no text.
            _ => {}
        }
        Ok(())
    }
}

/// Reads the name of a field: its index in [`FIELDS`].
struct NameSeed {
    /// The index that is likely, because most writers keep to kcat's order.
    next: usize,
}

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
        let is_next = FIELDS.get(self.next).is_some_and(|next| next.1 == name);
        Ok(if is_next {
            Some(self.next)
        } else {
            FIELDS.iter().position(|(_, known)| *known == name)
        })
    }
}
