//! Lines into a pipe, each whole or announced, without ever waiting for the reader.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use memchr::{memchr, memrchr};
use rustix::event::{PollFd, PollFlags};

use super::position::{Position, Shape, Split};
use super::source::Source;
use crate::poll::poll;

/// What write(2) puts into a pipe whole or not at all: `PIPE_BUF` of Linux (pipe(7)).
const WHOLE_BYTES: usize = 4096;

/// How far [`Lines::write`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Everything is out.
    All,
    /// The reader does not take more just now.
    Blocked,
    /// There is no reader any more.
    Closed,
}

/// Standard output of a source.
pub struct Lines {
    file: File,
    buffer: Vec<u8>,
    /// What of the buffer is out.
    start: usize,
    /// Where the line ends that is being written in more than one piece.
    long_end: Option<usize>,
    shape: Shape,
    total_bytes: u64,
}

impl Lines {
    /// Lines to `file`, which is standard output.
    ///
    /// A pipe is opened anew, so that not to wait for its reader is a property
    /// of this description alone and other writers of the pipe notice nothing.
    pub fn new(file: File, shape: Shape) -> Lines {
        let is_pipe = file.metadata().is_ok_and(|m| m.file_type().is_fifo());
        let path = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&file));
        let again = is_pipe.then(|| {
            let mut options = OpenOptions::new();
            options.write(true).custom_flags(libc::O_NONBLOCK);
            options.open(path).ok()
        });
        Lines {
            file: again.flatten().unwrap_or(file),
            buffer: Vec::new(),
            start: 0,
            long_end: None,
            shape,
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

    /// How many bytes are out.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Writes what the reader takes, telling the sink of `source` about lines that are not written in one piece.
    ///
    /// # Errors
    /// What write(2) refuses, but for a reader that is busy or gone.
    pub fn write(&mut self, source: &mut Source) -> io::Result<Written> {
        while self.start < self.buffer.len() {
            let Some(end) = self.piece(source) else {
                return Ok(Written::Blocked);
            };
            match self.file.write(&self.buffer[self.start..end]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => self.advance(taken, source),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Written::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(Written::Closed);
                }
                Err(error) => return Err(error),
            }
        }
        self.buffer.clear();
        self.start = 0;
        Ok(Written::All)
    }

    /// Where the next piece ends; `None` until the sink can know that the line is a long one.
    fn piece(&mut self, source: &mut Source) -> Option<usize> {
        if let Some(end) = self.long_end {
            return source.is_heard().then_some(end);
        }
        let rest = &self.buffer[self.start..];
        let window = &rest[..rest.len().min(WHOLE_BYTES)];
        if let Some(newline) = memrchr(b'\n', window) {
            return Some(self.start + newline + 1);
        }
        let length = memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
        let end = self.start + length;
        self.long_end = Some(end);
        let split = Split::of(&rest[..length], self.shape).ok();
        let position = split.and_then(|split| Position::parse(split.position));
        match position {
            Some(position) => source.announce(position).then_some(end),
            None => Some(end),
        }
    }

    fn advance(&mut self, taken: usize, source: &mut Source) {
        self.start += taken;
        self.total_bytes += taken as u64;
        if self.long_end == Some(self.start) {
            self.long_end = None;
            source.confirm();
        }
        if self.start >= 1 << 20 {
            self.buffer.drain(..self.start);
            self.long_end = self.long_end.map(|end| end - self.start);
            self.start = 0;
        }
    }

    /// Whether somebody can still read: a source that has nothing to write asks now and then.
    pub fn has_reader(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(
            self.file.as_fd(),
            PollFlags::empty(),
        )];
        // Without flags only POLLERR and POLLHUP are told.
        !poll(&mut fds, Some(0)).unwrap_or(false)
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
