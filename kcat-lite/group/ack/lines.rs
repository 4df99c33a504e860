//! Standard output of a source: a line with its position for each record.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::Context as _;
use tools::ack::{InFlight, LineStart, LineWriter, Shape, WriteProgress};
use tools::kafka::fetch::RecordVisitor;
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::PipelineError;
use crate::config::Output;
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
    pub(super) fn new(output: &Output, shape: Shape) -> anyhow::Result<Lines> {
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
    pub(super) fn write(&mut self) -> anyhow::Result<()> {
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

/// Appends the records that have arrived to the lines.
pub(super) struct LineEncoder<'r> {
    pub(super) lines: &'r mut Lines,
    pub(super) in_flight: &'r mut InFlight,
    /// The most records.
    pub(super) capacity: u64,
    pub(super) taken: u64,
    pub(super) failed: Option<anyhow::Error>,
}

impl RecordVisitor for LineEncoder<'_> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        match self.add(record) {
            Ok(()) if self.taken < self.capacity && !self.lines.is_full() => {
                ControlFlow::Continue(())
            }
            Ok(()) => ControlFlow::Break(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn end(&mut self, topic: &str, partition: i32, offset: i64) -> ControlFlow<()> {
        self.in_flight.pass(&(topic.to_owned(), partition), offset);
        ControlFlow::Continue(())
    }
}

impl LineEncoder<'_> {
    fn add(&mut self, record: &Record<'_>) -> anyhow::Result<()> {
        let lines = &mut *self.lines;
        let (Some(topic), Some(partition), Some(offset), Some(pipe)) = (
            record.topic,
            record.partition,
            record.offset,
            lines.pipe.as_mut(),
        ) else {
            anyhow::bail!("a record without a place");
        };
        let is_other = |(topic_partition, _): &(TopicPartition, LineStart)| {
            topic_partition.1 != partition || topic_partition.0 != topic
        };
        if lines.current.as_ref().is_none_or(is_other) {
            let topic_partition = (topic.to_owned(), partition);
            let Some(key) = self.in_flight.key(&topic_partition) else {
                // The partition was revoked: another member reads its records.
                return Ok(());
            };
            let line_start = LineStart::new(lines.shape, key);
            lines.current = Some((topic_partition, line_start));
        }
        let Some((topic_partition, line_start)) = lines.current.as_ref() else {
            return Ok(());
        };
        let buffer = pipe.buffer();
        let before = buffer.len();
        let start = line_start.write(lines.last + 1, offset, buffer);
        if let Err(reason) = lines.encoding.encode(record, buffer) {
            buffer.truncate(before);
            return Err(BadRecord::new(record, reason).into());
        }
        line_start.join(start, buffer);
        lines.last += 1;
        self.in_flight.send(topic_partition, offset);
        self.taken += 1;
        Ok(())
    }
}
