//! The object: which fields it has.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::headers::{HeaderText, HeadersSeed};
use super::values::{NumberSeed, Text, TextSeed};

/// The fields of an object; `None` is null or not there.
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
    pub(super) payload: Option<Text<'de>>,
    pub(super) payload_base64: Option<Text<'de>>,
    /// What kafkactl, kaf and Java tools call the payload.
    pub(super) value: Option<Text<'de>>,
    /// Whether a payload was named, also as null.
    pub(super) has_payload: bool,
    /// The same of `value`.
    pub(super) has_value: bool,
    /// Whether there was a field that no record has.
    pub(super) has_unknown: bool,
}

/// The names, in kcat's order; other fields, as `key_schema_id`, are passed over.
const NAMES: [&str; 12] = [
    "topic",
    "partition",
    "offset",
    "tstype",
    "ts",
    "broker",
    "headers",
    "key",
    "key_base64",
    "payload",
    "payload_base64",
    "value",
];

/// Takes an object.
pub(super) struct FieldsSeed<'s> {
    pub(super) scratch: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        let mut seen = [false; NAMES.len()];
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let Some(index) = name else {
                fields.has_unknown = true;
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = NAMES[index];
            if std::mem::replace(&mut seen[index], true) {
                return Err(A::Error::custom(format_args!("{field} is there twice")));
            }
            let scratch = &mut *self.scratch;
            match field {
                "headers" => fields.headers = map.next_value_seed(HeadersSeed { scratch })?,
                "partition" => fields.partition = map.next_value_seed(NumberSeed { field })?,
                "offset" => fields.offset = map.next_value_seed(NumberSeed { field })?,
                "ts" => fields.ts = map.next_value_seed(NumberSeed { field })?,
                "broker" => fields.broker = map.next_value_seed(NumberSeed { field })?,
                _ => {
                    let text = map.next_value_seed(TextSeed { field, scratch })?;
                    fields.set_text(field, text, scratch)?;
                }
            }
        }
        let named = |name| {
            NAMES
                .iter()
                .position(|n| *n == name)
                .is_some_and(|i| seen[i])
        };
        fields.has_payload = named("payload") || named("payload_base64");
        fields.has_value = named("value");
        Ok(fields)
    }
}

impl<'de> Fields<'de> {
    fn set_text<E: Error>(
        &mut self,
        field: &str,
        text: Option<Text<'de>>,
        scratch: &mut Vec<u8>,
    ) -> Result<(), E> {
        let mut decoded = |text: Option<Text<'de>>| match text {
            Some(text) => text.decode_base64(field, scratch).map(Some),
            None => Ok(None),
        };
        match field {
            "topic" => self.topic = text,
            "tstype" => self.tstype = text,
            "key" => self.key = text,
            "key_base64" => self.key_base64 = decoded(text)?,
            "payload" => self.payload = text,
            "value" => self.value = text,
            _ => self.payload_base64 = decoded(text)?,
        }
        Ok(())
    }
}

/// Takes the name of a field: its index in [`NAMES`].
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
        Ok(NAMES.iter().position(|known| *known == name))
    }
}
