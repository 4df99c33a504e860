//! `--ack`: writes lines with positions, and commits what the last program of the pipe acknowledges.

mod drain;
mod end;
mod error;
mod line_encoder;

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use tools::ack::{
    AckError, InFlight, LineStart, LineWriter, Listener, ReadStart, Session, SinkKind, Source,
    WriteProgress, new_run,
};
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::consume::Item;
use tools::kafka::group::{Member, Polled};
use tools::kafka::types::TopicPartition;

use super::share::GroupEnd;
use super::{StatusReporter, drain_limit, join, stop_of_group};
use crate::config::{Ack, Group};
use crate::output::Encoding;
use error::PipelineError;
use line_encoder::LineEncoder;

/// How often an idle member looks at signals and at the pipe.
const IDLE_MS: i32 = 100;
/// The same while acknowledgements are to come.
const BUSY_MS: i32 = 5;
/// No more records are read while this many bytes wait to be written.
const WAITING_BYTES: usize = 256 * 1024;
/// Default of `--max-inflight` if the sink duplicates what was in flight at a crash.
const MAX_INFLIGHT: u64 = 10_000;
/// Commit after this many acknowledged records, also if `--max-inflight` is larger.
const COMMIT_RECORDS: u64 = 50_000;
/// Commit after this time, if there is anything to commit.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// A pipe that is full for this long without an acknowledgement drops or buffers lines.
const STALLED: Duration = Duration::from_secs(30);
/// A pipe that is full for this long without an acknowledgement asks the sink to flush: it may collect a segment.
const FLUSH_AFTER: Duration = Duration::from_millis(250);

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
    let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let run = AckSource {
        signals,
        progress: Progress::new(config.options.verbosity >= 0, config.count),
        encoding: Encoding::new(&config.output, false),
        lines: Some(LineWriter::new(stdout)),
        in_flight: InFlight::new(limit, source.kind() == SinkKind::Transactional),
        source,
        member,
        ack,
        name,
        session: Session::default(),
        sessions: 0,
        current: None,
        number: 0,
        left: config.count.unwrap_or(u64::MAX),
        written: 0,
        exit_at_end: config.exit_at_end,
        is_ending: false,
        drain_limit: drain_limit(config),
        status: StatusReporter::new(config.options.verbosity),
        group_end: GroupEnd::new(),
        committed_at: Instant::now(),
        last_activity: Instant::now(),
        stalled_since: Instant::now(),
        full_since: Instant::now(),
        written_at: Instant::now(),
        checked_at: Instant::now(),
    };
    run.work_and_leave()
}

struct AckSource<'a> {
    signals: &'a Signals,
    progress: Progress,
    encoding: Encoding,
    /// Standard output; closed at the end of the input.
    lines: Option<LineWriter>,
    in_flight: InFlight,
    source: Source,
    member: Member,
    ack: &'a Ack,
    name: String,
    session: Session,
    sessions: u64,
    /// The partition of the last record, likely that of the next one.
    current: Option<(TopicPartition, LineStart)>,
    /// The number of the last line.
    number: u64,
    /// Records still to be sent; `-c`.
    left: u64,
    written: u64,
    exit_at_end: bool,
    /// Nothing more is read.
    is_ending: bool,
    drain_limit: Duration,
    status: StatusReporter,
    group_end: GroupEnd,
    committed_at: Instant,
    /// When the sink last acknowledged something or sent a keep-alive.
    last_activity: Instant,
    /// Since when the pipe is full and the sink sends nothing.
    stalled_since: Instant,
    /// Since when the pipe is full and nothing is acknowledged.
    full_since: Instant,
    /// When the last record was read.
    written_at: Instant,
    /// When the member's generation was checked last.
    checked_at: Instant,
}

impl AckSource<'_> {
    fn work(&mut self) -> anyhow::Result<()> {
        while self.signals.caught().is_none() && self.left > 0 {
            self.advance()?;
            if self.is_done()? {
                return Ok(());
            }
            self.check_generation()?;
            let polled = if self.is_blocked() {
                self.wait_for_io();
                self.member.poll_events(0)?
            } else {
                self.read()?
            };
            self.handle_event(polled)?;
        }
        Ok(())
    }

    /// Handles acknowledgements, writes lines and commits, without reading records.
    fn advance(&mut self) -> anyhow::Result<()> {
        self.poll_sink()?;
        self.write()?;
        self.commit_if_due()?;
        self.progress.update(self.written, self.out_bytes());
        Ok(())
    }

    fn out_bytes(&self) -> u64 {
        self.lines.as_ref().map_or(0, LineWriter::total_bytes)
    }

    fn poll_sink(&mut self) -> anyhow::Result<()> {
        let update = self.source.poll()?;
        let mut is_acknowledged = false;
        for position in &update.positions {
            is_acknowledged |= self.in_flight.acknowledge(position)?;
        }
        if let Some(number) = update.queried_line {
            self.confirm(number)?;
        }
        if is_acknowledged || !self.in_flight.is_full() {
            self.full_since = Instant::now();
        } else if self.full_since.elapsed() > FLUSH_AFTER {
            self.source.request_flush(true)?;
        }
        let is_news = is_acknowledged || update.is_working;
        if is_news || !self.in_flight.is_full() {
            self.stalled_since = Instant::now();
        }
        if is_news {
            self.last_activity = Instant::now();
        }
        if self.stalled_since.elapsed() > STALLED {
            return Err(self.stalled().into());
        }
        Ok(())
    }

    /// Confirms to the sink that a line is the last one written, if so.
    ///
    /// The reader is checked after the sink has received the line: if the reader died within the line, so that the next
    /// program of the pipe ended a torn line, it is gone by now.
    fn confirm(&mut self, number: u64) -> anyhow::Result<()> {
        let Some(lines) = &self.lines else {
            return Ok(());
        };
        if number != self.number || lines.waiting_bytes() > 0 {
            // Another line follows.
            return Ok(());
        }
        if !lines.has_reader() {
            return Err(PipelineError::NoReader.into());
        }
        Ok(self.source.confirm(number)?)
    }

    fn stalled(&self) -> PipelineError {
        PipelineError::Stalled {
            lines: self.in_flight.records(),
        }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let Some(lines) = &mut self.lines else {
            return Ok(());
        };
        let written = lines.write().map_err(|error| {
            anyhow::Error::new(error).context("cannot write to standard output")
        })?;
        if written == WriteProgress::Closed || !lines.has_reader() {
            return Err(PipelineError::NoReader.into());
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

    /// Whether reading must pause.
    fn is_blocked(&self) -> bool {
        self.in_flight.is_full()
            || self
                .lines
                .as_ref()
                .is_none_or(|lines| lines.waiting_bytes() >= WAITING_BYTES)
    }

    /// Waits a moment for the sink or the pipe.
    fn wait_for_io(&self) {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.source.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
        ];
        if let Some(lines) = self
            .lines
            .as_ref()
            .filter(|lines| lines.waiting_bytes() > 0)
        {
            fds.push(PollFd::from_borrowed_fd(lines.as_fd(), PollFlags::OUT));
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
        let is_busy = self.in_flight.records() > 0
            || self
                .lines
                .as_ref()
                .is_some_and(|lines| lines.waiting_bytes() > 0);
        let timeout_ms = if is_busy { BUSY_MS } else { IDLE_MS };
        let mut line_encoder = LineEncoder {
            capacity: self.in_flight.capacity().min(self.left),
            encoding: &mut self.encoding,
            lines: self.lines.as_mut(),
            in_flight: &mut self.in_flight,
            current: &mut self.current,
            number: &mut self.number,
            ack: self.ack,
            taken: 0,
        };
        let mut failed = None;
        let mut visitor = |item: Item<'_>| match line_encoder.take(&item) {
            Ok(flow) => flow,
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        };
        let polled = self.member.poll(timeout_ms, &mut visitor);
        self.written += line_encoder.taken;
        self.left -= line_encoder.taken;
        if line_encoder.taken > 0 {
            self.status.is_in_contact();
            self.written_at = Instant::now();
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
            Polled::Assigned(places) => self.assign(&places)?,
            Polled::Revoked { places, lost } => self.revoke(&places, lost)?,
            Polled::Error(error) => self.status.report_error(&self.member, &error),
        }
        Ok(())
    }

    fn assign(&mut self, places: &[TopicPartition]) -> anyhow::Result<()> {
        self.status.report_partitions("assigned", places);
        if self.lines.is_none() {
            self.refuse_late_partitions(places)?;
        }
        let starts = if self.source.kind() == SinkKind::Segment {
            self.member.read_starts(places)
        } else {
            Vec::new()
        };
        self.begin_session(places, starts)
    }

    /// Begins a session for the records of these partitions read from now on.
    fn begin_session(
        &mut self,
        places: &[TopicPartition],
        starts: Vec<ReadStart>,
    ) -> anyhow::Result<()> {
        self.sessions += 1;
        self.session = Session {
            name: format!("{}.{}", self.name, self.sessions),
            metadata: self.member.metadata(),
            places: places.to_vec(),
            starts,
            partition_counts: self.member.partition_counts(),
        };
        let metadata = &self.session.metadata;
        let is_empty = metadata.generation < 0 || metadata.member.is_empty();
        if is_empty && self.source.kind() == SinkKind::Transactional && !places.is_empty() {
            return Err(PipelineError::NoMetadata.into());
        }
        self.source.begin(&self.session)?;
        self.current = None;
        for (topic, partition) in places {
            self.in_flight.begin(&self.session.name, topic, *partition);
        }
        Ok(())
    }
}
