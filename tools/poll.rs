//! Waiting for descriptors.

use std::io;

use rustix::event::{PollFd, Timespec};

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
