//! From a record to bytes, whatever the format.

use super::delimited::DelimitedValues;
use super::{EncodeError, Format, Record, json, raw, template, tsv};

#[derive(Clone, Debug)]
pub struct Encoder {
    format: FormatEncoder,
    terminal: bool,
    ambiguous: u64,
    delimited_values: Option<DelimitedValues>,
}

#[derive(Clone, Debug)]
enum FormatEncoder {
    Raw(raw::RawEncoder),
    Template(template::TemplateEncoder),
    Tsv(tsv::TsvEncoder),
    Json(json::JsonEncoder),
}

impl Encoder {
    pub fn new(format: Format) -> Encoder {
        let encoder = match format {
            Format::Raw(raw) => FormatEncoder::Raw(raw::RawEncoder::new(raw)),
            Format::Template(template) => {
                FormatEncoder::Template(template::TemplateEncoder::new(&template))
            }
            Format::Tsv(tsv) => FormatEncoder::Tsv(tsv::TsvEncoder::new(tsv)),
            Format::Json(json) => FormatEncoder::Json(json::JsonEncoder::new(json)),
        };
        let delimited_values = match &encoder {
            FormatEncoder::Raw(raw) => raw.delimited_values(),
            _ => None,
        };
        Encoder {
            format: encoder,
            terminal: false,
            ambiguous: 0,
            delimited_values,
        }
    }

    /// For a terminal, control characters (C0 except tab and line feed, DEL, C1),
    /// bidirectional controls and bytes that are not UTF-8 are escaped.
    #[must_use]
    pub fn for_terminal(self, yes: bool) -> Encoder {
        Encoder {
            terminal: yes,
            delimited_values: self.delimited_values.filter(|_| !yes),
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
        if let Some(values) = self.delimited_values {
            self.ambiguous += u64::from(values.write(record.value, out));
            return Ok(());
        }
        self.encode_any(record, out)
    }

    /// Appends at most `max_count` values while `out` has fewer than `limit_bytes`. Returns how many: none if the
    /// format writes more than the value and one byte.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    pub fn encode_values<'v>(
        &mut self,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
        max_count: usize,
        out: &mut Vec<u8>,
        limit_bytes: usize,
    ) -> usize {
        let Some(delimited) = self.delimited_values else {
            return 0;
        };
        let written = delimited.write_many(values, max_count, out, limit_bytes);
        self.ambiguous += written.ambiguous;
        written.values
    }

    /// As [`Encoder::encode_values`], unless a value contains the delimiter: then `None`, and nothing is appended.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    pub fn encode_lines<'v, V>(
        &mut self,
        values: &mut V,
        max_count: usize,
        out: &mut Vec<u8>,
        limit_bytes: usize,
    ) -> Option<usize>
    where
        V: Iterator<Item = Option<&'v [u8]>> + Clone,
    {
        let Some(delimited) = self.delimited_values else {
            return Some(0);
        };
        let before = (values.clone(), out.len());
        let written = delimited.write_many(values, max_count, out, limit_bytes);
        if written.ambiguous == 0 {
            return Some(written.values);
        }
        *values = before.0;
        out.truncate(before.1);
        None
    }

    /// How many lines of [`Encoder::encode_lines`] end in these bytes.
    pub fn count_lines(&self, bytes: &[u8]) -> usize {
        let delimited = self.delimited_values;
        delimited.map_or(0, |values| {
            memchr::memchr_iter(values.delimiter, bytes).count()
        })
    }

    #[inline(never)]
    fn encode_any(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let written = match &self.format {
            FormatEncoder::Raw(encoder) => Ok(encoder.encode(record, self.terminal, out)),
            FormatEncoder::Template(encoder) => encoder.encode(record, self.terminal, out),
            FormatEncoder::Tsv(encoder) => {
                encoder.encode(record, self.terminal, out).map(|()| false)
            }
            FormatEncoder::Json(encoder) => Ok(encoder.encode(record, self.terminal, out)),
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

    /// How many records a reader would split at another place, because a key or
    /// value contains the delimiter.
    ///
    /// Not counted: NULL, which raw output and `%s` write as nothing, and all
    /// records under an empty delimiter.
    pub fn ambiguous(&self) -> u64 {
        self.ambiguous
    }
}
