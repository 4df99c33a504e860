//! Headers: an array of arrays, an object of names and values, or kcat's flat array of names and values.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::value::{Text, TextSeed};

/// A header's name and value.
pub(super) type HeaderText<'de> = (Text<'de>, Option<Text<'de>>);

/// Reads all headers of a record.
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut headers = Vec::new();
        let mut flat = Vec::new();
        while let Some(element) = array.next_element_seed(ElementSeed {
            scratch: self.scratch,
        })? {
            match element {
                Element::Header(header) => headers.push(header),
                Element::Text(text) => flat.push(text),
            }
        }
        if !headers.is_empty() && !flat.is_empty() {
            let problem = "headers mix arrays with kcat's flat names and values";
            return Err(A::Error::custom(problem));
        }
        let mut texts = flat.into_iter();
        while let Some(name) = texts.next() {
            let value = texts
                .next()
                .ok_or_else(|| A::Error::custom("the last name in headers has no value"))?;
            headers.push((name.ok_or_else(no_name)?, value));
        }
        Ok(headers)
    }

    /// The object that kcat's help shows.
    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut headers = Vec::new();
        while let Some(name) = object.next_key_seed(part(self.scratch))? {
            let value = object.next_value_seed(part(self.scratch))?;
            headers.push((name.ok_or_else(no_name)?, value));
        }
        Ok(headers)
    }
}

/// An element of an array of headers.
enum Element<'de> {
    /// An array of its own.
    Header(HeaderText<'de>),
    /// A name or a value of kcat's flat array.
    Text(Option<Text<'de>>),
}

struct ElementSeed<'s> {
    scratch: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = Element<'de>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_> {
    type Value = Element<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[name, value] in headers")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Element::Text(None))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        part(self.scratch)
            .visit_borrowed_str(text)
            .map(Element::Text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        part(self.scratch).visit_str(text).map(Element::Text)
    }

    /// `[name, value]` and its longer forms with base64.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut parts = [const { None }; 4];
        let mut len = 0;
        while let Some(text) = array.next_element_seed(part(self.scratch))? {
            if let Some(part) = parts.get_mut(len) {
                *part = text;
            }
            len += 1;
        }
        if !(2..=4).contains(&len) {
            return Err(A::Error::custom(format_args!(
                "a header has {len} parts, expected [name, value] or [name, null, base64]"
            )));
        }
        let [name, value, value_base64, name_base64] = parts;
        let name = text_or_base64("name", name, name_base64, self.scratch)?;
        let value = text_or_base64("value", value, value_base64, self.scratch)?;
        Ok(Element::Header((name.ok_or_else(no_name)?, value)))
    }
}

fn part(scratch: &mut Vec<u8>) -> TextSeed<'_> {
    let field = "a header";
    TextSeed { field, scratch }
}

fn no_name<E: Error>() -> E {
    E::custom("a header in headers has no name")
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
