//! `--ack`: writes lines with positions, and commits what the last program of the pipe acknowledges.

mod end;
mod lines;
mod session;
mod watchdog;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec};
use tools::ack::{AckError, InFlight, Listener, SinkKind, Source, new_run};
use tools::cli::Exit;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::kafka::group::{Positions, Stop};
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::consumer::{Consumer, Delivery, IDLE_MS, Next, RunState};
use crate::config::{Ack, Group};
use lines::Lines;
use session::Sessions;
use watchdog::{STALLED, Watchdog};

/// How long to wait for records while acknowledgements are to come.
const BUSY_MS: i32 = 5;
/// Default of `--max-inflight` if the sink duplicates what was in flight at a crash.
const MAX_INFLIGHT: u64 = 10_000;
/// Commit after this many acknowledged records, also if `--max-inflight` is larger.
const COMMIT_RECORDS: u64 = 50_000;
/// Commit after this time, if there is anything to commit.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Why the pipe failed.
#[derive(Debug, thiserror::Error)]
enum PipelineError {
    #[error(
        "nobody reads standard output any more: a program of the pipe has ended; what was not acknowledged comes again"
    )]
    NoReader,
    #[error(
        "nothing was acknowledged for {} s with {lines} lines under way: what stands between drops or buffers lines \
         (sed -u, stdbuf -oL; to drop a record print its position alone)",
        STALLED.as_secs()
    )]
    Stalled { lines: u64 },
    #[error(
        "nothing was acknowledged for {} s after the end, with {lines} lines under way: what stands between must see the \
         end of its input, and a shell around this program keeps the pipe open (exec)",
        STALLED.as_secs()
    )]
    Unended { lines: u64 },
    #[error(
        "partitions were to be given back, and {0} lines of them were not acknowledged in time; they come again"
    )]
    NotDrained(u64),
    #[error("{0} lines were not acknowledged; they come again")]
    NotAcknowledged(u64),
    #[error(
        "{0} lines were not committed, and standard output is closed; start it again, and they come again"
    )]
    NotCommitted(u64),
    #[error("partitions came with records to read after this pipe's end; start it again")]
    TooLate,
}

/// Reads until the end, the count, a signal, or until a program of the pipe dies.
pub(super) fn run(config: &Group, ack: &Ack, signals: &Signals) -> Result<Exit> {
    let interrupted = || signals.caught().is_some();
    let wait = config.options.first_contact;
    let name = new_run();
    let listener = Listener::bind(&ack.path, wait, &interrupted);
    let source = listener.and_then(|listener| listener.accept(&name, wait, &interrupted));
    let source = match source {
        Err(AckError::Interrupted) => return Ok(Exit::Done),
        other => other?,
    };
    let Some(consumer) = Consumer::join(config, Stop::AtGroupEnd, signals)? else {
        return Ok(Exit::Done);
    };
    let limit = ack.max_inflight.unwrap_or(match source.kind() {
        SinkKind::Plain => MAX_INFLIGHT,
        // These sinks do not duplicate what was in flight at a crash.
        SinkKind::Transactional | SinkKind::Segment => u64::MAX,
    });
    let ack_source = AckSource {
        progress: Progress::new(config.options.verbosity >= 0, config.count),
        lines: Lines::new(&config.output, ack.shape)?,
        in_flight: InFlight::new(limit, source.kind() == SinkKind::Transactional),
        source,
        sessions: Sessions::new(name),
        watchdog: Watchdog::new(Instant::now()),
        seen: 0,
        is_ending: false,
        committed_at: Instant::now(),
    };
    ack_source.run_and_leave(consumer)
}

struct AckSource {
    progress: Progress,
    lines: Lines,
    in_flight: InFlight,
    source: Source,
    sessions: Sessions,
    watchdog: Watchdog,
    /// The number of the last line when it was last looked at.
    seen: u64,
    /// Nothing more is read.
    is_ending: bool,
    committed_at: Instant,
}

impl AckSource {
    /// One round without new records.
    fn step(&mut self, consumer: &mut Consumer<'_>) -> Result<()> {
        self.write_and_commit(consumer)?;
        self.wait_for_io(consumer);
        consumer.poll_events(self, 0)
    }

    /// Handles acknowledgements, writes lines and commits.
    fn write_and_commit(&mut self, consumer: &mut Consumer<'_>) -> Result<()> {
        self.poll_sink(consumer)?;
        self.lines.write()?;
        self.commit_if_due(consumer)?;
        self.progress
            .update(self.lines.last(), self.lines.total_bytes());
        Ok(())
    }

    fn poll_sink(&mut self, consumer: &mut Consumer<'_>) -> Result<()> {
        let update = self.source.poll()?;
        let mut is_acknowledged = false;
        for position in &update.positions {
            is_acknowledged |= self.in_flight.acknowledge(position)?;
        }
        // The reader is checked after the sink has received the line: if the reader died within the line, so that the
        // next program of the pipe ended a torn line, it is gone by now.
        if let Some(number) = update.queried_line
            && self.lines.is_last_written(number)?
        {
            self.source.confirm(number)?;
        }
        let now = Instant::now();
        let is_full = self.in_flight.is_full();
        self.watchdog
            .note_sink(is_acknowledged, update.is_working, is_full, now);
        self.restart(consumer, &update.aborted)?;
        if self.watchdog.wants_flush(now) {
            self.source.request_flush(true)?;
        }
        if self.watchdog.is_stalled(now) {
            let lines = self.in_flight.records();
            return Err(PipelineError::Stalled { lines }.into());
        }
        Ok(())
    }

    fn commit_if_due(&mut self, consumer: &mut Consumer<'_>) -> Result<()> {
        let half = (self.in_flight.limit() / 2).clamp(1, COMMIT_RECORDS);
        let is_over = self.committed_at.elapsed() >= COMMIT_INTERVAL;
        if !is_over && self.in_flight.acknowledged() < half {
            return Ok(());
        }
        let positions = self.in_flight.to_commit();
        if consumer.member.commit_soon(&positions)? {
            self.in_flight.begin_commit(&positions);
            self.committed_at = Instant::now();
        }
        Ok(())
    }

    /// Commits synchronously what is acknowledged of these partitions, or of all.
    fn commit_now(
        &mut self,
        consumer: &mut Consumer<'_>,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<()> {
        // A commit in progress is ignored: its offsets are committed again.
        self.in_flight.finish_commit(false);
        let mut positions: Positions = self.in_flight.to_commit();
        positions.retain(|known, _| partitions.is_none_or(|them| them.contains(known)));
        self.in_flight.begin_commit(&positions);
        let committed = consumer.commit(&positions);
        self.in_flight.finish_commit(committed.is_ok());
        self.committed_at = Instant::now();
        Ok(committed?)
    }

    /// Waits a moment for the sink, the pipe or a signal, which the caller looks at.
    fn wait_for_io(&self, consumer: &Consumer<'_>) {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.source.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(consumer.run.signals.as_fd(), PollFlags::IN),
        ];
        if let Some(pipe) = self.lines.waited_for() {
            fds.push(PollFd::from_borrowed_fd(pipe, PollFlags::OUT));
        }
        // The response to a commit frees capacity, but does not end the poll.
        let wait_ms = if consumer.member.is_committing() {
            1
        } else {
            20
        };
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: wait_ms * 1_000_000,
        };
        let _ = rustix::event::poll(&mut fds, Some(&timeout));
    }
}

impl Delivery for AckSource {
    fn advance(&mut self, consumer: &mut Consumer<'_>) -> Result<Next> {
        if self.seen != self.lines.last() {
            self.seen = self.lines.last();
            self.watchdog.note_read(Instant::now());
            self.source.request_flush(false)?;
        }
        if consumer.run.left == 0 {
            return Ok(Next::End);
        }
        self.write_and_commit(consumer)?;
        if self.is_done(consumer)? {
            return Ok(Next::End);
        }
        self.check_generation(consumer)?;
        if self.in_flight.is_full() || self.lines.is_full() {
            self.wait_for_io(consumer);
            return Ok(Next::Wait(0));
        }
        let is_busy = self.in_flight.records() > 0 || self.lines.is_waiting();
        Ok(Next::Read(if is_busy { BUSY_MS } else { IDLE_MS }))
    }

    fn record(&mut self, run: &mut RunState<'_>, record: &Record<'_>) -> Result<bool> {
        if self.lines.add(record, &mut self.in_flight)? {
            run.left -= 1;
        }
        Ok(!self.in_flight.is_full() && !self.lines.is_full())
    }

    fn end(
        &mut self,
        _: &RunState<'_>,
        (topic, partition): (&str, i32),
        offset: i64,
    ) -> Result<()> {
        self.in_flight.pass(&(topic.to_owned(), partition), offset);
        Ok(())
    }

    fn assign(&mut self, consumer: &mut Consumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        if !self.lines.is_open() {
            Self::refuse_late_partitions(consumer, partitions)?;
        }
        let starts = if self.source.kind() == SinkKind::Segment {
            consumer.member.read_starts(partitions)
        } else {
            Vec::new()
        };
        self.begin_session(consumer, partitions, starts)
    }

    fn revoke(
        &mut self,
        consumer: &mut Consumer<'_>,
        partitions: &[TopicPartition],
        lost: bool,
    ) -> Result<()> {
        let mut passed = Vec::new();
        if lost {
            self.count_again(consumer, partitions)?;
        } else {
            self.drain(consumer, Some(partitions))?;
            self.commit_now(consumer, Some(partitions))?;
            passed = self.in_flight.passed(Some(partitions));
        }
        let released = self.in_flight.forget(partitions);
        self.lines.begin_session();
        self.source.released(released, passed)?;
        Ok(self.source.request_flush(false)?)
    }

    fn commit_ended(&mut self, is_committed: bool) {
        self.in_flight.finish_commit(is_committed);
    }
}
