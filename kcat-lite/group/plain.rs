//! `-G` alone: commits what was written to standard output.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::stdout::OutError;
use tools::cli::{Exit, message};
use tools::kafka::fetch::{RecordVisitor, ValuesSource};
use tools::kafka::group::{GroupError, Member, Polled, Positions, Stop};
use tools::record::Record;

use super::{StatusReporter, join};
use crate::config::Group;
use crate::offset_tracker::OffsetTracker;
use crate::output::{PutResult, Writer, report_idle};

/// How often an idle member looks at signals and at the pipe.
const IDLE_MS: i32 = 100;
/// Default of `auto.commit.interval.ms`.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);

/// Reads as a member of the group until the end, the count, a signal or a closed pipe.
pub(super) fn run(config: &Group, signals: &Signals) -> anyhow::Result<Exit> {
    let stop = if config.exit_at_end {
        Stop::AtOwnEnd
    } else {
        Stop::Never
    };
    let Some(member) = join(config, stop, signals)? else {
        return Ok(Exit::Done);
    };
    let interval_ms = config
        .options
        .get("auto.commit.interval.ms")
        .and_then(|ms| ms.parse().ok());
    let writer = Writer::new(&config.output)?;
    let verbosity = config.options.verbosity;
    let mut run = GroupConsumer {
        signals,
        progress: Progress::new(verbosity >= 0 && !writer.out().is_terminal(), config.count),
        writer,
        offsets: OffsetTracker::default(),
        left: config.count.unwrap_or(u64::MAX),
        status: StatusReporter::new(verbosity),
        keeps_trying: config.output.keep_trying,
        has_failed: false,
        commit_interval: interval_ms.map_or(COMMIT_INTERVAL, Duration::from_millis),
        committed_at: Instant::now(),
        idle: config.idle,
        last_record_at: None,
    };
    let result = run.read_and_leave(member);
    drop(run.progress);
    run.writer.report_oddities(verbosity < 0);
    signals.end_line();
    result.map(|()| {
        if run.has_failed {
            Exit::Failed
        } else {
            run.writer.exit()
        }
    })
}

struct GroupConsumer<'a> {
    signals: &'a Signals,
    progress: Progress,
    writer: Writer,
    offsets: OffsetTracker,
    /// Records still to be written; `-c`.
    left: u64,
    status: StatusReporter,
    keeps_trying: bool,
    /// `-E`: whether an error was skipped.
    has_failed: bool,
    commit_interval: Duration,
    committed_at: Instant,
    /// `--idle`
    idle: Option<Duration>,
    /// None before the first assignment.
    last_record_at: Option<Instant>,
}

impl GroupConsumer<'_> {
    /// Reads; then commits what was written and leaves the group, also after an error.
    fn read_and_leave(&mut self, mut member: Member) -> anyhow::Result<()> {
        let read = self.read_all(&mut member);
        let flushed = self.flush();
        let committed = member.commit(&self.offsets.written());
        member.leave();
        match read.and(flushed) {
            Err(error) if is_closed(&error) => {}
            other => other?,
        }
        Ok(committed?)
    }

    fn read_all(&mut self, member: &mut Member) -> anyhow::Result<()> {
        let mut timeout_ms = 0;
        while self.left > 0
            && self.signals.caught().is_none()
            && !(member.is_done() && self.has_committed(member)?)
        {
            let is_idle = self.step(member, timeout_ms)?;
            self.progress
                .update(self.writer.written(), self.writer.out().total_bytes());
            timeout_ms = 0;
            if is_idle {
                self.flush()?;
                if !self.writer.out().has_reader() || self.is_idle_timeout()? {
                    return Ok(());
                }
                timeout_ms = IDLE_MS;
            }
            if self.committed_at.elapsed() >= self.commit_interval {
                self.committed_at = Instant::now();
                if member.commit_soon(&self.offsets.unsent())? {
                    self.offsets.mark_sent();
                }
            }
        }
        Ok(())
    }

    /// Commits what was written; returns false if the partitions were lost: their records are read again.
    fn has_committed(&mut self, member: &mut Member) -> anyhow::Result<bool> {
        self.flush()?;
        match member.commit(&self.offsets.written()) {
            Err(GroupError::Lost { .. }) => Ok(false),
            other => other.map(|()| true).map_err(Into::into),
        }
    }

    /// Whether no record arrived for the time of `--idle`.
    fn is_idle_timeout(&self) -> anyhow::Result<bool> {
        let is_over = |idle: &Duration| {
            let since = self.last_record_at;
            since.is_some_and(|since| since.elapsed() >= *idle)
        };
        let Some(idle) = self.idle.filter(is_over) else {
            return Ok(false);
        };
        report_idle(idle, self.status.all_brokers_down(), self.status.is_quiet())?;
        Ok(true)
    }

    /// Writes what has arrived or handles an event; returns whether there was neither.
    fn step(&mut self, member: &mut Member, timeout_ms: i32) -> anyhow::Result<bool> {
        let written = self.writer.written();
        let mut visitor = GroupWriter {
            run: self,
            failed: None,
        };
        let polled = member.poll(timeout_ms, &mut visitor);
        if let Some(error) = visitor.failed {
            return Err(error);
        }
        if written != self.writer.written() {
            self.last_record_at = Some(Instant::now());
        }
        match polled {
            Ok(Polled::Records(records)) => {
                if records > 0 {
                    self.status.is_in_contact();
                }
                return Ok(records == 0);
            }
            Ok(Polled::Assigned(topic_partitions)) => {
                self.last_record_at = Some(Instant::now());
                self.status.report_partitions("assigned", &topic_partitions);
            }
            Ok(Polled::Revoked {
                topic_partitions,
                lost,
            }) => self.revoke(member, &topic_partitions, lost)?,
            Ok(Polled::Committed) => {}
            Ok(Polled::CommitFailed(error)) => {
                self.offsets.reset_sent();
                if self.status.is_verbose() {
                    message(format_args!("positions not committed yet: {error}"));
                }
            }
            Ok(Polled::Error(error)) => self.status.report_error(member, &error),
            Err(error) if self.keeps_trying => {
                message(&error);
                self.has_failed = true;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(false)
    }

    fn write(&mut self, record: &Record<'_>) -> anyhow::Result<()> {
        let put = self.writer.put(record)?;
        let (Some(topic), Some(partition), Some(offset)) =
            (record.topic, record.partition, record.offset)
        else {
            anyhow::bail!("a record without a place");
        };
        let end_byte = self.writer.out().total_bytes();
        self.offsets.add(topic, partition, offset + 1, end_byte);
        if put == PutResult::Written {
            self.flush_if_due()?;
            self.left -= 1;
        }
        Ok(())
    }

    fn reach_end(&mut self, topic: &str, partition: i32, offset: i64) -> anyhow::Result<()> {
        // Transaction markers after the last record need not be read again.
        let end_byte = self.writer.out().total_bytes();
        self.offsets.add(topic, partition, offset, end_byte);
        if !self.status.is_quiet() {
            self.flush()?;
            message(format_args!(
                "reached the end of {topic} [{partition}] at offset {offset}"
            ));
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let result = self.writer.flush(self.signals);
        self.advance_offsets();
        Ok(result?)
    }

    fn flush_if_due(&mut self) -> anyhow::Result<()> {
        let result = self.writer.flush_if_due(self.signals);
        if !matches!(result, Ok(false)) {
            self.advance_offsets();
        }
        result?;
        Ok(())
    }

    fn advance_offsets(&mut self) {
        let (offsets, writer) = (&mut self.offsets, &self.writer);
        let taken_bytes = writer.out().taken_bytes();
        offsets.advance(taken_bytes, |from| writer.count_lines(from));
    }

    /// Commits what was written of the revoked partitions before it releases them.
    fn revoke(
        &mut self,
        member: &mut Member,
        topic_partitions: &[(String, i32)],
        lost: bool,
    ) -> anyhow::Result<()> {
        let flushed = self.flush();
        if lost {
            message(
                "the group has given this member's partitions away; records written since the last commit come again",
            );
        } else {
            let mut positions: Positions = self.offsets.written();
            positions.retain(|topic_partition, _| topic_partitions.contains(topic_partition));
            if let Err(error) = member.commit(&positions) {
                // The next member reads those records again: nothing is lost.
                message(error);
            }
        }
        self.offsets.forget(topic_partitions);
        self.status.report_partitions("revoked", topic_partitions);
        member.release()?;
        flushed
    }
}

/// Writes each record that has arrived.
struct GroupWriter<'r, 'a> {
    run: &'r mut GroupConsumer<'a>,
    failed: Option<anyhow::Error>,
}

impl RecordVisitor for GroupWriter<'_, '_> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of the loop over records")]
    fn values<'v>(
        &mut self,
        source: ValuesSource<'_>,
        values: &mut (impl Iterator<Item = Option<&'v [u8]>> + Clone),
    ) -> usize {
        let Some(first_offset) = source.first_offset else {
            return 0;
        };
        let run = &mut *self.run;
        // The last record, and the one that fills a block, go through `record`, which looks at signals.
        let most = usize::try_from(run.left - 1).unwrap_or(usize::MAX);
        let start_byte = run.writer.out().total_bytes();
        let put = run.writer.put_lines(values, most);
        if put > 0 {
            let bytes = start_byte..run.writer.out().total_bytes();
            run.offsets
                .add_lines(source.topic, source.partition, first_offset, put, bytes);
            run.left -= put as u64;
        }
        put
    }

    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let written = self.run.write(record);
        self.flow(written)
    }

    fn end(&mut self, topic: &str, partition: i32, offset: i64) -> ControlFlow<()> {
        let reached = self.run.reach_end(topic, partition, offset);
        self.flow(reached)
    }
}

impl GroupWriter<'_, '_> {
    fn flow(&mut self, done: anyhow::Result<()>) -> ControlFlow<()> {
        self.failed = done.err();
        if self.failed.is_some() || self.run.left == 0 {
            return ControlFlow::Break(());
        }
        self.run.signals.flow()
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(OutError::Closed))
}
