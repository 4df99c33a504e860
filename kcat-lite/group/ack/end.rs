//! The end of a pipe: the end mark, the last acknowledgements, the last commit, then the member leaves the group.

use std::time::{Duration, Instant};

use anyhow::Result;
use tools::ack::AckError;
use tools::cli::Exit;
use tools::kafka::types::TopicPartition;

use super::{AckSource, Consumer, PipelineError};

/// How long to wait for acknowledgements after a program of the pipe died.
const DRAIN_AFTER_ERROR: Duration = Duration::from_secs(5);

impl AckSource {
    pub(super) fn run_and_leave(mut self, mut consumer: Consumer<'_>) -> Result<Exit> {
        let worked = consumer.run(&mut self);
        let worked = worked.and_then(|()| self.finish(&mut consumer));
        if worked.is_err() {
            self.drain_after_error(&mut consumer);
        }
        let committed = self.commit_now(&mut consumer, None);
        if worked.is_ok() && committed.is_ok() {
            let _ = self.source.done();
        }
        consumer.member.leave();
        drop(self.progress);
        worked?;
        committed?;
        Ok(Exit::Done)
    }

    /// Whether everything up to the end noted at the start is committed or in flight.
    pub(super) fn is_done(&mut self, consumer: &mut Consumer<'_>) -> Result<bool> {
        let may_read = self.lines.is_open() && !consumer.member.has_read_all();
        if !consumer.exit_at_end || self.lines.is_waiting() || may_read {
            return Ok(false);
        }
        let in_flight = &self.in_flight;
        let is_mine = |topic_partition: &_, end: i64| {
            let reached = in_flight.reached(topic_partition);
            reached.is_some_and(|reached| reached >= end)
        };
        if consumer.is_group_done(is_mine)? {
            return Ok(true);
        }
        // Other members still work, and their partitions may be assigned to this one.
        if !self.in_flight.is_drained(None) {
            self.source.request_flush(true)?;
            if self.watchdog.is_buffered(Instant::now()) {
                self.close()?;
            }
        }
        Ok(false)
    }

    /// Sends the end mark and closes the pipe.
    fn close(&mut self) -> Result<()> {
        if !self.lines.is_open() {
            return Ok(());
        }
        // A dead reader may have left a torn line, which the end mark would make a whole one.
        let has_reader = self.lines.has_reader();
        if has_reader {
            let passed = self.in_flight.passed(None);
            self.source.end(self.lines.last(), passed)?;
        }
        self.lines.close()?;
        if !has_reader {
            return Err(PipelineError::NoReader.into());
        }
        Ok(())
    }

    /// Refuses partitions that are assigned after the end mark and have records to read.
    pub(super) fn refuse_late_partitions(
        consumer: &Consumer<'_>,
        partitions: &[TopicPartition],
    ) -> Result<()> {
        let behind = consumer.member.behind()?;
        let is_late = |topic_partition| {
            let behind = behind.as_ref();
            behind.is_none_or(|behind| behind.contains_key(topic_partition))
        };
        if consumer.exit_at_end && partitions.iter().any(is_late) {
            return Err(PipelineError::TooLate.into());
        }
        Ok(())
    }

    /// Closes the pipe and blocks until everything sent is acknowledged.
    fn finish(&mut self, consumer: &mut Consumer<'_>) -> Result<()> {
        self.is_ending = true;
        while self.lines.is_waiting() {
            self.step(consumer)?;
        }
        let closed = self.close();
        if self.in_flight.is_drained(None) {
            // Ctrl-C in a terminal ends all programs of the pipe; nothing is lost.
            return Ok(());
        }
        closed?;
        let closed_at = Instant::now();
        while !self.in_flight.is_drained(None) {
            let lines = self.in_flight.unacknowledged();
            if self.watchdog.is_silent_since(closed_at, Instant::now()) {
                return Err(PipelineError::Unended { lines }.into());
            }
            match self.step(consumer) {
                Err(error) if matches!(error.downcast_ref(), Some(AckError::SinkGone)) => {
                    return Err(PipelineError::NotAcknowledged(lines).into());
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Takes the last acknowledgements after a program of the pipe died: the sink may still live.
    fn drain_after_error(&mut self, consumer: &mut Consumer<'_>) {
        // No end mark: the sink must not use a line that it has not received whole.
        let _ = self.lines.close();
        let until = Instant::now() + DRAIN_AFTER_ERROR;
        while !self.in_flight.is_drained(None) && Instant::now() < until {
            let Ok(update) = self.source.poll() else {
                return;
            };
            for position in &update.positions {
                let _ = self.in_flight.acknowledge(position);
            }
            self.wait_for_io(consumer);
            if consumer.member.poll_events(0).is_err() {
                return;
            }
        }
    }
}
