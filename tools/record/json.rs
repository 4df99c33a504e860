//! One JSON object a record, as `kcat -J`, and always valid JSON.
//!
//! Fields in kcat's order: topic, partition, offset, tstype, ts, broker,
//! headers, key, payload; one that is not known is left out, a NULL key or
//! payload is null. What is not UTF-8, which kcat would write raw, is in
//! `key_base64` or `payload_base64` instead. A header is `[name, value]`,
//! `[name, null, base64]` if the value is not UTF-8, and `[null, value or
//! null, base64 or null, base64 of the name]` if the name is not.

mod decode;
mod encode;

pub(super) use decode::JsonDecoder;
pub(super) use encode::JsonEncoder;

/// JSON objects, each followed by the delimiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json {
    /// `-D`. No object contains a line feed.
    pub delimiter: Vec<u8>,
}

impl Default for Json {
    fn default() -> Json {
        Json {
            delimiter: b"\n".to_vec(),
        }
    }
}
