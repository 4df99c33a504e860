//! Consumed records on their way to standard output: unpacked, encoded, written in blocks.

use std::io::Write;
use std::time::Duration;

use anyhow::ensure;
use tools::cli::signals::Signals;
use tools::cli::stdout::{Out, OutError};
use tools::cli::{Exit, message};
use tools::record::tsv::Column;
use tools::record::{EncodeError, Encoder, Format, Record};
use tools::units::{count, format_duration_ms};

use crate::config::Output;
use crate::schema::{ReadError, RecordReader, is_fatal};
use crate::unpack::{Unpack, UnpackError};

/// Why a record was not written. Nothing of it is in the output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeRefusal {
    /// The pack of `-s` does not fit.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It can't be decoded with its schema.
    #[error(transparent)]
    Schema(#[from] ReadError),
    /// The format can't hold it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A command would take it for two.
    #[error("it holds the delimiter; --tsv is lossless")]
    Ambiguous,
}

/// A record that stops the program, or that `-E` steps over.
#[derive(Debug, thiserror::Error)]
#[error("{topic} [{partition}] offset {offset}: {reason}")]
pub(crate) struct BadRecord {
    topic: String,
    partition: i32,
    offset: i64,
    reason: EncodeRefusal,
}

impl BadRecord {
    /// The record at its place, and what is wrong with it.
    pub(crate) fn new(record: &Record<'_>, reason: EncodeRefusal) -> BadRecord {
        BadRecord {
            topic: record.topic.unwrap_or_default().to_owned(),
            partition: record.partition.unwrap_or(-1),
            offset: record.offset.unwrap_or(-1),
            reason,
        }
    }

    /// Whether the reason is not the record's own, so that others have it as well.
    fn is_fatal(&self) -> bool {
        matches!(&self.reason, EncodeRefusal::Schema(error) if is_fatal(error))
    }
}

/// Whether a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutResult {
    /// It was, or `-E` steps over it.
    Written,
    /// It has another key than `--only-key`.
    OtherKey,
}

/// From a record to bytes: unpacked, with its offset where that is wanted, encoded.
pub(crate) struct Encoding {
    encoder: Encoder,
    offset_delimiter: Option<Vec<u8>>,
    unpack: Unpack,
    schemas: Option<RecordReader>,
    /// Whether a record is encoded and nothing else.
    is_plain: bool,
}

impl Encoding {
    /// What the options ask for.
    pub(crate) fn new(output: &Output, for_terminal: bool) -> anyhow::Result<Encoding> {
        let schemas = output.schemas.as_ref();
        Ok(Encoding {
            encoder: Encoder::new(output.format.clone()).for_terminal(for_terminal),
            offset_delimiter: output.offset_delimiter.clone(),
            unpack: output.unpack.clone(),
            schemas: schemas
                .map(|schemas| RecordReader::new(schemas, &output.format))
                .transpose()?,
            is_plain: output.offset_delimiter.is_none()
                && output.unpack.is_empty()
                && schemas.is_none(),
        })
    }

    /// Appends values, where nothing else is wanted of a record; see [`Encoder::encode_values`].
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    fn encode_values<'v>(
        &mut self,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
        most: usize,
        buffer: &mut Vec<u8>,
        limit_bytes: usize,
    ) -> usize {
        if !self.is_plain {
            return 0;
        }
        self.encoder
            .encode_values(values, most, buffer, limit_bytes)
    }

    /// As [`Encoding::encode_values`]; see [`Encoder::encode_lines`].
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    fn encode_lines<'v, V>(
        &mut self,
        values: &mut V,
        most: usize,
        buffer: &mut Vec<u8>,
        limit_bytes: usize,
    ) -> Option<usize>
    where
        V: Iterator<Item = Option<&'v [u8]>> + Clone,
    {
        if !self.is_plain {
            return Some(0);
        }
        self.encoder.encode_lines(values, most, buffer, limit_bytes)
    }

    /// Appends the record to `buffer`, which is as it was after an error.
    #[inline]
    pub(crate) fn encode(
        &mut self,
        record: &Record<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), EncodeRefusal> {
        let start = buffer.len();
        // The usual case, in a few steps.
        let result = if self.is_plain {
            self.encoder
                .encode(record, buffer)
                .map_err(EncodeRefusal::from)
        } else {
            self.encode_more(record, buffer)
        };
        if result.is_err() {
            buffer.truncate(start);
        }
        result
    }

    fn encode_more(
        &mut self,
        record: &Record<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), EncodeRefusal> {
        if let (Some(delimiter), Some(offset)) = (&self.offset_delimiter, record.offset) {
            // Writing into memory does not fail.
            let _ = write!(buffer, "{offset}");
            buffer.extend_from_slice(delimiter);
        }
        let (encoder, unpack) = (&mut self.encoder, &self.unpack);
        let mut encode = |record: &Record<'_>| -> Result<(), EncodeRefusal> {
            if unpack.is_empty() {
                return Ok(encoder.encode(record, buffer)?);
            }
            Ok(unpack.apply(record, |text| encoder.encode(text, buffer))??)
        };
        match &mut self.schemas {
            Some(schemas) => schemas.apply(record, encode)?,
            None => encode(record),
        }
    }

    /// How many records held the delimiter.
    pub(crate) fn ambiguous(&self) -> u64 {
        self.encoder.ambiguous()
    }
}

pub(crate) struct Writer {
    encoding: Encoding,
    out: Out,
    /// Each record goes out at once.
    by_record: bool,
    only_key: Option<Vec<u8>>,
    /// `-E`: what can't be written is counted, not fatal.
    skips_bad: bool,
    skipped: u64,
    written: u64,
    /// Whether a line may be a part of a record.
    has_ambiguous_lines: bool,
}

impl Writer {
    pub(crate) fn new(output: &Output) -> anyhow::Result<Writer> {
        let out = Out::stdout()?;
        let for_terminal = out.is_terminal() && !output.raw;
        Ok(Writer {
            encoding: Encoding::new(output, for_terminal)?,
            by_record: output.unbuffered || out.is_terminal(),
            only_key: output.only_key.clone(),
            skips_bad: output.keep_trying,
            skipped: 0,
            written: 0,
            has_ambiguous_lines: false,
            out,
        })
    }

    /// Encodes a record; [`Writer::flush_if_due`] lets it go out.
    #[inline]
    pub(crate) fn put(&mut self, record: &Record<'_>) -> Result<PutResult, BadRecord> {
        if self.has_other_key(record) {
            return Ok(PutResult::OtherKey);
        }
        if let Err(reason) = self.encoding.encode(record, self.out.buffer()) {
            let bad = BadRecord::new(record, reason);
            if !self.skips_bad || bad.is_fatal() {
                return Err(bad);
            }
            message(&bad);
            self.skipped += 1;
            return Ok(PutResult::Written);
        }
        self.written += 1;
        Ok(PutResult::Written)
    }

    /// Whether a record is not of the key that is wanted, as the topic has it.
    #[inline]
    pub(crate) fn has_other_key(&self, record: &Record<'_>) -> bool {
        let only = self.only_key.as_deref();
        only.is_some() && only != record.key
    }

    /// Encodes what fits into the block of `values`, `most` of them at most; says how many. That is none where a record
    /// is more than its value, or goes out at once.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    pub(crate) fn put_values<'v>(
        &mut self,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
        most: usize,
    ) -> usize {
        if self.by_record || self.only_key.is_some() {
            return 0;
        }
        let block_bytes = self.out.block_bytes();
        let buffer = self.out.buffer();
        let put = self
            .encoding
            .encode_values(values, most, buffer, block_bytes);
        self.written += put as u64;
        put
    }

    /// As [`Writer::put_values`], as long as no value holds the delimiter: each line is a record.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    pub(crate) fn put_lines<'v, V>(&mut self, values: &mut V, most: usize) -> usize
    where
        V: Iterator<Item = Option<&'v [u8]>> + Clone,
    {
        if self.by_record || self.only_key.is_some() || self.has_ambiguous_lines {
            return 0;
        }
        let block_bytes = self.out.block_bytes();
        let buffer = self.out.buffer();
        let put = self
            .encoding
            .encode_lines(values, most, buffer, block_bytes);
        self.has_ambiguous_lines = put.is_none();
        self.written += put.unwrap_or(0) as u64;
        put.unwrap_or(0)
    }

    /// How many lines end in what was taken of a block that failed, from this byte of the output on.
    pub(crate) fn count_lines(&self, from: u64) -> usize {
        let bytes = self.out.partial_block(from);
        self.encoding.encoder.count_lines(bytes)
    }

    /// Writes a block that is full, or each record where that is wanted.
    #[inline]
    pub(crate) fn flush_if_due(&mut self, signals: &Signals) -> Result<bool, OutError> {
        let is_due = self.by_record || self.out.is_full();
        if is_due {
            self.flush(signals)?;
        }
        Ok(is_due)
    }

    pub(crate) fn flush(&mut self, signals: &Signals) -> Result<(), OutError> {
        self.out.flush(signals)
    }

    pub(crate) fn out(&self) -> &Out {
        &self.out
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Done, or failed where `-E` passed over a record that can't be written.
    pub(crate) fn exit(&self) -> Exit {
        if self.skipped > 0 {
            Exit::Failed
        } else {
            Exit::Done
        }
    }

    /// Says at the end of the run what a reader of the output should know.
    pub(crate) fn report_oddities(&self, quiet: bool) {
        let ambiguous = self.encoding.ambiguous();
        if ambiguous > 0 && !quiet {
            message(format_args!(
                "{} held the delimiter and can't be told apart in the output; --tsv is lossless",
                count(ambiguous, "record")
            ));
        }
        if self.skipped > 0 {
            message(format_args!(
                "{} not written",
                count(self.skipped, "record")
            ));
        }
    }
}

/// Whether nobody reads the output any more.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(OutError::Closed))
}

/// Whether headers have to be read: the format shows them, or one may name a schema.
pub(crate) fn needs_headers(output: &Output) -> bool {
    if output.schemas.is_some() {
        return true;
    }
    match &output.format {
        Format::Raw(_) => false,
        Format::Tsv(tsv) => tsv.columns.contains(Column::Headers),
        Format::Template(_) | Format::Json(_) => true,
    }
}

/// Says that no broker is left, and why where librdkafka knows more than that.
pub(crate) fn report_all_down(cause: Option<&str>) {
    match cause.filter(|cause| !cause.ends_with("brokers are down")) {
        Some(cause) => message(format_args!("all brokers are down, waiting: {cause}")),
        None => message("all brokers are down, waiting"),
    }
}

/// Says that `--idle` ends the program; an error if no broker was there.
pub(crate) fn report_idle(
    idle: Duration,
    all_brokers_down: bool,
    quiet: bool,
) -> anyhow::Result<()> {
    let idle = format_duration_ms(idle.as_millis() as i64);
    ensure!(
        !all_brokers_down,
        "no record for {idle}, and all brokers are down"
    );
    if !quiet {
        message(format_args!("no record for {idle}"));
    }
    Ok(())
}
