//! From a record to bytes, whatever the format.

use super::values::Plain;
use super::{EncodeError, Format, Record, json, raw, template, tsv};

/// Writes records in one format.
#[derive(Clone, Debug)]
pub struct Encoder {
    writer: Writer,
    terminal: bool,
    ambiguous: u64,
    plain: Option<Plain>,
}

#[derive(Clone, Debug)]
enum Writer {
    Raw(raw::Writer),
    Template(template::Writer),
    Tsv(tsv::Writer),
    Json(json::Writer),
}

impl Encoder {
    /// An encoder that writes the exact bytes.
    pub fn new(format: Format) -> Encoder {
        let writer = match format {
            Format::Raw(raw) => Writer::Raw(raw::Writer::new(raw)),
            Format::Template(template) => Writer::Template(template::Writer::new(&template)),
            Format::Tsv(tsv) => Writer::Tsv(tsv::Writer::new(tsv)),
            Format::Json(json) => Writer::Json(json::Writer::new(json)),
        };
        let plain = match &writer {
            Writer::Raw(raw) => raw.plain(),
            _ => None,
        };
        Encoder {
            writer,
            terminal: false,
            ambiguous: 0,
            plain,
        }
    }

    /// Whether the output is a terminal, which the data must not drive:
    /// control characters (C0 except tab and newline, DEL, C1), bidirectional
    /// controls and what is not UTF-8 are then shown escaped.
    #[must_use]
    pub fn for_terminal(self, yes: bool) -> Encoder {
        Encoder {
            terminal: yes,
            plain: self.plain.filter(|_| !yes),
            ..self
        }
    }

    /// Appends one whole record to `out`; after an error `out` is as it was.
    ///
    /// # Errors
    /// Under `--utf8=strict`, a key or value that is not UTF-8. The caller
    /// knows topic, partition and offset and adds them.
    #[inline]
    pub fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Some(plain) = self.plain {
            self.ambiguous += u64::from(plain.write(record.value, out));
            return Ok(());
        }
        self.encode_any(record, out)
    }

    /// Appends values, `most` at most, as long as `out` has fewer than `limit_bytes`; says how many. That is none
    /// where the format writes more of a record than its value and one byte.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    pub fn encode_values<'v>(
        &mut self,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
        most: usize,
        out: &mut Vec<u8>,
        limit_bytes: usize,
    ) -> usize {
        let Some(plain) = self.plain else {
            return 0;
        };
        let written = plain.write_many(values, most, out, limit_bytes);
        self.ambiguous += written.ambiguous;
        written.values
    }

    #[inline(never)]
    fn encode_any(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let written = match &self.writer {
            Writer::Raw(writer) => Ok(writer.write(record, self.terminal, out)),
            Writer::Template(writer) => writer.write(record, self.terminal, out),
            Writer::Tsv(writer) => writer.write(record, self.terminal, out).map(|()| false),
            Writer::Json(writer) => Ok(writer.write(record, self.terminal, out)),
        };
        match written {
            Ok(ambiguous) => {
                self.ambiguous += u64::from(ambiguous);
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// How many records were written in such a way that a reader would cut
    /// them elsewhere, because a key or value held the delimiter.
    ///
    /// Not counted: that raw output and `%s` write NULL as nothing, and
    /// records that an empty delimiter, which is the caller's choice, ends nowhere.
    pub fn ambiguous(&self) -> u64 {
        self.ambiguous
    }
}
