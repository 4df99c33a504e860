//! kcat's `%` tokens.
use super::decode::Decoded;
use super::{DecodeError, EncodeError, FormatError, Record};
/// What NULL looks like under `-Z`.
pub(super) const NULL_TEXT: &[u8] = b"NULL";
/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    null_text: bool,
}
/// Why a template was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not known.
    #[error("unknown {0}")]
    Unknown(String),
}
impl Template {
    /// Parses `%` tokens and escapes.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Template, TemplateError> {
        let _ = text;
        Ok(Template { null_text: false })
    }
    /// `-Z`: NULL is written as `NULL`.
    #[must_use]
    pub fn with_null_text(self, yes: bool) -> Template {
        Template { null_text: yes }
    }
    /// Whether records written with it can be read back.
    pub fn check_decodable(&self) -> Result<(), TemplateError> {
        Ok(())
    }
}
#[derive(Clone, Debug)]
pub(super) struct Writer;
impl Writer {
    pub(super) fn new(_: Template) -> Writer {
        Writer
    }
    pub(super) fn write(
        &self,
        _: &Record<'_>,
        _: bool,
        _: &mut Vec<u8>,
    ) -> Result<bool, EncodeError> {
        Ok(false)
    }
}
#[derive(Clone, Debug)]
pub(super) struct Reader;
impl Reader {
    pub(super) fn new(_: &Template) -> Result<Reader, FormatError> {
        Ok(Reader)
    }
    pub(super) fn read<'a>(&'a mut self, _: &'a [u8], _: bool) -> Result<Decoded<'a>, DecodeError> {
        Ok(Decoded::Incomplete)
    }
}
