//! `--ack`: writes lines with positions, and commits what the last program of the pipe acknowledges.

mod drain;
mod end;
mod error;
mod lines;
mod sessions;
mod watchdog;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use tools::ack::{AckError, InFlight, Listener, ReadStart, SinkKind, Source, new_run};
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::group::{Member, Polled};
use tools::kafka::types::TopicPartition;

use super::share::GroupEnd;
use super::{StatusReporter, drain_limit, join, stop_of_group};
use crate::config::{Ack, Group};
use error::PipelineError;
use lines::{LineEncoder, Lines};
use sessions::Sessions;
use watchdog::Watchdog;

/// How often an idle member looks at signals and at the pipe.
const IDLE_MS: i32 = 100;
/// The same while acknowledgements are to come.
const BUSY_MS: i32 = 5;
/// Default of `--max-inflight` if the sink duplicates what was in flight at a crash.
const MAX_INFLIGHT: u64 = 10_000;
/// Commit after this many acknowledged records, also if `--max-inflight` is larger.
const COMMIT_RECORDS: u64 = 50_000;
/// Commit after this time, if there is anything to commit.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Reads until the end, the count, a signal, or until a program of the pipe dies.
pub(super) fn run(config: &Group, ack: &Ack, signals: &Signals) -> anyhow::Result<Exit> {
    let interrupted = || signals.caught().is_some();
    let wait = config.options.first_contact;
    let name = new_run();
    let listener = Listener::bind(&ack.path, wait, &interrupted);
    let source = listener.and_then(|listener| listener.accept(&name, wait, &interrupted));
    let source = match source {
        Err(AckError::Interrupted) => return Ok(Exit::Done),
        other => other?,
    };
    let Some(member) = join(config, stop_of_group(config), signals)? else {
        return Ok(Exit::Done);
    };
    let limit = ack.max_inflight.unwrap_or(match source.kind() {
        SinkKind::Plain => MAX_INFLIGHT,
        // These sinks do not duplicate what was in flight at a crash.
        SinkKind::Transactional | SinkKind::Segment => u64::MAX,
    });
    let run = AckSource {
        signals,
        progress: Progress::new(config.options.verbosity >= 0, config.count),
        lines: Lines::new(&config.output, ack.shape)?,
        in_flight: InFlight::new(limit, source.kind() == SinkKind::Transactional),
        source,
        member,
        sessions: Sessions::new(name),
        watchdog: Watchdog::new(Instant::now()),
        left: config.count.unwrap_or(u64::MAX),
        exit_at_end: config.exit_at_end,
        is_ending: false,
        drain_limit: drain_limit(config),
        status: StatusReporter::new(config.options.verbosity),
        group_end: GroupEnd::new(),
        committed_at: Instant::now(),
    };
    run.work_and_leave()
}

struct AckSource<'a> {
    signals: &'a Signals,
    progress: Progress,
    lines: Lines,
    in_flight: InFlight,
    source: Source,
    member: Member,
    sessions: Sessions,
    watchdog: Watchdog,
    /// Records still to be sent; `-c`.
    left: u64,
    exit_at_end: bool,
    /// Nothing more is read.
    is_ending: bool,
    drain_limit: Duration,
    status: StatusReporter,
    group_end: GroupEnd,
    committed_at: Instant,
}

impl AckSource<'_> {
    fn work(&mut self) -> anyhow::Result<()> {
        while self.signals.caught().is_none() && self.left > 0 {
            self.advance()?;
            if self.is_done()? {
                return Ok(());
            }
            self.check_generation()?;
            if self.in_flight.is_full() || self.lines.is_full() {
                self.wait_and_poll()?;
            } else {
                let polled = self.read()?;
                self.handle_event(polled)?;
            }
        }
        Ok(())
    }

    /// One round without new records.
    fn step(&mut self) -> anyhow::Result<()> {
        self.advance()?;
        self.wait_and_poll()
    }

    /// Handles acknowledgements, writes lines and commits, without reading records.
    fn advance(&mut self) -> anyhow::Result<()> {
        self.poll_sink()?;
        self.lines.write()?;
        self.commit_if_due()?;
        self.progress
            .update(self.lines.last(), self.lines.total_bytes());
        Ok(())
    }

    fn poll_sink(&mut self) -> anyhow::Result<()> {
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
        if self.watchdog.wants_flush(now) {
            self.source.request_flush(true)?;
        }
        if self.watchdog.is_stalled(now) {
            let lines = self.in_flight.records();
            return Err(PipelineError::Stalled { lines }.into());
        }
        Ok(())
    }

    fn commit_if_due(&mut self) -> anyhow::Result<()> {
        let half = (self.in_flight.limit() / 2).clamp(1, COMMIT_RECORDS);
        let is_over = self.committed_at.elapsed() >= COMMIT_INTERVAL;
        if !is_over && self.in_flight.acknowledged() < half {
            return Ok(());
        }
        let positions = self.in_flight.to_commit();
        if self.member.commit_soon(&positions)? {
            self.in_flight.begin_commit(&positions);
            self.committed_at = Instant::now();
        }
        Ok(())
    }

    /// Waits a moment for the sink or the pipe, and stays a member.
    fn wait_and_poll(&mut self) -> anyhow::Result<()> {
        self.wait_for_io();
        let polled = self.member.poll_events(0)?;
        self.handle_event(polled)
    }

    fn wait_for_io(&self) {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.source.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
        ];
        if let Some(pipe) = self.lines.waited_for() {
            fds.push(PollFd::from_borrowed_fd(pipe, PollFlags::OUT));
        }
        // The response to a commit frees capacity, but does not end the poll.
        let wait_ms = if self.member.is_committing() { 1 } else { 20 };
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: wait_ms * 1_000_000,
        };
        // The caller looks at signals.
        let _ = rustix::event::poll(&mut fds, Some(&timeout));
    }

    fn read(&mut self) -> anyhow::Result<Polled> {
        let is_busy = self.in_flight.records() > 0 || self.lines.is_waiting();
        let mut encoder = LineEncoder {
            capacity: self.in_flight.capacity().min(self.left),
            lines: &mut self.lines,
            in_flight: &mut self.in_flight,
            taken: 0,
            failed: None,
        };
        let timeout_ms = if is_busy { BUSY_MS } else { IDLE_MS };
        let polled = self.member.poll(timeout_ms, &mut encoder);
        let LineEncoder { taken, failed, .. } = encoder;
        self.left -= taken;
        if taken > 0 {
            self.status.is_in_contact();
            self.watchdog.note_read(Instant::now());
            self.source.request_flush(false)?;
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(polled?),
        }
    }

    fn handle_event(&mut self, polled: Polled) -> anyhow::Result<()> {
        match polled {
            Polled::Records(_) => {}
            Polled::Committed => self.in_flight.finish_commit(true),
            Polled::CommitFailed(error) => {
                self.in_flight.finish_commit(false);
                if self.status.is_verbose() {
                    message(format_args!("positions not committed yet: {error}"));
                }
            }
            Polled::Assigned(topic_partitions) => self.assign(&topic_partitions)?,
            Polled::Revoked {
                topic_partitions,
                lost,
            } => self.revoke(&topic_partitions, lost)?,
            Polled::Error(error) => self.status.report_error(&self.member, &error),
        }
        Ok(())
    }

    fn assign(&mut self, topic_partitions: &[TopicPartition]) -> anyhow::Result<()> {
        self.status.report_partitions("assigned", topic_partitions);
        if !self.lines.is_open() {
            self.refuse_late_partitions(topic_partitions)?;
        }
        let starts = if self.source.kind() == SinkKind::Segment {
            self.member.read_starts(topic_partitions)
        } else {
            Vec::new()
        };
        self.begin_session(topic_partitions, starts)
    }

    /// Begins a session for the records of these partitions read from now on.
    fn begin_session(
        &mut self,
        topic_partitions: &[TopicPartition],
        starts: Vec<ReadStart>,
    ) -> anyhow::Result<()> {
        let session = self.sessions.begin(&self.member, topic_partitions, starts);
        let metadata = &session.metadata;
        let is_empty = metadata.generation < 0 || metadata.member.is_empty();
        if is_empty && self.source.kind() == SinkKind::Transactional && !topic_partitions.is_empty()
        {
            return Err(PipelineError::NoMetadata.into());
        }
        self.source.begin(session)?;
        self.lines.begin_session();
        for (topic, partition) in topic_partitions {
            self.in_flight.begin(&session.name, topic, *partition);
        }
        Ok(())
    }
}
