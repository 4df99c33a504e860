//! Records and the four formats in which they pass through a pipe: see kafka-records(5).
//!
//! A [`Record`] borrows its bytes from wherever they are, a response of the
//! broker or a line of stdin, so that moving one costs no allocation. Each
//! format has one file or folder that both encodes and decodes; what
//! [`Encoder`] writes, [`Decoder`] reads back byte for byte, except where the
//! output is ambiguous, which [`Encoder::ambiguous`] counts.

mod decode;
mod encode;
mod error;
mod escape;
pub mod json;
pub mod raw;
mod scan;
pub mod template;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod tsv;
mod values;

pub use decode::{Decoded, DecodedRecord, Decoder};
pub use encode::Encoder;
pub use error::{DecodeError, EncodeError, FormatError};
pub use escape::unescape_delimiter;

/// Which format, parsed once from the command line.
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

/// One header: names may repeat, and a value may be absent (NULL).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name; UTF-8 by Kafka's rule, kept as bytes because nobody enforces it.
    pub name: &'a [u8],
    /// The value; `None` is NULL, which differs from the empty value.
    pub value: Option<&'a [u8]>,
}

/// One record, borrowed. `None` is "absent" everywhere: a NULL key is not an empty key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// The topic, where it is known.
    pub topic: Option<&'a str>,
    /// The partition; `None` lets the partitioner choose.
    pub partition: Option<i32>,
    /// The offset, known only of a record that was read.
    pub offset: Option<i64>,
    /// Milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: Option<i64>,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// The broker that the record was read from.
    pub broker: Option<i32>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in their order.
    pub headers: &'a [Header<'a>],
}
