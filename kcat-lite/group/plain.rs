//! `-G` alone: what standard output has taken is committed, and nothing else.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tools::cli::progress::Progress;
use tools::cli::signals::Signals;
use tools::cli::stdout::OutError;
use tools::cli::{Exit, message};
use tools::kafka::consume::Item;
use tools::kafka::group::{GroupError, Member, Polled, Positions, Stop};

use super::{Teller, join};
use crate::config::Group;
use crate::ledger::Ledger;
use crate::output::{Put, Writer, say_idle};

/// How long an idle member waits before it looks at signals and at the reader of the pipe.
const IDLE_MS: i32 = 100;
/// `auto.commit.interval.ms`, where the user does not say it.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);

/// Reads as a member of the group until the end, the count, a signal, or nobody listens.
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
    let mut run = Run {
        signals,
        progress: Progress::new(verbosity >= 0 && !writer.out().is_terminal(), config.count),
        writer,
        ledger: Ledger::default(),
        left: config.count.unwrap_or(u64::MAX),
        teller: Teller::new(verbosity),
        keeps_trying: config.output.keep_trying,
        commit_interval: interval_ms.map_or(COMMIT_INTERVAL, Duration::from_millis),
        committed_at: Instant::now(),
        idle: config.idle,
        last_record_at: None,
    };
    let result = run.read_and_leave(member);
    drop(run.progress);
    run.writer.say_what_was_odd(verbosity < 0);
    signals.end_line();
    result.map(|()| run.writer.exit())
}

struct Run<'a> {
    signals: &'a Signals,
    progress: Progress,
    writer: Writer,
    ledger: Ledger,
    /// Records still to be written; `-c`.
    left: u64,
    teller: Teller,
    keeps_trying: bool,
    commit_interval: Duration,
    committed_at: Instant,
    /// `--idle`
    idle: Option<Duration>,
    /// Where nothing is assigned yet, no record can come.
    last_record_at: Option<Instant>,
}

impl Run<'_> {
    /// Whatever ended the reading: what is out is committed, and the group is left in order.
    fn read_and_leave(&mut self, mut member: Member) -> anyhow::Result<()> {
        let read = self.read_all(&mut member);
        // What came before a bad record, or before the end, is good.
        let flushed = self.flush();
        let committed = member.commit(&self.ledger.taken());
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
                // Nothing is held back, and nobody is waited for in vain.
                self.flush()?;
                if !self.writer.out().has_reader() || self.has_been_idle()? {
                    return Ok(());
                }
                timeout_ms = IDLE_MS;
            }
            if self.committed_at.elapsed() >= self.commit_interval {
                self.committed_at = Instant::now();
                if member.commit_soon(&self.ledger.unsent())? {
                    self.ledger.sent();
                }
            }
        }
        Ok(())
    }

    /// Commits what is out; says whether it was still this member's. What was not is read again.
    fn has_committed(&mut self, member: &mut Member) -> anyhow::Result<bool> {
        self.flush()?;
        match member.commit(&self.ledger.taken()) {
            Err(GroupError::Lost { .. }) => Ok(false),
            other => other.map(|()| true).map_err(Into::into),
        }
    }

    /// Whether no record has come for as long as `--idle` says.
    fn has_been_idle(&self) -> anyhow::Result<bool> {
        let is_over = |idle: &Duration| {
            let since = self.last_record_at;
            since.is_some_and(|since| since.elapsed() >= *idle)
        };
        let Some(idle) = self.idle.filter(is_over) else {
            return Ok(false);
        };
        say_idle(idle, self.teller.is_cut_off(), self.teller.is_quiet())?;
        Ok(true)
    }

    /// Writes what has arrived, or does what the group asks; says whether there was nothing to do.
    fn step(&mut self, member: &mut Member, timeout_ms: i32) -> anyhow::Result<bool> {
        let mut failed = None;
        let polled = member.poll(timeout_ms, |item| match self.take(&item) {
            Ok(flow) => flow,
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        match polled {
            Ok(Polled::Records(records)) => return Ok(records == 0),
            Ok(Polled::Assigned(places)) => {
                self.last_record_at = Some(Instant::now());
                self.teller.say_places("assigned", &places);
            }
            Ok(Polled::Revoked { places, lost }) => self.give_back(member, &places, lost)?,
            Ok(Polled::Committed) => {}
            Ok(Polled::CommitFailed(error)) => {
                self.ledger.send_again();
                if self.teller.is_verbose() {
                    message(format_args!("positions not committed yet: {error}"));
                }
            }
            Ok(Polled::Trouble(error)) => self.teller.say_trouble(member, &error),
            Err(error) if self.keeps_trying => message(&error),
            Err(error) => return Err(error.into()),
        }
        Ok(false)
    }

    fn take(&mut self, item: &Item<'_>) -> anyhow::Result<ControlFlow<()>> {
        self.teller.is_in_contact();
        match *item {
            Item::Record(record) => {
                let put = self.writer.put(record)?;
                let (Some(topic), Some(partition), Some(offset)) =
                    (record.topic, record.partition, record.offset)
                else {
                    anyhow::bail!("a record without a place");
                };
                let end_byte = self.writer.out().total_bytes();
                self.ledger.note(topic, partition, offset + 1, end_byte);
                if put == Put::Taken {
                    self.last_record_at = Some(Instant::now());
                    self.flush_if_due()?;
                    self.left -= 1;
                }
            }
            Item::End {
                topic,
                partition,
                offset,
            } => {
                // Transaction markers behind the last record need not be read again.
                let end_byte = self.writer.out().total_bytes();
                self.ledger.note(topic, partition, offset, end_byte);
                if !self.teller.is_quiet() {
                    self.flush()?;
                    message(format_args!(
                        "reached the end of {topic} [{partition}] at offset {offset}"
                    ));
                }
            }
        }
        Ok(if self.left == 0 || self.signals.caught().is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let result = self.writer.flush(self.signals);
        self.ledger.settle(self.writer.out().taken_bytes());
        Ok(result?)
    }

    fn flush_if_due(&mut self) -> anyhow::Result<()> {
        let result = self.writer.flush_if_due(self.signals);
        if !matches!(result, Ok(false)) {
            self.ledger.settle(self.writer.out().taken_bytes());
        }
        result?;
        Ok(())
    }

    /// The group takes partitions away: what is out is committed before they go.
    fn give_back(
        &mut self,
        member: &mut Member,
        places: &[(String, i32)],
        lost: bool,
    ) -> anyhow::Result<()> {
        let flushed = self.flush();
        if lost {
            message(
                "the group has given this member's partitions away; records written since the last commit come again",
            );
        } else {
            let mut positions: Positions = self.ledger.taken();
            positions.retain(|place, _| places.contains(place));
            if let Err(error) = member.commit(&positions) {
                // Whoever gets the partitions reads those records again: nothing is lost.
                message(error);
            }
        }
        self.ledger.forget(places);
        self.teller.say_places("revoked", places);
        member.release()?;
        flushed
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(OutError::Closed))
}
