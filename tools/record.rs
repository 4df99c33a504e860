//! Records and the four formats in which they pass through a pipe: see kafka-records(5).
//!
//! A [`Record`] borrows its bytes from wherever they are, a response of the
//! broker or a line of stdin, so that moving one costs no allocation. Each
//! format has one file or folder that both encodes and decodes; what
//! [`Encoder`] writes, [`Decoder`] reads back byte for byte, except where the
//! output is ambiguous, which [`Encoder::ambiguous`] counts.

mod decode;
mod delimited;
mod encode;
mod error;
pub mod json;
pub mod raw;
mod split;
pub mod template;
#[cfg(test)]
mod tests;
pub mod tsv;

pub use decode::{Decoded, DecodedRecord, Decoder, Embedded};
pub use encode::Encoder;
pub use error::{DecodeError, EncodeError, FormatError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The value between delimiters, kcat's habit.
    Raw(raw::Raw),
    /// kcat's `%` tokens.
    Template(template::Template),
    /// One line of tab-separated columns.
    Tsv(tsv::Tsv),
    /// One JSON object a line, as `kcat -J`.
    Json(json::Json),
}

/// What set a record's timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The record has no timestamp (message format v0, or -1).
    #[default]
    None,
    /// The producer's clock.
    CreateTime,
    /// The broker's clock, as the record was appended.
    LogAppendTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// UTF-8 by Kafka's rule, which brokers do not enforce.
    pub name: &'a [u8],
    /// `None` is NULL, which is not the empty value.
    pub value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    pub const fn new(name: &'a [u8], value: Option<&'a [u8]>) -> Header<'a> {
        Header { name, value }
    }
}

/// One record, borrowed. `None` is unknown or NULL: a NULL key is not an empty key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    pub topic: Option<&'a str>,
    /// `None` lets the partitioner choose.
    pub partition: Option<i32>,
    /// Known only for a record that was consumed.
    pub offset: Option<i64>,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: Option<i64>,
    pub timestamp_type: TimestampType,
    /// The broker that the record was read from.
    pub broker: Option<i32>,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: &'a [Header<'a>],
    /// How often a share group has delivered it, this time included.
    pub delivery_count: Option<i16>,
    pub key_content: Content,
    pub value_content: Content,
}

/// What the bytes of a key or value are, which [`Format::Json`] shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Any bytes: text, or base64 if they are not UTF-8.
    #[default]
    Bytes,
    /// The JSON of a value, embedded as it is, and the id of the schema that it was decoded with.
    Json { schema_id: Option<u32> },
    /// A value that was not decoded: base64.
    Encoded,
}
