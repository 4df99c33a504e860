//! `--exec`: runs a command on each batch, and commits a batch whose command exits with 0.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tools::cli::signals::Signals;
use tools::cli::{Exit, message};
use tools::kafka::group::{Positions, Stop};
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::batch::{Batch, KEEP};
use super::batch_committer::BatchCommitter;
use super::batch_queue::{Ended, Running};
use super::batch_queues::BatchQueues;
use super::child_guard::ChildGuard;
use super::consumer::{Consumer, Delivery, IDLE_MS, Next, RunState, position};
use crate::config::{Exec, Group};
use crate::output::{BadRecord, EncodeRefusal, Encoding};

/// After a longer turn this program may have been suspended, and the group may have given its partitions away.
const LONG_TURN: Duration = Duration::from_secs(2);

/// Reads batches and runs the command on each, until the end, the count, a signal or a failure.
pub(super) fn run(config: &Group, exec: &Exec, signals: &Signals) -> Result<Exit> {
    let Some(consumer) = Consumer::join(config, Stop::AtGroupEnd, signals)? else {
        return Ok(Exit::Done);
    };
    let runner = BatchRunner {
        exec,
        group: &config.name,
        guard: ChildGuard::start().context("--exec: sh")?,
        encoding: Encoding::new(&config.output, false)?,
        queues: BatchQueues::new(exec),
        committer: BatchCommitter::new(config.options.verbosity > 0),
        last_turn: Instant::now(),
        is_in_doubt: false,
    };
    runner.run_and_leave(consumer)
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
    exec: &'a Exec,
    group: &'a str,
    guard: ChildGuard,
    encoding: Encoding,
    queues: BatchQueues<'a>,
    committer: BatchCommitter,
    last_turn: Instant,
    /// Whether the assignment has to be confirmed before a command starts.
    is_in_doubt: bool,
}

impl BatchRunner<'_> {
    fn run_and_leave(mut self, mut consumer: Consumer<'_>) -> Result<Exit> {
        let mut worked = consumer.run(&mut self);
        if worked.as_ref().is_err_and(anyhow::Error::is::<BadRecord>) {
            // What came before a bad record is good.
            worked = self.run_to_end(&mut consumer, None, None).and(worked);
        }
        // Running commands may finish, whatever ended the run: never half a batch.
        self.queues.drop_waiting(|_| true);
        let mut ended = self.run_to_end(&mut consumer, None, None);
        // A command that fails is no reason to kill the others.
        while ended
            .as_ref()
            .is_err_and(anyhow::Error::is::<CommandFailed>)
            && !self.is_idle(None)
        {
            if let Err(error) = self.run_to_end(&mut consumer, None, None) {
                let is_command = error.is::<CommandFailed>();
                message(format_args!("{error:#}"));
                if !is_command {
                    break;
                }
            }
        }
        if ended.is_ok() {
            ended = self.committer.commit_ends(&mut consumer).map(|()| true);
        }
        consumer.member.leave();
        if worked.is_err()
            && let Err(other) = &ended
            && other.is::<CommandFailed>()
        {
            message(format_args!("{other:#}"));
        }
        worked?;
        match ended {
            // Ctrl-C in a terminal goes to the command as well.
            Err(error) if is_signal_of(&error, consumer.run.signals) => message(error),
            ended => drop(ended?),
        }
        Ok(Exit::Done)
    }

    /// Commits ended batches, completes due ones and starts complete ones. `is_reading` says that records may be read
    /// while a commit is on its way.
    fn run_batches(&mut self, consumer: &mut Consumer<'_>, is_reading: bool) -> Result<()> {
        let failed = self.collect_ended(consumer.run.signals)?;
        self.committer
            .commit(consumer, is_reading && failed.is_none())?;
        if let Some(failed) = failed {
            return Err(failed.into());
        }
        let exec = self.exec;
        self.queues.close(|batch| batch.is_due(exec));
        self.confirm_assignment(consumer)?;
        if self.committer.take_has_shrunk() {
            // Another member reads the records of revoked partitions.
            let committer = &self.committer;
            let is_lost = |batch: &Batch| !committer.is_assigned(batch);
            let dropped = self.queues.drop_waiting(is_lost);
            consumer.run.left = consumer.run.left.saturating_add(dropped);
        }
        self.start_ready()?;
        self.committer.commit_ends(consumer)
    }

    /// After a turn so long that the group may have given the partitions away, makes sure of them before a command starts.
    fn confirm_assignment(&mut self, consumer: &mut Consumer<'_>) -> Result<()> {
        let last_turn = std::mem::replace(&mut self.last_turn, Instant::now());
        self.is_in_doubt |= last_turn.elapsed() > LONG_TURN;
        if !self.is_in_doubt {
            return Ok(());
        }
        let queues = self.queues.iter();
        let next = queues.filter_map(|queue| Some(self.committer.starts(queue.next()?)));
        let starts: Positions = next.flatten().collect();
        if !starts.is_empty() {
            self.committer.confirm(consumer, &starts)?;
            self.is_in_doubt = false;
        }
        Ok(())
    }

    /// Takes the batches whose commands succeeded; returns the first failure.
    fn collect_ended(&mut self, signals: &Signals) -> Result<Option<CommandFailed>> {
        let may_retry = signals.caught().is_none();
        let mut failed = None;
        for queue in self.queues.iter_mut() {
            let Some(running) = &mut queue.running else {
                continue;
            };
            let Some(ended) = running.check(self.exec, &mut self.guard, may_retry)? else {
                continue;
            };
            let Some(Running { batch, .. }) = queue.running.take() else {
                continue;
            };
            match ended {
                Ended::Done => self.committer.add(batch),
                Ended::Failed(status) => {
                    // It is no record's fault that there is no such command, or that it was killed.
                    let hint = match status.code() {
                        None | Some(126 | 127) => String::new(),
                        Some(_) => batch.way_past(self.group),
                    };
                    let batch = batch.describe();
                    let failure = CommandFailed {
                        status,
                        batch,
                        hint,
                    };
                    match failed {
                        None => failed = Some(failure),
                        Some(_) => message(failure),
                    }
                }
            }
        }
        Ok(failed)
    }

    /// Starts commands for complete batches. At most `--parallel` batches run or wait for their commit: a crash or a
    /// lost session repeats no more.
    fn start_ready(&mut self) -> Result<()> {
        let exec = self.exec;
        let busy = self.queues.running().count() + self.committer.batches();
        for _ in busy..exec.parallel {
            let Some(queue) = self.queues.oldest() else {
                break;
            };
            if let Some(batch) = queue.take_next() {
                queue.running = Some(Running::start(batch, exec, &mut self.guard)?);
            }
        }
        self.queues.close(|batch| batch.is_full(exec));
        Ok(())
    }

    /// Whether nothing of these partitions, or of all, waits, runs or is to be committed.
    fn is_idle(&self, partitions: Option<&[TopicPartition]>) -> bool {
        self.committer.batches() == 0 && self.queues.is_idle(partitions)
    }

    /// Runs the remaining batches of these partitions, or of all, for at most `limit`; returns whether all have ended.
    fn run_to_end(
        &mut self,
        consumer: &mut Consumer<'_>,
        partitions: Option<&[TopicPartition]>,
        limit: Option<Duration>,
    ) -> Result<bool> {
        let until = limit.map(|limit| Instant::now() + limit);
        loop {
            if partitions.is_none() || self.exec.parallel == 1 {
                self.queues.close(|_| true);
            }
            self.run_batches(consumer, false)?;
            if self.is_idle(partitions) {
                return Ok(true);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(false);
            }
            // Polling keeps the member in the group.
            let wait_ms = self.wait_for_command(consumer);
            consumer.poll_events(self, wait_ms)?;
        }
    }

    /// Whether the count or the group's end is reached.
    fn is_done(&mut self, consumer: &mut Consumer<'_>) -> Result<bool> {
        if consumer.run.left == 0 {
            self.run_to_end(consumer, None, None)?;
            // Batches of revoked partitions are read again.
            return Ok(consumer.run.left == 0);
        }
        if !consumer.exit_at_end || !consumer.member.has_read_all() {
            return Ok(false);
        }
        if !self.is_idle(None) {
            // No more records: complete the open batches.
            self.queues.close(|_| true);
            self.start_ready()?;
            return Ok(false);
        }
        Ok(consumer.is_group_done(|_, _| false)?)
    }

    fn tick_ms(&self) -> i32 {
        if self.committer.is_waiting() {
            return 1;
        }
        let batch_ms = self.exec.batch_wait.as_millis().clamp(1, IDLE_MS as u128);
        let ticks = self.queues.running().map(Running::tick_ms);
        ticks.min().unwrap_or(batch_ms as i32)
    }

    /// Whether records may come that there is room for.
    fn is_reading(&self, consumer: &Consumer<'_>) -> bool {
        consumer.run.left > 0
            && !self.queues.is_congested()
            && !consumer.member.has_read_all()
            && !consumer.member.is_paused()
    }

    /// Waits for the end of a command; returns for how long to wait for the group instead, where there is none.
    fn wait_for_command(&self, consumer: &Consumer<'_>) -> i32 {
        let wait_ms = self.tick_ms();
        let pidfds: Vec<_> = self.queues.running().filter_map(Running::pidfd).collect();
        if pidfds.is_empty() || self.committer.is_waiting() {
            return wait_ms;
        }
        // Without poll(2) the next turn finds the same.
        let _ = consumer.run.signals.wait_for_any(&pidfds, wait_ms as u64);
        0
    }
}

impl Delivery for BatchRunner<'_> {
    fn advance(&mut self, consumer: &mut Consumer<'_>) -> Result<Next> {
        let is_reading = self.is_reading(consumer);
        self.run_batches(consumer, is_reading)?;
        if self.is_done(consumer)? {
            return Ok(Next::End);
        }
        self.queues.pause_and_resume(consumer, &self.committer);
        Ok(if self.is_reading(consumer) {
            Next::Read(self.tick_ms())
        } else {
            Next::Wait(self.wait_for_command(consumer))
        })
    }

    fn record(&mut self, run: &mut RunState<'_>, record: &Record<'_>) -> Result<bool> {
        let (topic, partition, offset) = position(record)?;
        let (topic_partition, queue) = self.queues.of_record(topic, partition);
        let assignment = self.committer.assignment(topic_partition);
        let batch = queue.open.get_or_insert_with(Batch::new);
        let start = batch.buffer().len();
        let ambiguous = self.encoding.ambiguous();
        let encoded = match self.encoding.encode(record, batch.buffer()) {
            Ok(()) if self.encoding.ambiguous() > ambiguous => Err(EncodeRefusal::Ambiguous),
            encoded => encoded,
        };
        if let Err(reason) = encoded {
            batch.buffer().truncate(start);
            if batch.is_empty() {
                queue.open = None;
            }
            return Err(BadRecord::new(record, reason).into());
        }
        let added = batch.add(topic_partition, offset, assignment);
        added.context(KEEP)?;
        self.committer.note_read(topic_partition, offset);
        run.left -= 1;
        if !batch.is_full(self.exec) {
            return Ok(true);
        }
        Ok(self.queues.complete_last())
    }

    fn end(
        &mut self,
        _: &RunState<'_>,
        (topic, partition): (&str, i32),
        offset: i64,
    ) -> Result<()> {
        self.committer.note_end(topic, partition, offset);
        Ok(())
    }

    fn commit_ended(&mut self, is_committed: bool) {
        self.committer.commit_ended(is_committed);
    }

    fn assign(&mut self, _: &mut Consumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        self.committer.assign(partitions);
        Ok(())
    }

    fn revoke(
        &mut self,
        consumer: &mut Consumer<'_>,
        partitions: &[TopicPartition],
        lost: bool,
    ) -> Result<()> {
        // Batches of one partition that have not begun are the next member's.
        let dropped = self.queues.drop_waiting_of(partitions);
        consumer.run.left = consumer.run.left.saturating_add(dropped);
        let limit = Some(consumer.drain_limit);
        let is_drained = !lost && self.run_to_end(consumer, Some(partitions), limit)?;
        self.committer.revoke(partitions);
        for queue in self.queues.of_partitions(partitions) {
            queue.is_paused = false;
        }
        if is_drained {
            return Ok(());
        }
        self.kill_lost(partitions)
    }
}

impl BatchRunner<'_> {
    /// Kills the commands of partitions that other members read now: nothing of theirs is committed, and an old batch
    /// must not end after a newer one.
    fn kill_lost(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        for queue in self.queues.of_partitions(partitions) {
            let Some(running) = &mut queue.running else {
                continue;
            };
            let batch = running.batch.describe();
            let is_lost = !self.committer.is_assigned(&running.batch);
            let what = if is_lost {
                running.kill(&mut self.guard)?;
                queue.running = None;
                "its command was killed, and its records come again"
            } else {
                "its records of these partitions come again"
            };
            message(format_args!(
                "the group takes partitions away from a batch that is not done; {what}: {batch}"
            ));
        }
        Ok(())
    }
}

/// Whether a command ended by the signal that ends this program.
fn is_signal_of(error: &anyhow::Error, signals: &Signals) -> bool {
    let command_failed: Option<&CommandFailed> = error.downcast_ref();
    let signal = command_failed.and_then(|failed| failed.status.signal());
    signal.is_some() && signal == signals.caught()
}
