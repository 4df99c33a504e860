//! Values that are serialized with a schema, to JSON and back: Avro, Protobuf, JSON Schema.
//!
//! - [`avro`], [`protobuf`], [`json_schema`]: one schema, bytes to JSON and JSON to bytes. Pure.
//! - [`json`]: JSON text that is a value itself. Pure.
//! - [`wire`]: how a record names its schema. Pure.
//! - [`registry`]: the client of a schema registry.
//! - [`reader`], [`writer`]: values of records, with the schemas that the registry has for them.

pub mod avro;
mod codec;
pub mod json;
pub mod json_schema;
mod mismatch;
pub mod protobuf;
pub mod reader;
pub mod registry;
pub mod wire;
pub mod writer;

pub use mismatch::Mismatch;

/// How JSON shows what JSON has no type for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonStyle {
    /// As Java's console consumer: a union's value names its branch, bytes are characters, logical types are numbers.
    #[default]
    Tagged,
    /// As people write it: a union's value stands alone, bytes are base64, logical types are text.
    Plain,
}
