//! Standard input that wakes up for a signal, and never holds back a line that is complete.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags};

use super::signals::Signals;
use crate::poll::poll;

/// No record is longer: the most of message.max.bytes is 1,000,000,000. Input of another delimiter would fill the memory.
const RECORD_LIMIT_BYTES: usize = 1 << 30;

/// What is read at a time; more than the processor's cache holds would only be fetched twice.
const BLOCK_BYTES: usize = 64 * 1024;

/// What one [`Input::fill`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// This many bytes more.
    Bytes(usize),
    /// Nothing within the time given.
    Idle,
    End,
    /// A signal asks to stop reading.
    Signal,
}

/// A file or stdin, read in large blocks.
pub struct Input {
    file: File,
    may_wait: bool,
    /// Whether another program may write to it.
    is_pipe: bool,
    limit_bytes: usize,
}

impl Input {
    pub fn stdin() -> io::Result<Input> {
        Input::new(File::from(io::stdin().as_fd().try_clone_to_owned()?))
    }

    /// The file at `path`; `-` is standard input.
    pub fn open(path: &Path) -> io::Result<Input> {
        if path.as_os_str() == "-" {
            return Input::stdin();
        }
        Input::new(File::open(path)?)
    }

    fn new(file: File) -> io::Result<Input> {
        // A regular file is always ready; asking would be a system call for each block.
        let may_wait = !file.metadata()?.is_file();
        Ok(Input {
            is_pipe: may_wait && !rustix::termios::isatty(&file),
            file,
            may_wait,
            limit_bytes: RECORD_LIMIT_BYTES,
        })
    }

    /// Whether what is read comes from another program, or a terminal, and may have been cut off anywhere when it ends:
    /// a regular file is as long as it is.
    pub fn may_be_torn(&self) -> bool {
        self.may_wait
    }

    /// Appends what is there to `buffer`, waiting at most `idle_ms` for the first byte.
    ///
    /// # Errors
    /// `buffer`, which holds the beginning of a record, is longer than any record.
    pub fn fill(
        &mut self,
        buffer: &mut Vec<u8>,
        signals: &Signals,
        idle_ms: u64,
    ) -> io::Result<Filled> {
        if signals.caught().is_some() {
            return Ok(Filled::Signal);
        }
        if self.may_wait && !signals.wait(self.file.as_fd(), PollFlags::IN, Some(idle_ms))? {
            return Ok(match signals.caught() {
                Some(_) => Filled::Signal,
                None => Filled::Idle,
            });
        }
        self.read(buffer)
    }

    /// Appends what is there to `buffer` although a signal was caught, waiting at most `idle_ms` for the first byte.
    ///
    /// An interrupt from a terminal reaches all of a pipe at once, and what its first program says last is still to come.
    pub fn fill_after_signal(&mut self, buffer: &mut Vec<u8>, idle_ms: u64) -> io::Result<Filled> {
        if !self.is_pipe {
            return Ok(Filled::Signal);
        }
        let mut ready = [PollFd::new(&self.file, PollFlags::IN)];
        if !poll(&mut ready, Some(idle_ms))? {
            return Ok(Filled::Idle);
        }
        self.read(buffer)
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<Filled> {
        // Into memory that was never written: to zero it first would cost a pass over all input.
        if buffer.len() >= self.limit_bytes {
            return Err(io::Error::other(format!(
                "no line or record ends within {} MiB: is this its format?",
                self.limit_bytes >> 20
            )));
        }
        if buffer.len() < BLOCK_BYTES {
            buffer.reserve_exact(BLOCK_BYTES);
        } else {
            // A long record must not be copied for each block.
            buffer.reserve(BLOCK_BYTES);
        }
        match rustix::io::read(&self.file, spare_capacity(buffer)).map_err(io::Error::from) {
            Ok(0) => Ok(Filled::End),
            Ok(bytes) => Ok(Filled::Bytes(bytes)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Filled::Idle),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Idle),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_an_end_does_not_fill_the_memory() {
        let mut input = Input::new(File::open("/dev/zero").unwrap()).unwrap();
        input.limit_bytes = 1 << 20;
        let mut buffer = Vec::new();
        let error = loop {
            if let Err(error) = input.read(&mut buffer) {
                break error.to_string();
            }
        };
        assert!(error.contains("ends within 1 MiB"), "{error}");
        assert!(buffer.len() < 2 << 20);
    }
}
