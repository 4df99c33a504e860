//! Consumed records: bytes to JSON.

use tools::kafka::Options;
use tools::record::{Content, Format, Record};
use tools::schema::JsonStyle;
pub(crate) use tools::schema::reader::ReadError;
use tools::schema::reader::{Reader, Serialization};
use tools::schema::registry::Settings;
use tools::schema::wire::Part;

use super::{open, registry, serialization};
use crate::cli::SchemaArgs;

/// What is decoded, and how.
#[derive(Clone, Debug)]
pub(crate) struct ReadSchemas {
    key: Option<Serialization>,
    value: Option<Serialization>,
    /// `None` if no registry is needed.
    registry: Option<Settings>,
    style: JsonStyle,
    /// `--undecodable base64`
    keeps_undecodable: bool,
}

/// From the options as typed; `key` and `value` are names of `-s`.
pub(crate) fn reading(
    args: &SchemaArgs,
    key: Option<&str>,
    value: Option<&str>,
    options: &Options,
) -> Result<ReadSchemas, String> {
    let (key, value) = (serialization(key)?, serialization(value)?);
    Ok(ReadSchemas {
        key,
        value,
        registry: registry(args, [key, value], options)?,
        style: args.json_style.map_or_else(JsonStyle::default, Into::into),
        keeps_undecodable: args.undecodable.is_some(),
    })
}

/// Whether other records can't be decoded either.
pub(crate) fn is_fatal(error: &ReadError) -> bool {
    matches!(error, ReadError::Registry(_))
}

/// Decodes keys and values.
pub(crate) struct RecordReader {
    schemas: ReadSchemas,
    reader: Reader,
    /// Whether null as a value must not be mistaken for a tombstone.
    is_json: bool,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl RecordReader {
    pub(crate) fn new(schemas: &ReadSchemas, format: &Format) -> anyhow::Result<RecordReader> {
        let registry = open(schemas.registry.as_ref())?;
        Ok(RecordReader {
            schemas: schemas.clone(),
            reader: Reader::new(registry, schemas.style),
            is_json: matches!(format, Format::Json(_)),
            key: Vec::new(),
            value: Vec::new(),
        })
    }

    /// Calls `use_it` with the record as JSON. NULL stays NULL.
    pub(crate) fn apply<T>(
        &mut self,
        record: &Record<'_>,
        use_it: impl FnOnce(&Record<'_>) -> T,
    ) -> Result<T, ReadError> {
        let mut key = std::mem::take(&mut self.key);
        let mut value = std::mem::take(&mut self.value);
        let decoded = self.decode(record, &mut key, &mut value);
        let result = decoded.map(|decoded| use_it(&decoded));
        (self.key, self.value) = (key, value);
        result
    }

    fn decode<'a>(
        &mut self,
        record: &Record<'a>,
        key: &'a mut Vec<u8>,
        value: &'a mut Vec<u8>,
    ) -> Result<Record<'a>, ReadError> {
        let mut decoded = *record;
        let (of_key, of_value) = (self.schemas.key, self.schemas.value);
        decoded.key_content = self.read(Part::Key, of_key, record.key, record, key)?;
        decoded.value_content = self.read(Part::Value, of_value, record.value, record, value)?;
        if let Content::Json { .. } = decoded.key_content {
            decoded.key = Some(key);
        }
        if let Content::Json { .. } = decoded.value_content {
            decoded.value = Some(value);
        }
        Ok(decoded)
    }

    fn read(
        &mut self,
        part: Part,
        serialization: Option<Serialization>,
        bytes: Option<&[u8]>,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Content, ReadError> {
        out.clear();
        let (Some(serialization), Some(bytes)) = (serialization, bytes) else {
            return Ok(Content::Bytes);
        };
        let reader = &mut self.reader;
        match reader.read(part, serialization, bytes, record.headers, out) {
            Ok(_) if self.is_json && out == b"null" => Ok(Content::Encoded),
            Ok(schema_id) => Ok(Content::Json { schema_id }),
            Err(ReadError::Undecodable { .. }) if self.schemas.keeps_undecodable => {
                Ok(Content::Encoded)
            }
            Err(error) => Err(error),
        }
    }
}
