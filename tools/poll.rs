//! Waiting for descriptors, and the size of the blocks that a pipe is written in.

use std::io;

use rustix::event::{PollFd, Timespec};

/// What to write to a pipe at a time. The pipe holds twice as much: its reader reads one block while the next one is
/// written, and both find it in the processor's cache.
pub(crate) const PIPE_BLOCK_BYTES: usize = 32 * 1024;

/// poll(2) that goes on after a signal handler ran; says whether the first descriptor has an event.
pub(crate) fn poll(fds: &mut [PollFd<'_>], timeout_ms: Option<u64>) -> io::Result<bool> {
    let timeout = timeout_ms.map(|ms| Timespec {
        tv_sec: (ms / 1000) as i64,
        tv_nsec: (ms % 1000 * 1_000_000) as i64,
    });
    match rustix::event::poll(fds, timeout.as_ref()) {
        Ok(_) => Ok(!fds[0].revents().is_empty()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
