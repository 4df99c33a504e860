//! Writes lines to a pipe without blocking.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use rustix::event::{PollFd, PollFlags};

use crate::poll::{PIPE_BLOCK_BYTES, poll};

/// How far [`LineWriter::write`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteProgress {
    /// Everything was written.
    All,
    /// The pipe is full.
    Blocked,
    /// The pipe has no reader.
    Closed,
}

/// Standard output of a source.
pub struct LineWriter {
    file: File,
    buffer: Vec<u8>,
    /// How much of the buffer was written.
    start: usize,
    total_bytes: u64,
}

impl LineWriter {
    /// Lines to `file`, which is standard output.
    ///
    /// A pipe is opened again, so that only this description is non-blocking and
    /// other writers of the pipe notice nothing.
    pub fn new(file: File) -> LineWriter {
        let is_pipe = file.metadata().is_ok_and(|m| m.file_type().is_fifo());
        let path = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&file));
        let again = is_pipe.then(|| {
            let mut options = OpenOptions::new();
            options.write(true).custom_flags(libc::O_NONBLOCK);
            options.open(path).ok()
        });
        LineWriter {
            file: again.flatten().unwrap_or(file),
            buffer: Vec::new(),
            start: 0,
            total_bytes: 0,
        }
    }

    /// Where to append lines, each with its newline.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// How many bytes wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// How many bytes were written.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Writes what fits into the pipe.
    ///
    /// # Errors
    /// What write(2) refuses, but for a reader that is busy or gone.
    pub fn write(&mut self) -> io::Result<WriteProgress> {
        while self.start < self.buffer.len() {
            let rest = &self.buffer[self.start..];
            match self.file.write(&rest[..rest.len().min(PIPE_BLOCK_BYTES)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => self.advance(taken),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(WriteProgress::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(WriteProgress::Closed);
                }
                Err(error) => return Err(error),
            }
        }
        self.buffer.clear();
        self.start = 0;
        Ok(WriteProgress::All)
    }

    fn advance(&mut self, taken: usize) {
        self.start += taken;
        self.total_bytes += taken as u64;
        if self.start >= 1 << 20 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    /// Whether somebody can still read: a source that has nothing to write asks now and then.
    pub fn has_reader(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(
            self.file.as_fd(),
            PollFlags::empty(),
        )];
        // Without flags poll reports only POLLERR and POLLHUP.
        !poll(&mut fds, Some(0)).unwrap_or(false)
    }
}

impl AsFd for LineWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
