//! Exec mode: a command for each partition, kept open until the input ends.
//!
//! A command is given whole lines only. One that does not keep up holds the
//! input back; one that fails, or stops reading before its input ends, ends
//! the program with exit code 2 and its partition's number.

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
use crate::split::fill_in;

/// Bytes held back for one command: a pipe's size.
const HELD_BYTES: usize = 64 * 1024;
/// After a signal, a command that reads nothing for this long is not waited for.
const GRACE: Duration = Duration::from_secs(2);

/// A shell command with `{}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exec(String);

impl Exec {
    /// # Errors
    /// Without `{}` every partition would run the same.
    pub(crate) fn new(command: &str) -> Result<Exec> {
        ensure!(
            command.contains("{}"),
            "--exec: the command needs {{}} where the partition goes"
        );
        Ok(Exec(command.to_owned()))
    }
}

/// The commands, by partition.
pub(crate) struct Children<'a> {
    partitioner: Partitioner,
    exec: Exec,
    running: BTreeMap<i64, Running>,
    signals: &'a Signals,
}

struct Running {
    child: Child,
    /// Its standard input, which only this process writes, so that not to block is ours to choose.
    stdin: File,
    held: Vec<u8>,
}

impl<'a> Children<'a> {
    /// Starts a command for every partition, those that will get no line too: each shard is loaded once, if with nothing.
    ///
    /// # Errors
    /// A command cannot be started.
    pub(crate) fn start(
        partitioner: Partitioner,
        exec: &Exec,
        signals: &'a Signals,
    ) -> Result<Self> {
        let count = partitioner.partitions().unwrap_or(0);
        let mut children = Children {
            partitioner,
            exec: exec.clone(),
            running: BTreeMap::new(),
            signals,
        };
        for partition in 0..count {
            if let Err(error) = children.spawn(i64::from(partition)) {
                // Those that run end by the end of their input; their own failure is not the cause.
                let _ = children.finish(false);
                return Err(error);
            }
        }
        Ok(children)
    }

    fn spawn(&mut self, partition: i64) -> Result<()> {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(fill_in(&self.exec.0, partition))
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the command of partition {partition}"))?;
        let stdin = child
            .stdin
            .take()
            .context("the command has no standard input")?;
        let stdin = OwnedFd::from(stdin);
        fcntl_setfl(&stdin, fcntl_getfl(&stdin)? | OFlags::NONBLOCK)?;
        let running = Running {
            child,
            stdin: stdin.into(),
            held: Vec::with_capacity(HELD_BYTES),
        };
        self.running.insert(partition, running);
        Ok(())
    }
}

impl Running {
    /// Writes what is held back, waiting for the command as long as it takes.
    fn write(&mut self, signals: &Signals) -> Result<()> {
        let mut rest = &self.held[..];
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
        self.held.clear();
        Ok(())
    }
}

fn of_partition(partition: i64) -> String {
    format!("the command of partition {partition}")
}

impl Sink for Children<'_> {
    fn line(&mut self, key: Key<'_>, line: &[u8]) -> Result<()> {
        let partition = self.partitioner.place(key)?.label();
        if !self.running.contains_key(&partition) {
            // The random partition has a command only if a line needs it.
            self.spawn(partition)?;
        }
        let running = self
            .running
            .get_mut(&partition)
            .context("the command was just started")?;
        running.held.extend_from_slice(line);
        if running.held.len() >= HELD_BYTES {
            running
                .write(self.signals)
                .with_context(|| of_partition(partition))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        for (partition, running) in &mut self.running {
            running
                .write(self.signals)
                .with_context(|| of_partition(*partition))?;
        }
        Ok(())
    }

    /// A command that ended too early is noticed although there is nothing to write to it.
    fn is_wanted(&mut self) -> Result<bool> {
        for (partition, running) in &mut self.running {
            if let Some(status) = running.child.try_wait()? {
                bail!(
                    "{} ended before its input did: {status}",
                    of_partition(*partition)
                );
            }
        }
        Ok(true)
    }

    /// Ends every command's input and waits for all; the first failure is the error, the others are messages.
    fn finish(mut self, whole: bool) -> Result<()> {
        let mut failures = Vec::new();
        // All inputs end before any command is waited for: they may wait for each other.
        let mut children = Vec::new();
        for (partition, mut running) in std::mem::take(&mut self.running) {
            if let Err(error) = running.write(self.signals)
                // Where reading stopped because of a command, that is the error already reported.
                && whole
            {
                failures.push(error.context(of_partition(partition)));
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
    anyhow!("{} failed: {status}", of_partition(partition))
}
