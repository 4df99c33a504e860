//! Standard output that is checked: what was not taken by write(2) was not written.
//!
//! Blocks are large, and flushed when the program is idle, so that a pipe has
//! both throughput and latency. A pipe is written without blocking through a
//! file description of its own, so that a signal still ends a program whose
//! reader has stopped reading, and other writers of the pipe notice nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::signals::Signals;
use crate::poll::{PIPE_BLOCK_BYTES, poll};
use crate::report::Format;
use crate::text::{TerminalEscape, escape_for_terminal};

/// A block of a file goes out when it has this many bytes.
const FILE_BLOCK_BYTES: usize = 128 * 1024;
/// After a signal, a reader that takes nothing for this long is not waited for.
const GRACE: Duration = Duration::from_secs(2);

/// Why output ended.
#[derive(Debug, thiserror::Error)]
pub enum OutError {
    /// The reader is gone: a normal end (`| head -1`).
    #[error("nobody reads standard output any more")]
    Closed,
    /// The system refused the bytes: a full disk, say.
    #[error("cannot write to standard output")]
    Failed(#[source] io::Error),
    /// A signal came, and the reader does not read.
    #[error("the reader of standard output does not read: {0} bytes were not written")]
    Stuck(usize),
}

/// Standard output with a buffer of its own.
pub struct Out {
    file: File,
    buffer: Vec<u8>,
    /// What was taken of a block that failed.
    partial: Vec<u8>,
    taken_bytes: u64,
    is_terminal: bool,
    is_pipe: bool,
    block_bytes: usize,
}

impl Out {
    pub fn stdout() -> Result<Out, OutError> {
        let stdout = io::stdout();
        let fd = stdout
            .as_fd()
            .try_clone_to_owned()
            .map_err(OutError::Failed)?;
        let mut file = File::from(fd);
        let is_pipe = file.metadata().is_ok_and(|m| m.file_type().is_fifo());
        if is_pipe {
            // Opening it again gives a description whose O_NONBLOCK is ours
            // alone. Where that is not allowed (no /proc, another user's
            // pipe), writes block, and only a second signal ends them.
            let again = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open("/proc/self/fd/1");
            file = again.unwrap_or(file);
        }
        let block_bytes = if is_pipe {
            PIPE_BLOCK_BYTES
        } else {
            FILE_BLOCK_BYTES
        };
        Ok(Out {
            file,
            buffer: Vec::with_capacity(block_bytes + 16 * 1024),
            partial: Vec::new(),
            taken_bytes: 0,
            is_terminal: stdout.is_terminal(),
            is_pipe,
            block_bytes,
        })
    }

    /// Whether somebody looks at it.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Where to append what is to be written next.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// A block goes out when it has this many bytes.
    #[inline]
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// Whether the block is full and should be flushed before more is appended.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= self.block_bytes
    }

    /// Bytes that write(2) has taken so far, from the start of the program.
    pub fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Bytes handed in so far: taken and still in the buffer.
    pub fn total_bytes(&self) -> u64 {
        self.taken_bytes + self.buffer.len() as u64
    }

    /// Writes all that is in the buffer, somebody else's lines: on a terminal they are shown, not obeyed.
    pub fn flush_lines(&mut self, signals: &Signals) -> Result<(), OutError> {
        self.flush_shown(TerminalEscape::Hex, signals)
    }

    /// Writes what is in the buffer and then `lines`, somebody else's, as [`Out::flush_lines`].
    pub fn write_lines(&mut self, lines: &[u8], signals: &Signals) -> Result<(), OutError> {
        if self.is_terminal || !self.buffer.is_empty() {
            self.buffer.extend_from_slice(lines);
            return self.flush_lines(signals);
        }
        self.write_all(lines, signals)
    }

    /// Writes all that is in the buffer, a report in this format: on a terminal nothing of it is obeyed.
    ///
    /// A table is visible as it is, and may be drawn by sequences of its own.
    pub fn flush_report(&mut self, format: Format, signals: &Signals) -> Result<(), OutError> {
        match format {
            Format::Table => self.flush(signals),
            Format::Json => self.flush_shown(TerminalEscape::Json, signals),
            Format::Tsv | Format::Csv | Format::Prometheus | Format::Html => {
                self.flush_shown(TerminalEscape::Hex, signals)
            }
        }
    }

    fn flush_shown(&mut self, escape: TerminalEscape, signals: &Signals) -> Result<(), OutError> {
        if self.is_terminal {
            let text = std::mem::take(&mut self.buffer);
            escape_for_terminal(&text, escape, &mut self.buffer);
        }
        self.flush(signals)
    }

    /// The bytes that were taken of a block that failed, from this byte of the output on.
    pub fn partial_block(&self, from: u64) -> &[u8] {
        let start = self.taken_bytes - self.partial.len() as u64;
        let skipped = usize::try_from(from.saturating_sub(start)).unwrap_or(usize::MAX);
        self.partial.get(skipped..).unwrap_or_default()
    }

    /// Writes all that is in the buffer. On an error [`Out::taken_bytes`] is how far it came; the rest is dropped.
    pub fn flush(&mut self, signals: &Signals) -> Result<(), OutError> {
        let before = self.taken_bytes;
        let mut block = std::mem::take(&mut self.buffer);
        let result = self.write_all(&block, signals);
        if result.is_err() {
            block.truncate((self.taken_bytes - before) as usize);
            self.partial = block;
        } else {
            block.clear();
            self.buffer = block;
        }
        result
    }

    fn write_all(&mut self, mut rest: &[u8], signals: &Signals) -> Result<(), OutError> {
        let mut last_progress = Instant::now();
        while !rest.is_empty() {
            match self.file.write(&rest[..rest.len().min(self.block_bytes)]) {
                Ok(0) => return Err(OutError::Failed(io::ErrorKind::WriteZero.into())),
                Ok(taken) => {
                    self.taken_bytes += taken as u64;
                    rest = &rest[taken..];
                    last_progress = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if signals.caught().is_some() && last_progress.elapsed() > GRACE {
                        return Err(OutError::Stuck(rest.len()));
                    }
                    let limit_ms = signals.caught().map(|_| 100);
                    signals
                        .wait(self.file.as_fd(), PollFlags::OUT, limit_ms)
                        .map_err(OutError::Failed)?;
                }
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(OutError::Closed);
                }
                Err(error) => return Err(OutError::Failed(error)),
            }
        }
        Ok(())
    }

    /// Whether a pipe still has a reader; an idle program asks now and then, because nothing is written that could fail.
    pub fn has_reader(&self) -> bool {
        if !self.is_pipe {
            return true;
        }
        let mut fds = [PollFd::from_borrowed_fd(
            self.file.as_fd(),
            PollFlags::empty(),
        )];
        !poll(&mut fds, Some(0)).unwrap_or(false)
    }
}
