//! `--exec`: a batch at a time goes to a command, and what the command has taken is committed.

mod fill;
mod membership;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Context;
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::group::{Member, Polled, Positions};
use tools::kafka::types::TopicPartition;

use super::batch::{Batch, Ended, Running};
use super::guard::Guard;
use super::share::GroupEnd;
use super::{Teller, join, patience, stop_of_group};
use crate::config::{Exec, Group};
use crate::output::Encoding;

/// How long an idle member waits before it looks at signals.
const IDLE_MS: i32 = 100;

/// Reads batches and runs the command on each, until the end, the count, a signal or a failure.
pub(super) fn run(config: &Group, exec: &Exec, signals: &Signals) -> anyhow::Result<Exit> {
    let Some(member) = join(config, stop_of_group(config), signals)? else {
        return Ok(Exit::Done);
    };
    let mut run = Run {
        signals,
        exec,
        guard: Guard::start().context("--exec: sh")?,
        encoding: Encoding::new(&config.output, false),
        stations: Vec::new(),
        assigned: BTreeMap::new(),
        assignment: 0,
        passed: Positions::new(),
        read: Positions::new(),
        done: Positions::new(),
        left: config.count.unwrap_or(u64::MAX),
        exit_at_end: config.exit_at_end,
        patience: patience(config),
        teller: Teller::new(config.options.verbosity),
        group_end: GroupEnd::new(),
    };
    run.work_and_leave(member)
}

/// Where batches wait for their turn: one for everything, or with `--parallel` one for each partition.
#[derive(Default)]
struct Station {
    /// What records are added to.
    open: Option<Batch>,
    /// Complete, and next.
    ready: Option<Batch>,
    running: Option<Running>,
}

impl Station {
    fn is_idle(&self) -> bool {
        self.open.is_none() && self.ready.is_none() && self.running.is_none()
    }
}

/// A batch whose command did not take it.
#[derive(Debug, thiserror::Error)]
#[error("--exec: {status}; not committed: {batch}")]
struct NotTaken {
    status: ExitStatus,
    batch: String,
}

struct Run<'a> {
    signals: &'a Signals,
    exec: &'a Exec,
    guard: Guard,
    encoding: Encoding,
    stations: Vec<(Option<TopicPartition>, Station)>,
    /// The partitions that this member has, each with the number of the assignment that brought it.
    assigned: BTreeMap<TopicPartition, u64>,
    assignment: u64,
    /// Ends of partitions, where nothing but markers of transactions may be behind the last record.
    passed: Positions,
    /// The positions behind what was read, and behind what is committed of it.
    read: Positions,
    done: Positions,
    /// Records still to be read; `-c`.
    left: u64,
    exit_at_end: bool,
    patience: Duration,
    teller: Teller,
    group_end: GroupEnd,
}

impl Run<'_> {
    fn work_and_leave(&mut self, mut member: Member) -> anyhow::Result<Exit> {
        let worked = self.work(&mut member);
        // What runs is let come to its end, whatever stopped the others: never half a batch.
        for (_, station) in &mut self.stations {
            (station.open, station.ready) = (None, None);
            if station
                .running
                .as_ref()
                .is_some_and(Running::is_between_tries)
            {
                station.running = None;
            }
        }
        let settled = self.settle(&mut member, None);
        let passed = self.commit_passed(&mut member);
        member.leave();
        worked?;
        match settled {
            // The terminal's Ctrl-C goes to the command as well.
            Err(error) if self.is_our_signal(&error) => message(error),
            other => drop(other?),
        }
        passed?;
        Ok(Exit::Done)
    }

    /// Whether a command ended by the signal that ends this program.
    fn is_our_signal(&self, error: &anyhow::Error) -> bool {
        let not_taken = error.downcast_ref::<NotTaken>();
        let signal = not_taken.and_then(|not_taken| not_taken.status.signal());
        signal.is_some() && signal == self.signals.caught()
    }

    fn work(&mut self, member: &mut Member) -> anyhow::Result<()> {
        while self.signals.caught().is_none() {
            self.tend(member)?;
            if self.is_through(member)? {
                return Ok(());
            }
            let wait_ms = self.tick_ms();
            if self.left == 0 || self.is_congested() {
                let polled = member.attend(wait_ms)?;
                self.heed(member, polled)?;
            } else {
                self.read(member, wait_ms)?;
            }
        }
        Ok(())
    }

    /// Lets batches go forward: complete, running, committed.
    fn tend(&mut self, member: &mut Member) -> anyhow::Result<()> {
        let (done, failed) = self.take_ended()?;
        self.commit(member, &done)?;
        if let Some(failed) = failed {
            return Err(failed.into());
        }
        self.drop_given_away();
        let exec = self.exec;
        self.close(|batch| batch.is_due(exec));
        // Behind the commit: a death or a lost session repeats the one batch that runs, and no other.
        self.start_ready()?;
        self.commit_passed(member)
    }

    /// The batches whose commands have taken them, and the first one whose command has not.
    fn take_ended(&mut self) -> anyhow::Result<(Vec<Batch>, Option<NotTaken>)> {
        let may_retry = self.signals.caught().is_none();
        let (mut done, mut failed) = (Vec::new(), None);
        for (_, station) in &mut self.stations {
            let Some(running) = &mut station.running else {
                continue;
            };
            let say_retry = |status, pause: Duration| {
                message(format_args!(
                    "--exec: {status}; trying again in {} s",
                    pause.as_secs()
                ));
            };
            let ended = running.check(self.exec, &mut self.guard, may_retry, say_retry)?;
            let Some(ended) = ended else {
                continue;
            };
            let batch = station.running.take().map(|running| running.batch);
            let Some(batch) = batch else { continue };
            match ended {
                Ended::Done => done.push(batch),
                Ended::Failed(status) => {
                    let batch = batch.describe();
                    failed.get_or_insert(NotTaken { status, batch });
                }
            }
        }
        Ok((done, failed))
    }

    /// Starts commands for complete batches, as many as may run at a time.
    fn start_ready(&mut self) -> anyhow::Result<()> {
        let stations = self.stations.iter();
        let running = stations.filter(|(_, station)| station.running.is_some());
        let mut slots = self.exec.parallel - running.count();
        for (_, station) in &mut self.stations {
            if slots > 0
                && station.running.is_none()
                && let Some(batch) = station.ready.take()
            {
                station.running = Some(Running::start(batch, self.exec, &mut self.guard)?);
                slots -= 1;
            }
        }
        Ok(())
    }

    /// Runs what is left to its end, or until `limit` is over; says whether all is done.
    fn settle(&mut self, member: &mut Member, limit: Option<Duration>) -> anyhow::Result<bool> {
        let until = limit.map(|limit| Instant::now() + limit);
        loop {
            self.close(|_| true);
            self.tend(member)?;
            if self.stations.iter().all(|(_, station)| station.is_idle()) {
                return Ok(true);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
            // The member stays one; a rebalance waits until this is done.
            match member.attend(self.tick_ms())? {
                Polled::Trouble(error) => self.teller.say_trouble(member, &error),
                Polled::Revoked { places, lost } => self.release(member, &places, lost)?,
                Polled::Assigned(places) => self.assign(&places),
                Polled::Records(_) | Polled::Committed | Polled::CommitFailed(_) => {}
            }
        }
    }

    /// Whether all that was asked for is dealt with.
    fn is_through(&mut self, member: &mut Member) -> anyhow::Result<bool> {
        if self.left == 0 {
            self.settle(member, None)?;
            // What the group gave away before a command had it is read again.
            return Ok(self.left == 0);
        }
        if !self.exit_at_end || !member.has_read_its_share() {
            return Ok(false);
        }
        if !self.stations.iter().all(|(_, station)| station.is_idle()) {
            // Nothing more comes: there is nothing to wait for.
            self.close(|_| true);
            return Ok(false);
        }
        Ok(self.group_end.is_reached(member, |_, _| false)?)
    }

    fn tick_ms(&self) -> i32 {
        let stations = self.stations.iter();
        let running = stations.filter_map(|(_, station)| station.running.as_ref());
        let batch_ms = self.exec.batch_wait.as_millis().clamp(1, IDLE_MS as u128);
        running
            .map(Running::tick_ms)
            .min()
            .unwrap_or(batch_ms as i32)
    }
}
