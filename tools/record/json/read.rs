//! From a JSON object to a record: what is written here, and what kcat writes.

mod array;
mod fields;
mod headers;
mod values;

use serde::de::{DeserializeSeed as _, Error as _};
use serde_json::de::{Deserializer, SliceRead};

use super::super::decode::{Decoded, DecodedRecord};
use super::super::scan::Splitter;
use super::super::{DecodeError, FormatError, Header, Record, TimestampType};
use super::Json;
use array::{Rest, Step};
use fields::{Fields, FieldsSeed};
use values::Text;

/// Reads JSON objects.
#[derive(Clone, Debug)]
pub(in super::super) struct Reader {
    splitter: Splitter,
    /// Strings that had escapes or were base64; others are slices of the input.
    scratch: Vec<u8>,
    /// What is left of a line that is an array.
    rest: Option<Rest>,
}

impl Reader {
    pub(in super::super) fn new(format: &Json) -> Result<Reader, FormatError> {
        if format.delimiter.is_empty() {
            return Err(FormatError::EmptyDelimiter);
        }
        Ok(Reader {
            splitter: Splitter::new(&format.delimiter),
            scratch: Vec::new(),
            rest: None,
        })
    }

    pub(in super::super) fn is_inside_line(&self) -> bool {
        self.rest.is_some()
    }

    pub(in super::super) fn read<'a>(
        &'a mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<Decoded<'a>, DecodeError> {
        let step = if let Some(rest) = self.rest.take() {
            array::go_on(input, rest)?
        } else {
            let Some(cut) = self.splitter.cut(input, at_end) else {
                return Ok(Decoded::Incomplete);
            };
            if input[..cut.end].trim_ascii().is_empty() {
                return Err(DecodeError::new(
                    "",
                    "empty where a JSON object was expected",
                ));
            }
            array::begin(input, cut)?
        };
        let (text, used) = match step {
            Step::Empty { used } => return Ok(Decoded::Skipped { used }),
            Step::Object { text, used, rest } => {
                self.rest = rest;
                (text, used)
            }
        };
        self.scratch.clear();
        let fields = parse(text, &mut self.scratch).map_err(|error| explain(&error))?;
        Ok(Decoded::Record {
            record: record(fields, &self.scratch)?,
            used,
        })
    }
}

fn parse<'de>(text: &'de [u8], scratch: &mut Vec<u8>) -> Result<Fields<'de>, serde_json::Error> {
    let mut deserializer = Deserializer::new(SliceRead::new(text));
    let fields = FieldsSeed { scratch }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    if fields.key.is_some() && fields.key_base64.is_some() {
        return Err(serde_json::Error::custom(
            "key and key_base64 are both there",
        ));
    }
    if fields.payload.is_some() && fields.payload_base64.is_some() {
        return Err(serde_json::Error::custom(
            "payload and payload_base64 are both there",
        ));
    }
    if fields.has_payload && fields.has_value {
        return Err(serde_json::Error::custom(
            "payload and value are both there",
        ));
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

fn record<'a>(fields: Fields<'a>, scratch: &'a [u8]) -> Result<DecodedRecord<'a>, DecodeError> {
    // Others call the payload so. With fields that are not a record's it is somebody else's object.
    let is_named_value = fields.has_value && !fields.has_unknown;
    let has_payload = fields.has_payload || is_named_value;
    let bytes = |text: Option<Text<'a>>| text.map(|text| text.bytes(scratch));
    let topic = bytes(fields.topic).map(std::str::from_utf8);
    let headers = fields.headers.into_iter().map(|(name, value)| Header {
        name: name.bytes(scratch),
        value: value.map(|value| value.bytes(scratch)),
    });
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
        value: bytes(fields.payload.or(fields.payload_base64).or(fields.value)),
        headers: &[],
    };
    if !has_payload {
        // Somebody else's JSON, taken for a record, would delete keys of a compacted topic.
        let problem = "is missing (null is a tombstone, and has to be written)";
        return Err(DecodeError::new("payload", problem));
    }
    Ok(DecodedRecord::with_headers(record, headers.collect()))
}

/// -1 is what librdkafka, and so kcat, has for "not known".
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
        // kcat wrote "unknown" where its librdkafka could not tell.
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
