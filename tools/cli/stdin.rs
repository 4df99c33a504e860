//! Standard input that wakes up for a signal, and never holds back a line that is complete.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::PollFlags;

use super::signals::Signals;

/// What one [`Input::fill`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// This many bytes more.
    Bytes(usize),
    /// Nothing within the time given.
    Idle,
    /// The end of the input.
    End,
    /// A signal asks to stop reading.
    Signal,
}

/// A file or stdin, read in large blocks.
pub struct Input {
    file: File,
    may_wait: bool,
    block_bytes: usize,
}

impl Input {
    /// Standard input.
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
            file,
            may_wait,
            block_bytes: 256 * 1024,
        })
    }

    /// Appends what is there to `buffer`, waiting at most `idle_ms` for the first byte.
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
        let start = buffer.len();
        buffer.resize(start + self.block_bytes, 0);
        let read = self.file.read(&mut buffer[start..]);
        buffer.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Ok(Filled::End),
            Ok(bytes) => Ok(Filled::Bytes(bytes)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Filled::Idle),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Idle),
            Err(error) => Err(error),
        }
    }
}
