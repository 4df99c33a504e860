//! A connection that sends and receives lines without blocking, except where it says so.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use serde_json::Value;

use crate::poll::poll;

/// How often a wait looks at signals.
pub(super) const TICK_MS: u64 = 20;

/// A connected socket with what is on its way in and out.
pub(super) struct Connection {
    stream: UnixStream,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
    is_closed: bool,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            inbound: Vec::new(),
            outbound: Vec::new(),
            is_closed: false,
        })
    }

    /// Queues a message and sends what the socket takes; says whether all is sent.
    pub(super) fn send(&mut self, value: &Value) -> bool {
        self.outbound
            .extend_from_slice(value.to_string().as_bytes());
        self.outbound.push(b'\n');
        self.push()
    }

    /// Sends what the socket takes; says whether all is sent. An end that is gone shows when it is [read](Connection::next).
    pub(super) fn push(&mut self) -> bool {
        while !self.outbound.is_empty() {
            match self.stream.write(&self.outbound) {
                Ok(sent) => drop(self.outbound.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    // What the other end said before it closed is still to be read.
                    self.outbound.clear();
                }
            }
        }
        true
    }

    /// Sends everything, waiting at most this long; says whether all is sent.
    pub(super) fn push_all(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while !self.push() {
            if Instant::now() > until {
                return false;
            }
            let mut fds = [PollFd::from_borrowed_fd(
                self.stream.as_fd(),
                PollFlags::OUT,
            )];
            let _ = poll(&mut fds, Some(TICK_MS));
        }
        true
    }

    /// The next message that has arrived.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(line) = self.cut() {
            return Some(line);
        }
        self.pull();
        self.cut()
    }

    fn cut(&mut self) -> Option<Vec<u8>> {
        let end = memchr::memchr(b'\n', &self.inbound)?;
        let mut line: Vec<u8> = self.inbound.drain(..=end).collect();
        line.pop();
        Some(line)
    }

    fn pull(&mut self) {
        let mut block = [0; 16 * 1024];
        while !self.is_closed {
            match self.stream.read(&mut block) {
                Ok(0) => self.is_closed = true,
                Ok(bytes) => {
                    self.inbound.extend_from_slice(&block[..bytes]);
                    if bytes < block.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.is_closed = true,
            }
        }
    }

    /// The next message, waited for at most this long.
    pub(super) fn wait(
        &mut self,
        limit: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Option<Vec<u8>> {
        let until = Instant::now() + limit;
        loop {
            if let Some(line) = self.next() {
                return Some(line);
            }
            if self.is_closed || interrupted() || Instant::now() >= until {
                return None;
            }
            let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), PollFlags::IN)];
            let _ = poll(&mut fds, Some(TICK_MS));
        }
    }

    /// Whether the other end has closed, and all that it said was read.
    pub(super) fn is_over(&self) -> bool {
        self.is_closed && memchr::memchr(b'\n', &self.inbound).is_none()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
