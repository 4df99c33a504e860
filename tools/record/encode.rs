//! From a record to bytes, whatever the format.

use super::{EncodeError, Format, Record, json, raw, template, tsv};

/// Writes records in one format.
#[derive(Clone, Debug)]
pub struct Encoder {
    writer: Writer,
    terminal: bool,
    ambiguous: u64,
    plain: Option<Plain>,
}

/// Values ended by one byte each, and nothing else.
#[derive(Clone, Debug)]
struct Plain {
    end: u8,
    null: &'static [u8],
    /// Where the values of the block end, if what is ambiguous is counted block by block.
    ends: Option<Vec<u32>>,
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
            plain: plain.map(|(end, null)| Plain {
                end,
                null,
                ends: None,
            }),
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

    /// Counts what is ambiguous by whole blocks, which costs a tenth; [`Encoder::end_block`] has to be called at the end of each.
    #[must_use]
    pub fn by_block(mut self) -> Encoder {
        if let Some(plain) = &mut self.plain {
            plain.ends = Some(Vec::new());
        }
        self
    }

    /// `block` is all that was encoded since it was empty; the next record begins a block again.
    pub fn end_block(&mut self, block: &[u8]) {
        let Some(Plain {
            end,
            ends: Some(ends),
            ..
        }) = &mut self.plain
        else {
            return;
        };
        if memchr::memchr_iter(*end, block).count() != ends.len() {
            let mut start = 0;
            for &at in ends.iter() {
                let at = at as usize;
                let value = &block[start..at - 1];
                self.ambiguous += u64::from(memchr::memchr(*end, value).is_some());
                start = at;
            }
        }
        ends.clear();
    }

    /// Appends one whole record to `out`; after an error `out` is as it was.
    ///
    /// # Errors
    /// Under `--utf8=strict`, a key or value that is not UTF-8. The caller
    /// knows topic, partition and offset and adds them.
    #[inline]
    pub fn encode(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.encode_value(record.value, out) {
            return Ok(());
        }
        self.encode_any(record, out)
    }

    /// Appends a record of which nothing but the value is written, and one byte, the usual case; false where the format
    /// writes more, and nothing was done.
    #[inline]
    pub fn encode_value(&mut self, value: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
        let Some(plain) = &mut self.plain else {
            return false;
        };
        let value = value.unwrap_or(plain.null);
        out.extend_from_slice(value);
        out.push(plain.end);
        match &mut plain.ends {
            Some(ends) => ends.push(out.len() as u32),
            None => {
                self.ambiguous += u64::from(memchr::memchr(plain.end, value).is_some());
            }
        }
        true
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
