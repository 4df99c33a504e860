//! From a JSON object to a record: what is written here, and what kcat writes.

mod array;
mod headers;
mod object;
mod value;

use serde::de::{DeserializeSeed as _, Error as _};
use serde_json::de::{Deserializer, SliceRead};

use super::super::decode::{Decoded, DecodedRecord};
use super::super::split::Splitter;
use super::super::{Content, DecodeError, Embedded, FormatError, Header, Record, TimestampType};
use super::Json;
use array::{ArrayRemainder, LineElement};
use object::{Fields, ObjectSeed, Payload};
use value::Text;

#[derive(Clone, Debug)]
pub(in super::super) struct JsonDecoder {
    splitter: Splitter,
    pub(in super::super) embedded: Embedded,
    /// Strings that had escapes or were base64; others are slices of the input.
    scratch: Vec<u8>,
    /// The rest of a line that is an array.
    rest: Option<ArrayRemainder>,
}

impl JsonDecoder {
    pub(in super::super) fn new(format: &Json) -> Result<JsonDecoder, FormatError> {
        if format.delimiter.is_empty() {
            return Err(FormatError::EmptyDelimiter);
        }
        Ok(JsonDecoder {
            splitter: Splitter::new(&format.delimiter),
            embedded: Embedded::default(),
            scratch: Vec::new(),
            rest: None,
        })
    }

    pub(in super::super) fn is_inside_line(&self) -> bool {
        self.rest.is_some()
    }

    pub(in super::super) fn decode<'a>(
        &'a mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<Decoded<'a>, DecodeError> {
        let element = if let Some(rest) = self.rest.take() {
            array::next(input, rest)?
        } else {
            let Some(bounds) = self.splitter.next_record(input, at_end) else {
                return Ok(Decoded::Incomplete);
            };
            if input[..bounds.end].trim_ascii().is_empty() {
                return Err(DecodeError::new(
                    "",
                    "empty where a JSON object was expected",
                ));
            }
            array::first(input, bounds)?
        };
        let (text, used) = match element {
            LineElement::Empty { used } => return Ok(Decoded::Skipped { used }),
            LineElement::Object { text, used, rest } => {
                self.rest = rest;
                (text, used)
            }
        };
        self.scratch.clear();
        let fields =
            parse(text, self.embedded, &mut self.scratch).map_err(|error| explain(&error))?;
        Ok(Decoded::Record {
            record: record(fields, self.embedded, &self.scratch)?,
            used,
        })
    }
}

fn parse<'de>(
    text: &'de [u8],
    embedded: Embedded,
    scratch: &mut Vec<u8>,
) -> Result<Fields<'de>, serde_json::Error> {
    let mut deserializer = Deserializer::new(SliceRead::new(text));
    let fields = ObjectSeed { embedded, scratch }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    let both =
        |one, other| serde_json::Error::custom(format_args!("{one} and {other} are both there"));
    if fields.key.is_some() && fields.key_base64.is_some() {
        return Err(both("key", "key_base64"));
    }
    if matches!(
        (&fields.payload, &fields.payload_base64),
        (Payload::Text(_), Payload::Text(_))
    ) {
        return Err(both("payload", "payload_base64"));
    }
    let is_missing = |payload| matches!(payload, &Payload::Missing);
    let has_payload = !is_missing(&fields.payload) || !is_missing(&fields.payload_base64);
    if has_payload && !is_missing(&fields.value) {
        return Err(both("payload", "value"));
    }
    Ok(fields)
}

/// `serde_json` counts lines within the object, which is one line; only the byte is of use.
fn explain(error: &serde_json::Error) -> DecodeError {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match (text.strip_suffix(&place), error.line(), error.column()) {
        (Some(problem), 1, column @ 1..) => DecodeError::new("", problem).at(column - 1),
        _ => DecodeError::new("", text),
    }
}

fn record<'a>(
    fields: Fields<'a>,
    embedded: Embedded,
    scratch: &'a [u8],
) -> Result<DecodedRecord<'a>, DecodeError> {
    let bytes = |text: Option<Text<'a>>| text.map(|text| text.bytes(scratch));
    let topic = bytes(fields.topic).map(std::str::from_utf8);
    let [key_schema, value_schema] = fields.schema_ids;
    let key_content = content(embedded.key, fields.key_base64.is_some(), key_schema);
    let is_encoded = matches!(fields.payload_base64, Payload::Text(_));
    let value_content = content(embedded.value, is_encoded, value_schema);
    // An object with other fields than a record's has no payload in `value`.
    let payload = match (fields.payload, fields.payload_base64, fields.value) {
        (Payload::Missing, Payload::Missing, value) if !fields.has_unknown => value,
        (Payload::Missing, base64, _) | (Payload::Null, base64 @ Payload::Text(_), _) => base64,
        (payload, ..) => payload,
    };
    let record = Record {
        topic: topic
            .transpose()
            .map_err(|_| DecodeError::new("topic", "is not UTF-8"))?
            .filter(|topic| !topic.is_empty()),
        partition: small("partition", fields.partition)?,
        offset: known("offset", fields.offset)?,
        timestamp_ms: fields.ts.filter(|ms| *ms != -1),
        timestamp_type: timestamp_type(bytes(fields.tstype))?,
        broker: small("broker", fields.broker)?,
        key: bytes(fields.key.or(fields.key_base64)),
        // Without this check, JSON that is no record would delete keys of a compacted topic.
        value: match payload {
            Payload::Missing => return Err(no_payload()),
            Payload::Null => None,
            Payload::Text(text) => Some(text.bytes(scratch)),
        },
        key_content,
        value_content,
        ..Record::default()
    };
    let headers = fields.headers.into_iter().map(|(name, value)| {
        Header::new(name.bytes(scratch), value.map(|value| value.bytes(scratch)))
    });
    Ok(DecodedRecord::with_headers(record, headers.collect()))
}

/// Base64 is bytes that need no encoding.
fn content(is_json: bool, is_encoded: bool, schema_id: Option<i64>) -> Content {
    match (is_json, is_encoded) {
        (false, _) => Content::Bytes,
        (true, true) => Content::Encoded,
        (true, false) => Content::Json {
            schema_id: schema_id.and_then(|id| u32::try_from(id).ok()),
        },
    }
}

fn no_payload() -> DecodeError {
    let problem = "is missing (null is a tombstone, and has to be written)";
    DecodeError::new("payload", problem)
}

/// librdkafka, and so kcat, writes -1 for "not known".
fn known(field: &'static str, number: Option<i64>) -> Result<Option<i64>, DecodeError> {
    match number {
        Some(number) if number < -1 => Err(DecodeError::new(field, format!("{number} is below 0"))),
        number => Ok(number.filter(|number| *number != -1)),
    }
}

fn small(field: &'static str, number: Option<i64>) -> Result<Option<i32>, DecodeError> {
    known(field, number)?
        .map(|number| {
            i32::try_from(number)
                .map_err(|_| DecodeError::new(field, format!("{number} is too large")))
        })
        .transpose()
}

fn timestamp_type(text: Option<&[u8]>) -> Result<TimestampType, DecodeError> {
    match text {
        // kcat writes "unknown" if its librdkafka does not know it.
        None | Some(b"unknown") => Ok(TimestampType::None),
        Some(b"create") => Ok(TimestampType::CreateTime),
        Some(b"logappend") => Ok(TimestampType::LogAppendTime),
        Some(other) => {
            let problem = format!("\"{}\" is not create or logappend", other.escape_ascii());
            Err(DecodeError::new("tstype", problem))
        }
    }
}

#[cfg(test)]
mod tests;
