//! From bytes to a record, whatever the format.

use super::{DecodeError, Format, FormatError, Header, Record, json, raw, template, tsv};

/// Reads records in one format.
#[derive(Clone, Debug)]
pub struct Decoder {
    reader: Reader,
}

#[derive(Clone, Debug)]
enum Reader {
    Raw(raw::Reader),
    Template(template::Reader),
    Tsv(tsv::Reader),
    Json(json::Reader),
}

/// What was found at the start of the input.
#[derive(Debug)]
pub enum Decoded<'a> {
    /// One record, in the first `used` bytes.
    Record {
        /// The record; it borrows from the input and from the decoder.
        record: DecodedRecord<'a>,
        /// How many bytes it took, its delimiter included.
        used: usize,
    },
    /// Bytes that hold no record: an empty line of raw input.
    Skipped {
        /// How many bytes to step over.
        used: usize,
    },
    /// The record's end is not in the input yet; always so for empty input.
    Incomplete,
}

/// A record that was decoded. It owns the list of its headers, whose bytes it borrows.
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
    /// # Errors
    /// A format that cannot be read back: an empty delimiter, a template that is ambiguous.
    pub fn new(format: Format) -> Result<Decoder, FormatError> {
        let reader = match format {
            Format::Raw(raw) => Reader::Raw(raw::Reader::new(&raw)?),
            Format::Template(template) => Reader::Template(template::Reader::new(&template)?),
            Format::Tsv(tsv) => Reader::Tsv(tsv::Reader::new(tsv)),
            Format::Json(json) => Reader::Json(json::Reader::new(&json)?),
        };
        Ok(Decoder { reader })
    }

    /// Whether the input may be torn at its end, as a pipe is whose writer was killed. A last line of TSV without its
    /// newline is then an error instead of a record; an object is whole when it is closed, and raw records are what they
    /// are to kcat.
    #[must_use]
    pub fn of_stream(mut self, may_be_torn: bool) -> Decoder {
        if let Reader::Tsv(reader) = &mut self.reader {
            reader.may_be_torn = may_be_torn;
        }
        self
    }

    /// Decodes the first record of `input`.
    ///
    /// `at_end` says that nothing follows `input`, so that an unterminated
    /// last record counts as whole, unless it may be [torn](Decoder::of_stream). After [`Decoded::Incomplete`] call again
    /// with the same start and more bytes: what was searched is not searched
    /// again, so that the time is linear in the length of a record.
    ///
    /// # Errors
    /// The bytes are not a record; the caller adds the number of the line.
    #[inline]
    pub fn decode<'a>(
        &'a mut self,
        input: &'a [u8],
        at_end: bool,
    ) -> Result<Decoded<'a>, DecodeError> {
        match &mut self.reader {
            Reader::Raw(reader) => Ok(reader.read(input, at_end)),
            Reader::Template(reader) => reader.read(input, at_end),
            Reader::Tsv(reader) => reader.read(input, at_end),
            Reader::Json(reader) => reader.read(input, at_end),
        }
    }

    /// Whether the next record is in the line of the last one, which is an array of JSON objects.
    pub fn is_inside_line(&self) -> bool {
        match &self.reader {
            Reader::Json(reader) => reader.is_inside_line(),
            Reader::Raw(_) | Reader::Template(_) | Reader::Tsv(_) => false,
        }
    }

    /// How many empty lines of raw input were skipped so far, as kcat skips them.
    pub fn skipped(&self) -> u64 {
        match &self.reader {
            Reader::Raw(reader) => reader.skipped(),
            Reader::Template(_) | Reader::Tsv(_) | Reader::Json(_) => 0,
        }
    }
}
