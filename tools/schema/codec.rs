//! A schema of any type, ready for use.

use super::json_schema::JsonSchema;
use super::protobuf::Messages;
use super::registry::{SchemaText, SchemaType};
use super::wire::{split_indexes, write_indexes};
use super::{JsonStyle, Mismatch, avro, json};

/// A parsed schema.
pub(super) enum Codec {
    Avro(avro::Schema),
    Protobuf(Messages),
    JsonSchema(Box<JsonSchema>),
}

impl Codec {
    /// # Errors
    /// The reason why the text is no schema.
    pub(super) fn new(schema: &SchemaText) -> Result<Codec, String> {
        let references = &schema.references;
        match schema.kind {
            SchemaType::Avro => {
                let texts = references.iter().map(|(_, text)| text.clone());
                let texts: Vec<String> = texts.collect();
                let parsed = avro::Schema::parse(&schema.text, &texts);
                parsed.map(Codec::Avro).map_err(|why| why.to_string())
            }
            SchemaType::Protobuf => Messages::parse(&schema.text, references).map(Codec::Protobuf),
            SchemaType::JsonSchema => {
                let parsed = JsonSchema::parse(&schema.text, references);
                parsed.map(Box::new).map(Codec::JsonSchema)
            }
        }
    }

    /// Chooses the message of a Protobuf file that is written.
    pub(super) fn choose(&mut self, message: &str) -> Result<(), String> {
        match self {
            Codec::Protobuf(messages) => messages.choose(message),
            other => Err(format!("{} has no message {message}", other.kind().title())),
        }
    }

    pub(super) fn kind(&self) -> SchemaType {
        match self {
            Codec::Avro(_) => SchemaType::Avro,
            Codec::Protobuf(_) => SchemaType::Protobuf,
            Codec::JsonSchema(_) => SchemaType::JsonSchema,
        }
    }

    /// Appends the JSON of a value. `path` is what follows the id in a header, if that is where the id is.
    pub(super) fn decode(
        &self,
        path: Option<&[u8]>,
        bytes: &[u8],
        style: JsonStyle,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        match self {
            Codec::Avro(schema) => schema.decode(bytes, style, out),
            Codec::JsonSchema(_) => json::write_compact(bytes, out),
            Codec::Protobuf(messages) => {
                let (indexes, rest) = indexes(path.unwrap_or(bytes))?;
                let data = if path.is_some() { bytes } else { rest };
                messages.decode(&indexes, data, out)
            }
        }
    }

    /// Appends the bytes of a JSON text.
    pub(super) fn encode(
        &self,
        path: Option<&[u8]>,
        text: &[u8],
        style: JsonStyle,
        out: &mut Vec<u8>,
    ) -> Result<(), Mismatch> {
        match self {
            Codec::Avro(schema) => schema.encode(&json::parse(text)?, style, out),
            Codec::JsonSchema(schema) => {
                schema.validate(&json::parse(text)?)?;
                out.extend_from_slice(text);
                Ok(())
            }
            Codec::Protobuf(messages) => {
                if let Some(path) = path {
                    return messages.encode(&indexes(path)?.0, text, out);
                }
                write_indexes(messages.chosen(), out);
                messages.encode(messages.chosen(), text, out)
            }
        }
    }

    /// The full name of what it describes.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Codec::Avro(schema) => schema.name().map(str::to_owned),
            Codec::Protobuf(messages) => messages.name(),
            Codec::JsonSchema(schema) => schema.title().map(str::to_owned),
        }
    }
}

fn indexes(bytes: &[u8]) -> Result<(Vec<usize>, &[u8]), Mismatch> {
    split_indexes(bytes).map_err(|why| Mismatch::new(why.to_string()))
}
