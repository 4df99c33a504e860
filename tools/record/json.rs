//! One JSON object a line, as `kcat -J`.
use super::decode::Decoded;
use super::{DecodeError, FormatError, Record};
/// JSON objects, each followed by the delimiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json {
    /// `-D`: what ends an object.
    pub delimiter: Vec<u8>,
}
impl Default for Json {
    fn default() -> Json {
        Json {
            delimiter: b"\n".to_vec(),
        }
    }
}
#[derive(Clone, Debug)]
pub(super) struct Writer;
impl Writer {
    pub(super) fn new(_: Json) -> Writer {
        Writer
    }
    pub(super) fn write(&self, _: &Record<'_>, _: bool, _: &mut Vec<u8>) -> bool {
        false
    }
}
#[derive(Clone, Debug)]
pub(super) struct Reader;
impl Reader {
    pub(super) fn new(_: &Json) -> Result<Reader, FormatError> {
        Ok(Reader)
    }
    pub(super) fn read<'a>(&'a mut self, _: &'a [u8], _: bool) -> Result<Decoded<'a>, DecodeError> {
        Ok(Decoded::Incomplete)
    }
}
