//! `-G` alone: commits what was written to standard output.

use std::time::{Duration, Instant};

use anyhow::Result;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::fetch::ValuesSource;
use tools::kafka::group::{GroupError, Positions, Stop};
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::consumer::{Consumer, Delivery, IDLE_MS, Next, RunState, position};
use crate::config::Group;
use crate::offset_tracker::OffsetTracker;
use crate::output::{PutResult, Writer, is_closed, report_idle};

/// Default of `auto.commit.interval.ms`.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);

/// Reads as a member of the group until the end, the count, a signal or a closed pipe.
pub(super) fn run(config: &Group, signals: &Signals) -> Result<Exit> {
    let Some(consumer) = Consumer::join(config, Stop::AtOwnEnd, signals)? else {
        return Ok(Exit::Done);
    };
    let interval_ms = config.options.get("auto.commit.interval.ms");
    let interval_ms = interval_ms.and_then(|ms| ms.parse().ok());
    let writer = Writer::new(&config.output)?;
    let verbosity = config.options.verbosity;
    let mut delivery = StdoutDelivery {
        progress: Progress::new(verbosity >= 0 && !writer.out().is_terminal(), config.count),
        writer,
        offsets: OffsetTracker::default(),
        commit_interval: interval_ms.map_or(COMMIT_INTERVAL, Duration::from_millis),
        committed_at: Instant::now(),
        idle: config.idle,
        seen: 0,
        last_record_at: None,
    };
    let result = delivery.read_and_leave(consumer);
    drop(delivery.progress);
    delivery.writer.report_oddities(verbosity < 0);
    signals.end_line();
    Ok(match result? {
        Exit::Done => delivery.writer.exit(),
        failed => failed,
    })
}

struct StdoutDelivery {
    progress: Progress,
    writer: Writer,
    offsets: OffsetTracker,
    commit_interval: Duration,
    committed_at: Instant,
    /// `--idle`
    idle: Option<Duration>,
    /// The number of written records when it was last looked at.
    seen: u64,
    /// None before the first assignment.
    last_record_at: Option<Instant>,
}

impl StdoutDelivery {
    /// Reads; then commits what was written and leaves the group, also after an error.
    fn read_and_leave(&mut self, mut consumer: Consumer<'_>) -> Result<Exit> {
        let read = consumer.run(self);
        let flushed = self.flush(consumer.run.signals);
        let committed = consumer.commit(&self.offsets.written());
        consumer.member.leave();
        match read.and(flushed) {
            Err(error) if is_closed(&error) => {}
            other => other?,
        }
        committed?;
        Ok(if consumer.has_failed {
            Exit::Failed
        } else {
            Exit::Done
        })
    }

    /// Commits what was written; returns false if the partitions were lost: their records are read again.
    fn has_committed(&mut self, consumer: &mut Consumer<'_>) -> Result<bool> {
        self.flush(consumer.run.signals)?;
        match consumer.commit(&self.offsets.written()) {
            Err(GroupError::Lost { .. }) => Ok(false),
            other => other.map(|()| true).map_err(Into::into),
        }
    }

    /// Whether no record arrived for the time of `--idle`.
    fn is_idle_timeout(&self, run: &RunState<'_>) -> Result<bool> {
        let (Some(idle), Some(since)) = (self.idle, self.last_record_at) else {
            return Ok(false);
        };
        if since.elapsed() < idle {
            return Ok(false);
        }
        report_idle(idle, run.all_brokers_down, run.verbosity < 0)?;
        Ok(true)
    }

    fn flush(&mut self, signals: &Signals) -> Result<()> {
        let result = self.writer.flush(signals);
        self.advance_offsets();
        Ok(result?)
    }

    fn advance_offsets(&mut self) {
        let (offsets, writer) = (&mut self.offsets, &self.writer);
        let taken_bytes = writer.out().taken_bytes();
        offsets.advance(taken_bytes, |from| writer.count_lines(from));
    }
}

impl Delivery for StdoutDelivery {
    fn advance(&mut self, consumer: &mut Consumer<'_>) -> Result<Next> {
        let written = self.writer.written();
        self.progress
            .update(written, self.writer.out().total_bytes());
        if consumer.run.left == 0 || consumer.member.is_done() && self.has_committed(consumer)? {
            return Ok(Next::End);
        }
        if self.committed_at.elapsed() >= self.commit_interval {
            self.committed_at = Instant::now();
            if consumer.member.commit_soon(&self.offsets.unsent())? {
                self.offsets.mark_sent();
            }
        }
        if written != std::mem::replace(&mut self.seen, written) {
            self.last_record_at = Some(Instant::now());
            return Ok(Next::Read(0));
        }
        self.flush(consumer.run.signals)?;
        if !self.writer.out().has_reader() || self.is_idle_timeout(&consumer.run)? {
            return Ok(Next::End);
        }
        Ok(Next::Read(IDLE_MS))
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    fn values<'v>(
        &mut self,
        run: &mut RunState<'_>,
        source: ValuesSource<'_>,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        let Some(first_offset) = source.first_offset else {
            return 0;
        };
        // The last record, and the one that fills a block, go through `record`, which looks at signals.
        let most = usize::try_from(run.left - 1).unwrap_or(usize::MAX);
        let start_byte = self.writer.out().total_bytes();
        let put = self.writer.put_lines(values, most);
        if put > 0 {
            let bytes = start_byte..self.writer.out().total_bytes();
            self.offsets
                .add_lines(source.topic, source.partition, first_offset, put, bytes);
            run.left -= put as u64;
        }
        put
    }

    fn record(&mut self, run: &mut RunState<'_>, record: &Record<'_>) -> Result<bool> {
        let put = self.writer.put(record)?;
        let (topic, partition, offset) = position(record)?;
        let end_byte = self.writer.out().total_bytes();
        self.offsets.add(topic, partition, offset + 1, end_byte);
        if put == PutResult::Written {
            let flushed = self.writer.flush_if_due(run.signals);
            if !matches!(flushed, Ok(false)) {
                self.advance_offsets();
            }
            flushed?;
            run.left -= 1;
        }
        Ok(true)
    }

    fn end(
        &mut self,
        run: &RunState<'_>,
        (topic, partition): (&str, i32),
        offset: i64,
    ) -> Result<()> {
        // Transaction markers after the last record need not be read again.
        let end_byte = self.writer.out().total_bytes();
        self.offsets.add(topic, partition, offset, end_byte);
        if run.verbosity >= 0 {
            self.flush(run.signals)?;
            message(format_args!(
                "reached the end of {topic} [{partition}] at offset {offset}"
            ));
        }
        Ok(())
    }

    fn assign(&mut self, _: &mut Consumer<'_>, _: &[TopicPartition]) -> Result<()> {
        self.last_record_at = Some(Instant::now());
        Ok(())
    }

    fn revoke(
        &mut self,
        consumer: &mut Consumer<'_>,
        partitions: &[TopicPartition],
        lost: bool,
    ) -> Result<()> {
        let flushed = self.flush(consumer.run.signals);
        if !lost {
            let mut positions: Positions = self.offsets.written();
            positions.retain(|topic_partition, _| partitions.contains(topic_partition));
            if let Err(error) = consumer.commit(&positions) {
                // The next member reads those records again: nothing is lost.
                message(error);
            }
        }
        self.offsets.forget(partitions);
        flushed
    }

    fn commit_ended(&mut self, is_committed: bool) {
        if !is_committed {
            self.offsets.reset_sent();
        }
    }
}
