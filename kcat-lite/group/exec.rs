//! `--exec`: runs a command on each batch, and commits a batch whose command exits with 0.

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
use super::child_guard::ChildGuard;
use super::share::GroupEnd;
use super::{StatusReporter, drain_limit, join, stop_of_group};
use crate::config::{Exec, Group};
use crate::output::Encoding;

/// How often an idle member looks at signals.
const IDLE_MS: i32 = 100;

/// Reads batches and runs the command on each, until the end, the count, a signal or a failure.
pub(super) fn run(config: &Group, exec: &Exec, signals: &Signals) -> anyhow::Result<Exit> {
    let Some(member) = join(config, stop_of_group(config), signals)? else {
        return Ok(Exit::Done);
    };
    let mut run = BatchRunner {
        signals,
        exec,
        group: &config.name,
        guard: ChildGuard::start().context("--exec: sh")?,
        encoding: Encoding::new(&config.output, false)?,
        queues: Vec::new(),
        topic_partition: (String::new(), -1),
        queue: 0,
        assigned: BTreeMap::new(),
        assignment: 0,
        passed: Positions::new(),
        read: Positions::new(),
        done: Positions::new(),
        left: config.count.unwrap_or(u64::MAX),
        exit_at_end: config.exit_at_end,
        drain_limit: drain_limit(config),
        status: StatusReporter::new(config.options.verbosity),
        group_end: GroupEnd::new(),
    };
    run.work_and_leave(member)
}

/// The batches of all partitions, or with `--parallel` of one partition.
#[derive(Default)]
struct BatchQueue {
    /// Records are added to this one.
    open: Option<Batch>,
    /// Complete, and next to run.
    ready: Option<Batch>,
    running: Option<Running>,
}

impl BatchQueue {
    fn is_idle(&self) -> bool {
        self.open.is_none() && self.ready.is_none() && self.running.is_none()
    }
}

/// A command exited with another code than 0.
#[derive(Debug, thiserror::Error)]
#[error("--exec: {status}; not committed: {batch}{hint}")]
struct CommandFailed {
    status: ExitStatus,
    batch: String,
    hint: String,
}

struct BatchRunner<'a> {
    signals: &'a Signals,
    exec: &'a Exec,
    group: &'a str,
    guard: ChildGuard,
    encoding: Encoding,
    queues: Vec<(Option<TopicPartition>, BatchQueue)>,
    /// The partition of the last record, likely that of the next one, and its queue.
    topic_partition: TopicPartition,
    queue: usize,
    /// The assigned partitions, each with the number of its assignment.
    assigned: BTreeMap<TopicPartition, u64>,
    assignment: u64,
    /// Ends of partitions, after transaction markers that follow the last record.
    passed: Positions,
    /// The next offsets to read, and the committed ones.
    read: Positions,
    done: Positions,
    /// Records still to be read; `-c`.
    left: u64,
    exit_at_end: bool,
    drain_limit: Duration,
    status: StatusReporter,
    group_end: GroupEnd,
}

impl BatchRunner<'_> {
    fn work_and_leave(&mut self, mut member: Member) -> anyhow::Result<Exit> {
        let worked = self.work(&mut member);
        // Running commands may finish, whatever ended the run: never half a batch.
        for (_, queue) in &mut self.queues {
            (queue.open, queue.ready) = (None, None);
            if queue
                .running
                .as_ref()
                .is_some_and(Running::is_between_tries)
            {
                queue.running = None;
            }
        }
        let settled = self.run_to_end(&mut member, None);
        let passed = self.commit_passed(&mut member);
        member.leave();
        worked?;
        match settled {
            // Ctrl-C in a terminal goes to the command as well.
            Err(error) if self.is_our_signal(&error) => message(error),
            other => drop(other?),
        }
        passed?;
        Ok(Exit::Done)
    }

    /// Whether a command ended by the signal that ends this program.
    fn is_our_signal(&self, error: &anyhow::Error) -> bool {
        let command_failed = error.downcast_ref::<CommandFailed>();
        let signal = command_failed.and_then(|command_failed| command_failed.status.signal());
        signal.is_some() && signal == self.signals.caught()
    }

    fn work(&mut self, member: &mut Member) -> anyhow::Result<()> {
        while self.signals.caught().is_none() {
            self.advance(member)?;
            if self.is_done(member)? {
                return Ok(());
            }
            let wait_ms = self.tick_ms();
            if self.left == 0 || self.is_congested() {
                let polled = member.poll_events(wait_ms)?;
                self.handle_event(member, polled)?;
            } else {
                self.read(member, wait_ms)?;
            }
        }
        Ok(())
    }

    /// Commits ended batches, completes due ones and starts complete ones.
    fn advance(&mut self, member: &mut Member) -> anyhow::Result<()> {
        let (done, failed) = self.collect_ended()?;
        self.commit(member, &done)?;
        if let Some(failed) = failed {
            return Err(failed.into());
        }
        self.drop_revoked();
        let exec = self.exec;
        self.close(|batch| batch.is_due(exec));
        // After the commit: a crash or a lost session repeats only the batches that run.
        self.start_ready()?;
        self.commit_passed(member)
    }

    /// The batches whose commands succeeded, and the first failure.
    fn collect_ended(&mut self) -> anyhow::Result<(Vec<Batch>, Option<CommandFailed>)> {
        let may_retry = self.signals.caught().is_none();
        let (mut done, mut failed) = (Vec::new(), None);
        for (_, queue) in &mut self.queues {
            let Some(running) = &mut queue.running else {
                continue;
            };
            let report_retry = |status, pause: Duration| {
                message(format_args!(
                    "--exec: {status}; trying again in {} s",
                    pause.as_secs()
                ));
            };
            let ended = running.check(self.exec, &mut self.guard, may_retry, report_retry)?;
            let Some(ended) = ended else {
                continue;
            };
            let batch = queue.running.take().map(|running| running.batch);
            let Some(batch) = batch else { continue };
            match ended {
                Ended::Done => done.push(batch),
                Ended::Failed(status) => {
                    // It is no record's fault that there is no such command, or that it was killed.
                    let hint = match status.code() {
                        None | Some(126 | 127) => String::new(),
                        Some(_) => batch.way_past(self.group),
                    };
                    let batch = batch.describe();
                    failed.get_or_insert(CommandFailed {
                        status,
                        batch,
                        hint,
                    });
                }
            }
        }
        Ok((done, failed))
    }

    /// Starts commands for complete batches, as many as may run at a time.
    fn start_ready(&mut self) -> anyhow::Result<()> {
        let queues = self.queues.iter();
        let running = queues.filter(|(_, queue)| queue.running.is_some());
        let mut slots = self.exec.parallel - running.count();
        for (_, queue) in &mut self.queues {
            if slots > 0
                && queue.running.is_none()
                && let Some(batch) = queue.ready.take()
            {
                queue.running = Some(Running::start(batch, self.exec, &mut self.guard)?);
                slots -= 1;
            }
        }
        Ok(())
    }

    /// Runs the remaining batches for at most `limit`; returns whether all have ended.
    fn run_to_end(&mut self, member: &mut Member, limit: Option<Duration>) -> anyhow::Result<bool> {
        let until = limit.map(|limit| Instant::now() + limit);
        loop {
            self.close(|_| true);
            self.advance(member)?;
            if self.queues.iter().all(|(_, queue)| queue.is_idle()) {
                return Ok(true);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
            // Polling keeps the member in the group; a rebalance waits.
            match member.poll_events(self.tick_ms())? {
                Polled::Error(error) => self.status.report_error(member, &error),
                Polled::Revoked {
                    topic_partitions,
                    lost,
                } => self.release(member, &topic_partitions, lost)?,
                Polled::Assigned(topic_partitions) => self.assign(&topic_partitions),
                Polled::Records(_) | Polled::Committed | Polled::CommitFailed(_) => {}
            }
        }
    }

    /// Whether the count or the group's end is reached.
    fn is_done(&mut self, member: &mut Member) -> anyhow::Result<bool> {
        if self.left == 0 {
            self.run_to_end(member, None)?;
            // Batches of revoked partitions are read again.
            return Ok(self.left == 0);
        }
        if !self.exit_at_end || !member.has_read_all() {
            return Ok(false);
        }
        if !self.queues.iter().all(|(_, queue)| queue.is_idle()) {
            // No more records: complete the open batches.
            self.close(|_| true);
            return Ok(false);
        }
        Ok(self.group_end.is_reached(member, |_, _| false)?)
    }

    fn tick_ms(&self) -> i32 {
        let queues = self.queues.iter();
        let running = queues.filter_map(|(_, queue)| queue.running.as_ref());
        let batch_ms = self.exec.batch_wait.as_millis().clamp(1, IDLE_MS as u128);
        running
            .map(Running::tick_ms)
            .min()
            .unwrap_or(batch_ms as i32)
    }
}
