//! From bytes to a record, whatever the format.

use super::{DecodeError, Format, FormatError, Header, Record, json, raw, template, tsv};

#[derive(Clone, Debug)]
pub struct Decoder {
    format: FormatDecoder,
}

#[derive(Clone, Debug)]
enum FormatDecoder {
    Raw(raw::RawDecoder),
    Template(template::TemplateDecoder),
    Tsv(tsv::TsvDecoder),
    Json(json::JsonDecoder),
}

/// Which of a record's values are JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Embedded {
    pub key: bool,
    pub value: bool,
}

/// The start of the input, decoded.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// One record, in the first `used` bytes.
    Record {
        /// It borrows from the input and from the decoder.
        record: DecodedRecord<'a>,
        /// How many bytes it has, including its delimiter.
        used: usize,
    },
    /// Bytes without a record: an empty line of raw input.
    Skipped {
        /// How many bytes to step over.
        used: usize,
    },
    /// The record's end is not in the input yet. Empty input is always incomplete.
    Incomplete,
}

/// A decoded record: it owns the list of its headers and borrows their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedRecord<'a> {
    fields: Record<'a>,
    headers: Vec<Header<'a>>,
}

impl<'a> From<Record<'a>> for DecodedRecord<'a> {
    fn from(fields: Record<'a>) -> DecodedRecord<'a> {
        DecodedRecord {
            fields,
            headers: Vec::new(),
        }
    }
}

impl<'a> DecodedRecord<'a> {
    pub(super) fn with_headers(fields: Record<'a>, headers: Vec<Header<'a>>) -> DecodedRecord<'a> {
        DecodedRecord { fields, headers }
    }

    /// Passes on the record, headers included, without copying one that has no headers of its own.
    #[inline]
    pub fn with<R>(&self, take: impl FnOnce(&Record<'_>) -> R) -> R {
        if self.headers.is_empty() {
            take(&self.fields)
        } else {
            take(&self.record())
        }
    }

    /// The record, headers included.
    #[inline]
    pub fn record(&self) -> Record<'_> {
        Record {
            headers: if self.headers.is_empty() {
                self.fields.headers
            } else {
                &self.headers
            },
            ..self.fields
        }
    }
}

impl Decoder {
    pub fn new(format: Format) -> Result<Decoder, FormatError> {
        let decoder = match format {
            Format::Raw(raw) => FormatDecoder::Raw(raw::RawDecoder::new(&raw)?),
            Format::Template(template) => {
                FormatDecoder::Template(template::TemplateDecoder::new(&template)?)
            }
            Format::Tsv(tsv) => FormatDecoder::Tsv(tsv::TsvDecoder::new(tsv)),
            Format::Json(json) => FormatDecoder::Json(json::JsonDecoder::new(&json)?),
        };
        Ok(Decoder { format: decoder })
    }

    /// Whether the input may end in the middle of a line, as a pipe does when its writer is killed. A last line of TSV
    /// without its line feed is then an error instead of a record. A JSON object is complete when it is closed, and raw
    /// records are as in kcat.
    #[must_use]
    pub fn of_stream(mut self, may_be_torn: bool) -> Decoder {
        if let FormatDecoder::Tsv(decoder) = &mut self.format {
            decoder.may_be_torn = may_be_torn;
        }
        self
    }

    /// Whether key and value are JSON values, which an object embeds and other formats have as text.
    #[must_use]
    pub fn with_embedded(mut self, embedded: Embedded) -> Decoder {
        if let FormatDecoder::Json(decoder) = &mut self.format {
            decoder.embedded = embedded;
        }
        self
    }

    /// Decodes the first record of `input`.
    ///
    /// `at_end`: nothing follows `input`, so an unterminated last record is complete, unless it may be
    /// [torn](Decoder::of_stream). After [`Decoded::Incomplete`] call again with the same start and more bytes: nothing
    /// is searched twice, so that the time is linear in the length of a record.
    ///
    /// # Errors
    /// The bytes are not a record; the caller adds the number of the line.
    #[inline]
    pub fn decode<'a>(
        &'a mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<Decoded<'a>, DecodeError> {
        match &mut self.format {
            FormatDecoder::Raw(decoder) => Ok(decoder.decode(input, at_end)),
            FormatDecoder::Template(decoder) => decoder.decode(input, at_end),
            FormatDecoder::Tsv(decoder) => decoder.decode(input, at_end),
            FormatDecoder::Json(decoder) => decoder.decode(input, at_end),
        }
    }

    /// Whether the next record is in the same line, which is an array of JSON objects.
    pub fn is_inside_line(&self) -> bool {
        match &self.format {
            FormatDecoder::Json(decoder) => decoder.is_inside_line(),
            FormatDecoder::Raw(_) | FormatDecoder::Template(_) | FormatDecoder::Tsv(_) => false,
        }
    }

    /// How many empty lines of raw input were skipped so far, as kcat skips them.
    pub fn skipped(&self) -> u64 {
        match &self.format {
            FormatDecoder::Raw(decoder) => decoder.skipped(),
            FormatDecoder::Template(_) | FormatDecoder::Tsv(_) | FormatDecoder::Json(_) => 0,
        }
    }
}
