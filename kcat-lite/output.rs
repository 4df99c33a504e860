//! Consumed records on their way to standard output: unpacked, encoded, written in blocks.

use std::io::Write;

use tools::cli::signals::Signals;
use tools::cli::stdout::{Out, OutError};
use tools::cli::{Exit, message};
use tools::record::tsv::Column;
use tools::record::{EncodeError, Encoder, Format, Record};

use crate::config::Output;
use crate::unpack::{Unpack, UnpackError};

/// Why a record was not written. Nothing of it is in the output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The pack of `-s` does not fit.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The format can't hold it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// A record that stops the program.
#[derive(Debug, thiserror::Error)]
#[error("{topic} [{partition}] offset {offset}: {reason}")]
pub(crate) struct BadRecord {
    topic: String,
    partition: i32,
    offset: i64,
    reason: Refused,
}

/// Writes records.
pub(crate) struct Writer {
    encoder: Encoder,
    out: Out,
    offset_delimiter: Option<Vec<u8>>,
    unpack: Unpack,
    /// Whether a record is encoded and nothing else.
    is_plain: bool,
    /// Each record goes out at once.
    by_record: bool,
    /// `-E`: what can't be written is counted, not fatal.
    skips_bad: bool,
    skipped: u64,
    written: u64,
}

impl Writer {
    /// A writer to standard output.
    pub(crate) fn new(output: &Output) -> Result<Writer, OutError> {
        let out = Out::stdout()?;
        let for_terminal = out.is_terminal() && !output.raw;
        Ok(Writer {
            encoder: Encoder::new(output.format.clone()).for_terminal(for_terminal),
            offset_delimiter: output.offset_delimiter.clone(),
            unpack: output.unpack.clone(),
            is_plain: output.offset_delimiter.is_none() && output.unpack.is_empty(),
            by_record: output.unbuffered || out.is_terminal(),
            skips_bad: output.keep_trying,
            skipped: 0,
            written: 0,
            out,
        })
    }

    /// Encodes a record; [`Writer::flush_if_due`] lets it go out.
    #[inline]
    pub(crate) fn put(&mut self, record: &Record<'_>) -> Result<(), BadRecord> {
        // The usual case, in a few steps; what fails here fails again on the long way, and is told there.
        if self.is_plain && self.encoder.encode(record, self.out.buffer()).is_ok() {
            self.written += 1;
            return Ok(());
        }
        self.put_any(record)
    }

    fn put_any(&mut self, record: &Record<'_>) -> Result<(), BadRecord> {
        if let Err(reason) = self.encode(record) {
            let bad = BadRecord {
                topic: record.topic.unwrap_or_default().to_owned(),
                partition: record.partition.unwrap_or(-1),
                offset: record.offset.unwrap_or(-1),
                reason,
            };
            if !self.skips_bad {
                return Err(bad);
            }
            message(&bad);
            self.skipped += 1;
            return Ok(());
        }
        self.written += 1;
        Ok(())
    }

    /// Writes a block that is full, or each record where that is wanted.
    #[inline]
    pub(crate) fn flush_if_due(&mut self, signals: &Signals) -> Result<bool, OutError> {
        let is_due = self.by_record || self.out.is_full();
        if is_due {
            self.out.flush(signals)?;
        }
        Ok(is_due)
    }

    fn encode(&mut self, record: &Record<'_>) -> Result<(), Refused> {
        let Writer {
            encoder,
            out,
            offset_delimiter,
            unpack,
            ..
        } = self;
        let buffer = out.buffer();
        let start = buffer.len();
        if let (Some(delimiter), Some(offset)) = (offset_delimiter, record.offset) {
            // Writing into memory does not fail.
            let _ = write!(buffer, "{offset}");
            buffer.extend_from_slice(delimiter);
        }
        let result = if unpack.is_empty() {
            encoder.encode(record, buffer).map_err(Refused::from)
        } else {
            match unpack.apply(record, |text| encoder.encode(text, buffer)) {
                Ok(encoded) => encoded.map_err(Refused::from),
                Err(error) => Err(error.into()),
            }
        };
        if result.is_err() {
            buffer.truncate(start);
        }
        result
    }

    /// Writes what is in the block.
    pub(crate) fn flush(&mut self, signals: &Signals) -> Result<(), OutError> {
        self.out.flush(signals)
    }

    /// Where it is written to.
    pub(crate) fn out(&self) -> &Out {
        &self.out
    }

    /// Records written so far.
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
    pub(crate) fn say_what_was_odd(&self, quiet: bool) {
        let ambiguous = self.encoder.ambiguous();
        if ambiguous > 0 && !quiet {
            message(format_args!(
                "{} held the delimiter and can't be told apart in the output; --tsv is lossless",
                records(ambiguous)
            ));
        }
        if self.skipped > 0 {
            message(format_args!("{} not written", records(self.skipped)));
        }
    }
}

/// `1 record`, `2 records`.
pub(crate) fn records(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} record{plural}")
}

/// Whether a format shows headers; else they need not be read.
pub(crate) fn shows_headers(format: &Format) -> bool {
    match format {
        Format::Raw(_) => false,
        Format::Tsv(tsv) => tsv.columns.contains(Column::Headers),
        Format::Template(_) | Format::Json(_) => true,
    }
}

/// Says that no broker is left, and why where librdkafka knows more than that.
pub(crate) fn say_all_down(cause: Option<&str>) {
    match cause.filter(|cause| !cause.ends_with("brokers are down")) {
        Some(cause) => message(format_args!("all brokers are down, waiting: {cause}")),
        None => message("all brokers are down, waiting"),
    }
}
