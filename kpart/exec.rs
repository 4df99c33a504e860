//! Exec mode: a command for each partition, kept open until the input ends.
//!
//! A command gets complete lines only. A slow command slows the input down. One
//! that fails, or stops reading before its input ends, ends the program with
//! exit code 2 and its partition's number.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::event::PollFlags;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tools::cli::message;
use tools::cli::signals::Signals;
use tools::partition::Partitioner;

use crate::keys::Key;
use crate::lines::Sink;
use crate::template::PartitionTemplate;

/// Bytes buffered for one command: a pipe's size.
const BUFFER_BYTES: usize = 64 * 1024;
/// After a signal, the program waits this long for a command that reads nothing.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) struct Children<'a> {
    partitioner: Partitioner,
    command: PartitionTemplate,
    running: BTreeMap<i64, RunningCommand>,
    signals: &'a Signals,
}

struct RunningCommand {
    child: Child,
    /// Its standard input, non-blocking: only this process writes to it.
    stdin: File,
    buffer: Vec<u8>,
}

impl<'a> Children<'a> {
    /// Starts a command for every partition, also for those without lines: each shard is loaded once.
    pub(crate) fn start(
        partitioner: Partitioner,
        command: PartitionTemplate,
        signals: &'a Signals,
    ) -> Result<Self> {
        let count = partitioner.partitions().unwrap_or(0);
        let mut children = Children {
            partitioner,
            command,
            running: BTreeMap::new(),
            signals,
        };
        for partition in 0..count {
            if let Err(error) = children.spawn(i64::from(partition)) {
                // The commands that run end with their input; their own failures are not the cause.
                let _ = children.finish(false);
                return Err(error);
            }
        }
        Ok(children)
    }

    fn spawn(&mut self, partition: i64) -> Result<()> {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(self.command.fill(partition))
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the command of partition {partition}"))?;
        let stdin = child
            .stdin
            .take()
            .context("the command has no standard input")?;
        let stdin = OwnedFd::from(stdin);
        fcntl_setfl(&stdin, fcntl_getfl(&stdin)? | OFlags::NONBLOCK)?;
        let running = RunningCommand {
            child,
            stdin: stdin.into(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
        };
        self.running.insert(partition, running);
        Ok(())
    }
}

impl RunningCommand {
    /// Writes the buffer, and blocks until the command has read it. It is empty afterwards: a failure is returned once.
    fn write(&mut self, signals: &Signals) -> Result<()> {
        let written = self.write_all(signals);
        self.buffer.clear();
        written
    }

    fn write_all(&mut self, signals: &Signals) -> Result<()> {
        let mut rest = &self.buffer[..];
        let mut last_progress = Instant::now();
        while !rest.is_empty() {
            match self.stdin.write(rest) {
                Ok(taken) => {
                    rest = &rest[taken..];
                    last_progress = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let stopping = signals.caught().is_some();
                    ensure!(
                        !stopping || last_progress.elapsed() < GRACE,
                        "does not read: {} bytes were not written",
                        rest.len()
                    );
                    let limit_ms = stopping.then_some(100);
                    signals.wait(self.stdin.as_fd(), PollFlags::OUT, limit_ms)?;
                }
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    bail!("stopped reading before the end of its input")
                }
                Err(error) => return Err(anyhow!(error).context("cannot be written to")),
            }
        }
        Ok(())
    }
}

fn command_of(partition: i64) -> String {
    format!("the command of partition {partition}")
}

impl Sink for Children<'_> {
    fn line(&mut self, key: Key<'_>, line: &[u8]) -> Result<()> {
        let partition = self.partitioner.partition(key)?.label();
        if !self.running.contains_key(&partition) {
            // The random partition's command starts with its first line.
            self.spawn(partition)?;
        }
        let running = self
            .running
            .get_mut(&partition)
            .context("the command was just started")?;
        running.buffer.extend_from_slice(line);
        if running.buffer.len() >= BUFFER_BYTES {
            running
                .write(self.signals)
                .with_context(|| command_of(partition))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        for (partition, running) in &mut self.running {
            running
                .write(self.signals)
                .with_context(|| command_of(*partition))?;
        }
        Ok(())
    }

    /// Finds a command that ended too early although there is nothing to write to it.
    fn has_reader(&mut self) -> Result<bool> {
        for (partition, running) in &mut self.running {
            if let Some(status) = running.child.try_wait()? {
                bail!(
                    "{} ended before its input did: {status}",
                    command_of(*partition)
                );
            }
        }
        Ok(true)
    }

    /// Ends every command's input and waits for all; the first failure is the error, the others are messages.
    fn finish(mut self, _is_complete: bool) -> Result<()> {
        let mut failures = Vec::new();
        // All inputs end before the first wait: commands may wait for each other.
        let mut children = Vec::new();
        for (partition, mut running) in std::mem::take(&mut self.running) {
            if let Err(error) = running.write(self.signals) {
                failures.push(error.context(command_of(partition)));
            }
            drop(running.stdin);
            children.push((partition, running.child));
        }
        for (partition, mut child) in children {
            let status = child.wait()?;
            if !status.success() {
                failures.push(failure(partition, status));
            }
        }
        let mut failures = failures.into_iter();
        let first = failures.next();
        failures.for_each(|failure| message(format_args!("{failure:#}")));
        first.map_or(Ok(()), Err)
    }
}

fn failure(partition: i64, status: ExitStatus) -> anyhow::Error {
    anyhow!("{} failed: {status}", command_of(partition))
}
