//! Standard output of a source: a line with its position for each record.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context as _, Result};
use tools::ack::{InFlight, LineStart, LineWriter, Shape, WriteProgress};
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::PipelineError;
use crate::config::Output;
use crate::group::consumer::position;
use crate::output::{BadRecord, Encoding};

/// No more records are read while this many bytes wait to be written.
const WAITING_BYTES: usize = 256 * 1024;

pub(super) struct Lines {
    encoding: Encoding,
    shape: Shape,
    /// `None` after the end of the input.
    pipe: Option<LineWriter>,
    /// The partition of the last record, likely that of the next one.
    current: Option<(TopicPartition, LineStart)>,
    /// The number of the last line.
    last: u64,
}

impl Lines {
    /// Lines to standard output.
    pub(super) fn new(output: &Output, shape: Shape) -> Result<Lines> {
        let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Lines {
            encoding: Encoding::new(output, false)?,
            shape,
            pipe: Some(LineWriter::new(stdout)),
            current: None,
            last: 0,
        })
    }

    /// The number of the last line, which is that of all lines.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.pipe.as_ref().map_or(0, LineWriter::total_bytes)
    }

    pub(super) fn is_waiting(&self) -> bool {
        let pipe = self.pipe.as_ref();
        pipe.is_some_and(|pipe| pipe.waiting_bytes() > 0)
    }

    /// Whether no more lines are accepted for now.
    pub(super) fn is_full(&self) -> bool {
        let pipe = self.pipe.as_ref();
        pipe.is_none_or(|pipe| pipe.waiting_bytes() >= WAITING_BYTES)
    }

    /// The pipe, if lines wait for it.
    pub(super) fn waited_for(&self) -> Option<BorrowedFd<'_>> {
        let pipe = self.pipe.as_ref();
        pipe.filter(|pipe| pipe.waiting_bytes() > 0)
            .map(LineWriter::as_fd)
    }

    /// Writes what fits into the pipe.
    pub(super) fn write(&mut self) -> Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let written = pipe.write().context("cannot write to standard output")?;
        if written == WriteProgress::Closed || !pipe.has_reader() {
            return Err(PipelineError::NoReader.into());
        }
        Ok(())
    }

    /// Whether line `number` is the last one, and was written whole; an error if nobody reads any more.
    pub(super) fn is_last_written(&self, number: u64) -> Result<bool, PipelineError> {
        if number != self.last || self.is_waiting() || !self.is_open() {
            return Ok(false);
        }
        if self.has_reader() {
            Ok(true)
        } else {
            Err(PipelineError::NoReader)
        }
    }

    /// Appends the line of a record; returns false if its partition was revoked, and another member reads it.
    pub(super) fn add(&mut self, record: &Record<'_>, in_flight: &mut InFlight) -> Result<bool> {
        let (topic, partition, offset) = position(record)?;
        let Some(pipe) = &mut self.pipe else {
            return Ok(false);
        };
        let is_other = |((t, p), _): &(TopicPartition, LineStart)| *p != partition || t != topic;
        if self.current.as_ref().is_none_or(is_other) {
            let topic_partition = (topic.to_owned(), partition);
            let Some(key) = in_flight.key(&topic_partition) else {
                return Ok(false);
            };
            let line_start = LineStart::new(self.shape, key);
            self.current = Some((topic_partition, line_start));
        }
        let Some((topic_partition, line_start)) = &self.current else {
            return Ok(false);
        };
        let buffer = pipe.buffer();
        let before = buffer.len();
        let start = line_start.write(self.last + 1, offset, buffer);
        if let Err(reason) = self.encoding.encode(record, buffer) {
            buffer.truncate(before);
            return Err(BadRecord::new(record, reason).into());
        }
        line_start.join(start, buffer);
        self.last += 1;
        in_flight.send(topic_partition, offset);
        Ok(true)
    }

    pub(super) fn has_reader(&self) -> bool {
        self.pipe.as_ref().is_some_and(LineWriter::has_reader)
    }

    /// The streams of the partitions have changed.
    pub(super) fn begin_session(&mut self) {
        self.current = None;
    }

    /// Closes standard output, which is the last descriptor of the pipe; what waits is dropped.
    pub(super) fn close(&mut self) -> std::io::Result<()> {
        self.pipe = None;
        let null = File::options().write(true).open("/dev/null")?;
        Ok(rustix::stdio::dup2_stdout(&null)?)
    }
}
