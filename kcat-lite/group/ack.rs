//! `--ack`: every line carries its position, and what the last program of the pipe acknowledges is committed.

mod broken;
mod drain;
mod end;
mod intake;

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use tools::ack::{
    AckError, LineStart, Lines, Listener, ReadStart, Session, SinkKind, Source, Window, Written,
    new_run,
};
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::group::{Member, Polled};
use tools::kafka::types::TopicPartition;

use super::share::GroupEnd;
use super::{Teller, join, patience, stop_of_group};
use crate::config::{Ack, Group};
use crate::output::Encoding;
use broken::Broken;
use intake::Intake;

/// How long an idle member waits before it looks at signals and at both ends of the pipe.
const IDLE_MS: i32 = 100;
/// The same while acknowledgements are to come.
const BUSY_MS: i32 = 5;
/// No more is read while so much waits to be written.
const WAITING_BYTES: usize = 256 * 1024;
/// `--max-inflight`, where the sink doubles what was in flight at a crash.
const MAX_INFLIGHT: u64 = 10_000;
/// A commit is made for so many acknowledged records, however large the window is.
const COMMIT_RECORDS: u64 = 50_000;
/// A commit is made after this long, if there is anything to commit.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// A full window of which nothing is acknowledged for this long means that lines are dropped or kept.
const STALLED: Duration = Duration::from_secs(30);
/// A full window of which nothing is acknowledged for this long makes a sink hurry that keeps records back, a segment say.
const FULL: Duration = Duration::from_millis(250);

/// Reads until the end, the count, a signal or a death in the pipe.
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
        // What was in flight at a crash is not doubled there.
        SinkKind::Transactional | SinkKind::Segment => u64::MAX,
    });
    let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let run = Run {
        signals,
        progress: Progress::new(config.options.verbosity >= 0, config.count),
        encoding: Encoding::new(&config.output, false),
        lines: Some(Lines::new(stdout)),
        window: Window::new(limit, source.kind() == SinkKind::Transactional),
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
        patience: patience(config),
        teller: Teller::new(config.options.verbosity),
        group_end: GroupEnd::new(),
        committed_at: Instant::now(),
        stirred_at: Instant::now(),
        stalled_since: Instant::now(),
        full_since: Instant::now(),
        written_at: Instant::now(),
        checked_at: Instant::now(),
    };
    run.work_and_leave()
}

struct Run<'a> {
    signals: &'a Signals,
    progress: Progress,
    encoding: Encoding,
    /// Standard output; closed at the end of the input.
    lines: Option<Lines>,
    window: Window,
    source: Source,
    member: Member,
    ack: &'a Ack,
    name: String,
    session: Session,
    sessions: u64,
    /// The partition of the record before: the next one is likely of the same.
    current: Option<(TopicPartition, LineStart)>,
    /// The number of the last line.
    number: u64,
    /// Records still to be sent; `-c`.
    left: u64,
    written: u64,
    exit_at_end: bool,
    /// Nothing more is read.
    is_ending: bool,
    patience: Duration,
    teller: Teller,
    group_end: GroupEnd,
    committed_at: Instant,
    /// When the sink acknowledged something last, or said that it is at work.
    stirred_at: Instant,
    /// Since when the window is full and nothing stirs.
    stalled_since: Instant,
    /// The same, when the sink is at work but has acknowledged nothing.
    full_since: Instant,
    /// When a record was taken last.
    written_at: Instant,
    /// When the member's generation was looked at last.
    checked_at: Instant,
}

impl Run<'_> {
    fn work(&mut self) -> anyhow::Result<()> {
        while self.signals.caught().is_none() && self.left > 0 {
            self.tend()?;
            if self.is_through()? {
                return Ok(());
            }
            self.check_generation()?;
            let polled = if self.must_wait() {
                self.wait_for_room();
                self.member.attend(0)?
            } else {
                self.read()?
            };
            self.heed(polled)?;
        }
        Ok(())
    }

    /// Moves everything that can move without new records: lines out, acknowledgements in, positions to the group.
    fn tend(&mut self) -> anyhow::Result<()> {
        self.hear()?;
        self.write()?;
        self.commit_if_due()?;
        self.progress.update(self.written, self.out_bytes());
        Ok(())
    }

    fn out_bytes(&self) -> u64 {
        self.lines.as_ref().map_or(0, Lines::total_bytes)
    }

    fn hear(&mut self) -> anyhow::Result<()> {
        let heard = self.source.hear()?;
        let mut is_acknowledged = false;
        for position in &heard.positions {
            is_acknowledged |= self.window.acknowledge(position)?;
        }
        if let Some(number) = heard.asks_about {
            self.confirm(number)?;
        }
        if is_acknowledged || !self.window.is_full() {
            self.full_since = Instant::now();
        } else if self.full_since.elapsed() > FULL {
            self.source.hurry(true)?;
        }
        let is_news = is_acknowledged || heard.is_holding;
        if is_news || !self.window.is_full() {
            self.stalled_since = Instant::now();
        }
        if is_news {
            self.stirred_at = Instant::now();
        }
        if self.stalled_since.elapsed() > STALLED {
            return Err(self.stalled().into());
        }
        Ok(())
    }

    /// Tells the sink that a line is the last one that was written, if that is so.
    ///
    /// The reader is looked for after the sink has received the line: a reader that has died in the midst of it, so that
    /// the next program of the pipe saw the end of its input and ended the line, is not found any more.
    fn confirm(&mut self, number: u64) -> anyhow::Result<()> {
        let Some(lines) = &self.lines else {
            return Ok(());
        };
        if number != self.number || lines.waiting_bytes() > 0 {
            // Another line comes behind it.
            return Ok(());
        }
        if !lines.has_reader() {
            return Err(Broken::NoReader.into());
        }
        Ok(self.source.confirm(number)?)
    }

    fn stalled(&self) -> Broken {
        Broken::Stalled {
            lines: self.window.in_flight(),
        }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let Some(lines) = &mut self.lines else {
            return Ok(());
        };
        let written = lines.write().map_err(|error| {
            anyhow::Error::new(error).context("cannot write to standard output")
        })?;
        if written == Written::Closed || !lines.has_reader() {
            return Err(Broken::NoReader.into());
        }
        Ok(())
    }

    fn commit_if_due(&mut self) -> anyhow::Result<()> {
        let half = (self.window.limit() / 2).clamp(1, COMMIT_RECORDS);
        let is_over = self.committed_at.elapsed() >= COMMIT_INTERVAL;
        if !is_over && self.window.acknowledged() < half {
            return Ok(());
        }
        let positions = self.window.to_commit();
        if self.member.commit_soon(&positions)? {
            self.window.committing(&positions);
            self.committed_at = Instant::now();
        }
        Ok(())
    }

    /// Whether no record may be read now.
    fn must_wait(&self) -> bool {
        self.window.is_full()
            || self
                .lines
                .as_ref()
                .is_none_or(|lines| lines.waiting_bytes() >= WAITING_BYTES)
    }

    /// Waits a moment until the sink says something or the pipe takes something.
    fn wait_for_room(&self) {
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
        // The answer to a commit makes room, and wakes nobody.
        let wait_ms = if self.member.is_committing() { 1 } else { 20 };
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: wait_ms * 1_000_000,
        };
        // A signal that interrupts it is looked at by the caller.
        let _ = rustix::event::poll(&mut fds, Some(&timeout));
    }

    fn read(&mut self) -> anyhow::Result<Polled> {
        let is_busy = self.window.in_flight() > 0
            || self
                .lines
                .as_ref()
                .is_some_and(|lines| lines.waiting_bytes() > 0);
        let timeout_ms = if is_busy { BUSY_MS } else { IDLE_MS };
        let mut intake = Intake {
            room: self.window.room().min(self.left),
            encoding: &mut self.encoding,
            lines: self.lines.as_mut(),
            window: &mut self.window,
            current: &mut self.current,
            number: &mut self.number,
            ack: self.ack,
            taken: 0,
        };
        let mut failed = None;
        let polled = self
            .member
            .poll(timeout_ms, |item| match intake.take(&item) {
                Ok(flow) => flow,
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            });
        self.written += intake.taken;
        self.left -= intake.taken;
        if intake.taken > 0 {
            self.teller.is_in_contact();
            self.written_at = Instant::now();
            self.source.hurry(false)?;
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(polled?),
        }
    }

    fn heed(&mut self, polled: Polled) -> anyhow::Result<()> {
        match polled {
            Polled::Records(_) => {}
            Polled::Committed => self.window.settle_commit(true),
            Polled::CommitFailed(error) => {
                self.window.settle_commit(false);
                if self.teller.is_verbose() {
                    message(format_args!("positions not committed yet: {error}"));
                }
            }
            Polled::Assigned(places) => self.assign(&places)?,
            Polled::Revoked { places, lost } => self.give_back(&places, lost)?,
            Polled::Trouble(error) => self.teller.say_trouble(&self.member, &error),
        }
        Ok(())
    }

    fn assign(&mut self, places: &[TopicPartition]) -> anyhow::Result<()> {
        self.teller.say_places("assigned", places);
        if self.lines.is_none() {
            self.refuse_what_is_late(places)?;
        }
        let starts = if self.source.kind() == SinkKind::Segment {
            self.member.read_starts(places)
        } else {
            Vec::new()
        };
        self.begin_session(places, starts)
    }

    /// Begins a session for records of these partitions that are read from now on.
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
            return Err(Broken::NoMetadata.into());
        }
        self.source.begin(&self.session)?;
        self.current = None;
        for (topic, partition) in places {
            self.window.begin(&self.session.name, topic, *partition);
        }
        Ok(())
    }
}
