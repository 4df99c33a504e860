//! The batches of `--exec` from the first record to the command, and the command that runs.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tools::cli::message;

use super::batch::Batch;
use super::child_guard::{ChildGuard, GuardedChild};
use crate::config::Exec;

/// The pause before the first retry; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What a batch takes beside the bytes of its records, about.
const BATCH_BYTES: u64 = 512;

/// The batches of all partitions, or with `--parallel` of one partition.
#[derive(Default)]
pub(super) struct BatchQueue {
    /// Records are added to this one.
    pub(super) open: Option<Batch>,
    /// Complete; the first one is the next to run.
    ready: VecDeque<Batch>,
    /// The memory that these take.
    ready_bytes: u64,
    pub(super) running: Option<Running>,
    /// Whether its partition is not read, because there is no room for more batches.
    pub(super) is_paused: bool,
}

impl BatchQueue {
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_none() && self.ready.is_empty() && self.running.is_none()
    }

    /// Whether the open batch is full.
    pub(super) fn is_full(&self, exec: &Exec) -> bool {
        self.open.as_ref().is_some_and(|batch| batch.is_full(exec))
    }

    /// Lets the open batch wait for its command.
    pub(super) fn complete(&mut self) {
        if let Some(batch) = self.open.take() {
            self.ready_bytes += bytes_of(&batch);
            self.ready.push_back(batch);
        }
    }

    /// The batch whose command may start now.
    pub(super) fn next(&self) -> Option<&Batch> {
        self.ready.front().filter(|_| self.running.is_none())
    }

    pub(super) fn take_next(&mut self) -> Option<Batch> {
        let batch = self.ready.pop_front()?;
        self.ready_bytes -= bytes_of(&batch);
        Some(batch)
    }

    /// The memory of the complete batches that wait; 0 if there is none.
    pub(super) fn ready_bytes(&self) -> u64 {
        self.ready_bytes
    }

    /// Drops the batches that no command runs on and that `which` selects; returns their number of records.
    pub(super) fn drop_waiting(&mut self, which: impl Fn(&Batch) -> bool) -> u64 {
        let is_waiting =
            |running: &mut Running| running.is_between_tries() && which(&running.batch);
        let waiting = self.running.take_if(is_waiting);
        let (mut dropped, ready): (Vec<Batch>, _) = std::mem::take(&mut self.ready)
            .into_iter()
            .partition(&which);
        self.ready = ready.into();
        self.ready_bytes = self.ready.iter().map(bytes_of).sum();
        dropped.extend(self.open.take_if(|batch| which(batch)));
        dropped.extend(waiting.map(|running| running.batch));
        dropped.iter().map(Batch::count).sum()
    }
}

fn bytes_of(batch: &Batch) -> u64 {
    batch.total_bytes() + BATCH_BYTES
}

/// The state of a command.
enum State {
    Running(GuardedChild),
    Pausing(Instant),
}

/// How a batch ended.
pub(super) enum Ended {
    /// The command exited with 0.
    Done,
    /// The command failed, and all its retries.
    Failed(ExitStatus),
}

/// A batch and its running command.
pub(super) struct Running {
    pub(super) batch: Batch,
    state: State,
    tries: u32,
    since: Instant,
}

impl Running {
    pub(super) fn start(mut batch: Batch, exec: &Exec, guard: &mut ChildGuard) -> Result<Running> {
        Ok(Running {
            state: State::Running(batch.spawn(&exec.command, guard)?),
            batch,
            tries: 0,
            since: Instant::now(),
        })
    }

    /// How the batch ended, if it has. Restarts a failed command after a pause, if it may.
    pub(super) fn check(
        &mut self,
        exec: &Exec,
        guard: &mut ChildGuard,
        may_retry: bool,
    ) -> Result<Option<Ended>> {
        match &mut self.state {
            State::Running(child) => {
                let Some(status) = guard.try_wait(child).context("--exec: sh")? else {
                    return Ok(None);
                };
                if status.success() {
                    return Ok(Some(Ended::Done));
                }
                if self.tries >= exec.retries || !may_retry {
                    return Ok(Some(Ended::Failed(status)));
                }
                let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(16));
                let pause = pause.min(LONGEST_PAUSE);
                self.tries += 1;
                message(format_args!(
                    "--exec: {status}; trying again in {} s: {}",
                    pause.as_secs(),
                    self.batch.describe()
                ));
                self.state = State::Pausing(Instant::now() + pause);
            }
            State::Pausing(until) if Instant::now() >= *until => {
                self.state = State::Running(self.batch.spawn(&exec.command, guard)?);
            }
            State::Pausing(_) => {}
        }
        Ok(None)
    }

    /// Kills the command, and what it has started.
    pub(super) fn kill(&mut self, guard: &mut ChildGuard) -> Result<()> {
        if let State::Running(child) = &mut self.state {
            guard.kill(child).context("--exec: sh")?;
        }
        Ok(())
    }

    /// What becomes readable when the command ends.
    pub(super) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Running(child) => child.pidfd(),
            State::Pausing(_) => None,
        }
    }

    /// Whether the command waits for a retry.
    pub(super) fn is_between_tries(&self) -> bool {
        matches!(self.state, State::Pausing(_))
    }

    /// How long to wait before the next check, longer for a long-running command.
    pub(super) fn tick_ms(&self) -> i32 {
        (self.since.elapsed().as_millis() / 20).clamp(1, 50) as i32
    }
}
