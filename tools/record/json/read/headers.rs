//! Headers: an array of arrays, kcat's flat array of names and values, or the object that kcat's help shows.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::values::{Text, TextSeed};

/// A header's name and value.
pub(super) type HeaderText<'de> = (Text<'de>, Option<Text<'de>>);

/// Takes all headers.
pub(super) struct HeadersSeed<'s> {
    pub(super) scratch: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for HeadersSeed<'_> {
    type Value = Vec<HeaderText<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for HeadersSeed<'_> {
    type Value = Vec<HeaderText<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of [name, value] for headers")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut headers = Vec::new();
        let scratch = self.scratch;
        let field = "a header";
        while let Some(name) = entries.next_key_seed(TextSeed {
            field,
            scratch: &mut *scratch,
        })? {
            let value = entries.next_value_seed(TextSeed {
                field,
                scratch: &mut *scratch,
            })?;
            // A key of a JSON object is a string.
            headers.extend(name.map(|name| (name, value)));
        }
        Ok(headers)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut headers: Vec<HeaderText<'de>> = Vec::new();
        let scratch = self.scratch;
        let mut flat_name = None;
        let mut flat = None;
        while let Some(item) = items.next_element_seed(ItemSeed {
            scratch: &mut *scratch,
        })? {
            if *flat.get_or_insert(matches!(item, Item::Text(_))) != matches!(item, Item::Text(_)) {
                return Err(A::Error::custom(
                    "headers mix arrays with kcat's flat names and values",
                ));
            }
            match (item, flat_name.take()) {
                (Item::Header(header), _) => headers.push(header),
                (Item::Text(Some(name)), None) => flat_name = Some(name),
                (Item::Text(None), None) => {
                    return Err(A::Error::custom("a header in headers has no name"));
                }
                (Item::Text(value), Some(name)) => headers.push((name, value)),
            }
        }
        match flat_name {
            None => Ok(headers),
            Some(_) => Err(A::Error::custom("the last name in headers has no value")),
        }
    }
}

enum Item<'de> {
    /// `[name, value]` and its longer forms.
    Header(HeaderText<'de>),
    /// A name or a value of the flat array.
    Text(Option<Text<'de>>),
}

struct ItemSeed<'s> {
    scratch: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = Item<'de>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemSeed<'_> {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[name, value] in headers")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Item::Text(None))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Item::Text(Some(Text::Input(text.as_bytes()))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let seed = TextSeed {
            field: "headers",
            scratch: self.scratch,
        };
        seed.visit_str(text).map(Item::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let scratch = self.scratch;
        let mut list: [Option<Text<'de>>; 4] = Default::default();
        let mut len = 0;
        while let Some(part) = parts.next_element_seed(TextSeed {
            field: "a header",
            scratch: &mut *scratch,
        })? {
            if let Some(slot) = list.get_mut(len) {
                *slot = part;
            }
            len += 1;
        }
        if !(2..=4).contains(&len) {
            return Err(A::Error::custom(format_args!(
                "a header has {len} parts, expected [name, value] or [name, null, base64]"
            )));
        }
        let [name, value, value_base64, name_base64] = list;
        let name = one_of("name", name, name_base64, scratch)?
            .ok_or_else(|| A::Error::custom("a header in headers has no name"))?;
        let value = one_of("value", value, value_base64, scratch)?;
        Ok(Item::Header((name, value)))
    }
}

fn one_of<'de, E: Error>(
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
