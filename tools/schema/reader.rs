//! Values of consumed records: the schema is found by its id, and the value becomes JSON.

use std::collections::HashMap;
use std::rc::Rc;

use super::codec::Codec;
use super::registry::{Registry, RegistryError, SchemaType};
use super::wire::{self, Part, SchemaId};
use super::{JsonStyle, json};
use crate::record::Header;

/// How a key or value is serialized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serialization {
    /// JSON text without a schema.
    Json,
    /// With a schema of this type.
    Of(SchemaType),
    /// With whatever schema the record names.
    Registry,
}

impl Serialization {
    /// A name of `-s`.
    pub fn parse(name: &str) -> Option<Serialization> {
        Some(match name {
            "json" => Serialization::Json,
            "avro" => Serialization::Of(SchemaType::Avro),
            "protobuf" => Serialization::Of(SchemaType::Protobuf),
            "json-schema" => Serialization::Of(SchemaType::JsonSchema),
            "registry" => Serialization::Registry,
            _ => return None,
        })
    }

    pub(super) fn accepts(self, kind: SchemaType) -> bool {
        match self {
            Serialization::Json => false,
            Serialization::Of(wanted) => wanted == kind,
            Serialization::Registry => true,
        }
    }
}

/// Why a value has no JSON.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The value's own fault: other values may be fine.
    #[error("the {} does not decode{}: {reason}", .part.name(), of_schema(*.id))]
    Undecodable {
        part: Part,
        id: Option<SchemaId>,
        reason: String,
    },
    /// Nothing can be decoded without the registry.
    #[error("{0}")]
    Registry(String),
}

fn of_schema(id: Option<SchemaId>) -> String {
    id.map_or_else(String::new, |id| format!(" with schema {id}"))
}

/// Decodes values.
pub struct Reader {
    registry: Option<Registry>,
    style: JsonStyle,
    /// Parsed schemas; a text that is no schema stays one.
    codecs: HashMap<SchemaId, Result<Rc<Codec>, String>>,
}

impl Reader {
    /// `registry` is needed for everything but [`Serialization::Json`].
    pub fn new(registry: Option<Registry>, style: JsonStyle) -> Reader {
        Reader {
            registry,
            style,
            codecs: HashMap::new(),
        }
    }

    /// Appends the JSON of a value; returns the id of its schema. After an error `out` is as it was.
    pub fn read(
        &mut self,
        part: Part,
        serialization: Serialization,
        bytes: &[u8],
        headers: &[Header<'_>],
        out: &mut Vec<u8>,
    ) -> Result<Option<u32>, ReadError> {
        let start = out.len();
        let undecodable = |id, reason: String| ReadError::Undecodable { part, id, reason };
        if serialization == Serialization::Json {
            return match json::write_compact(bytes, out) {
                Ok(()) => Ok(None),
                Err(wrong) => {
                    out.truncate(start);
                    Err(undecodable(None, wrong.to_string()))
                }
            };
        }
        let split = wire::split_record(part, bytes, headers);
        let (id, path, data) = split.map_err(|wrong| undecodable(None, wrong.to_string()))?;
        let codec = self.codec(part, id)?;
        let fail = |reason| Err(undecodable(Some(id), reason));
        if !serialization.accepts(codec.kind()) {
            return fail(format!(
                "it is {} (-s registry reads all)",
                codec.kind().title()
            ));
        }
        if let Err(wrong) = codec.decode(path, data, self.style, out) {
            out.truncate(start);
            return fail(wrong.to_string());
        }
        Ok(match id {
            SchemaId::Number(id) => Some(id),
            SchemaId::Guid(_) => None,
        })
    }

    fn codec(&mut self, part: Part, id: SchemaId) -> Result<Rc<Codec>, ReadError> {
        let undecodable = |reason: String| ReadError::Undecodable {
            part,
            id: Some(id),
            reason,
        };
        if let Some(known) = self.codecs.get(&id) {
            return known.clone().map_err(undecodable);
        }
        let Some(registry) = &mut self.registry else {
            return Err(ReadError::Registry("no schema registry".to_owned()));
        };
        let schema = registry.schema(id).map_err(|error| match error {
            RegistryError::NotFound(_) => undecodable(error.to_string()),
            RegistryError::Failed(why) => ReadError::Registry(why),
        })?;
        let codec = Codec::new(&schema).map(Rc::new);
        let codec = codec.map_err(|why| format!("the schema is not understood: {why}"));
        self.codecs.insert(id, codec.clone());
        codec.map_err(undecodable)
    }
}
