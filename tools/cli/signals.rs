//! Signals that ask a program to end: noticed at once, obeyed at a safe place.
//!
//! The first SIGINT, SIGTERM or SIGHUP is noted and wakes whoever waits on
//! [`Signals::as_fd`]; the second one of a kind kills, so that a program that
//! waits for something that never comes can still be stopped.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::event::{PollFd, PollFlags};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::exit::Exit;
use crate::poll::poll;

/// The number of the last signal caught by this process, 0 for none.
static CAUGHT: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// Whether a signal was caught; for what works deep below a program's own [`Signals`].
pub fn any_caught() -> bool {
    last_caught() != 0
}

/// The number of the last signal caught by this process, 0 for none.
pub fn last_caught() -> i32 {
    let caught = CAUGHT.get();
    caught.map_or(0, |caught| caught.load(Ordering::Relaxed) as i32)
}

/// The signals caught so far.
pub struct Signals {
    /// The number of the last signal caught, 0 for none.
    caught: Arc<AtomicUsize>,
    wake: OwnedFd,
    /// Keeps `wake` open where all signals are ignored: its end would wake every wait.
    _waker: UnixStream,
}

impl Signals {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on; one that the parent ignores (nohup) stays ignored.
    pub fn catch() -> io::Result<Signals> {
        Signals::catch_of(&[SIGINT, SIGTERM, SIGHUP])
    }

    /// As [`Signals::catch`], and lets SIGINT pass without any effect.
    pub fn catch_without_interrupts() -> io::Result<Signals> {
        signal_hook::flag::register(SIGINT, Arc::default())?;
        Signals::catch_of(&[SIGTERM, SIGHUP])
    }

    fn catch_of(wanted: &[i32]) -> io::Result<Signals> {
        let caught = Arc::clone(CAUGHT.get_or_init(Arc::default));
        let (wake, waker) = UnixStream::pair()?;
        let ignored = ignored_signals();
        for &signal in wanted {
            if ignored & (1 << (signal - 1)) != 0 {
                continue;
            }
            let again = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&again))?;
            signal_hook::flag::register(signal, again)?;
            signal_hook::flag::register_usize(signal, Arc::clone(&caught), signal as usize)?;
            signal_hook::low_level::pipe::register(signal, waker.try_clone()?)?;
        }
        Ok(Signals {
            caught,
            wake: wake.into(),
            _waker: waker,
        })
    }

    /// The signal that asks this program to end, if one came.
    pub fn caught(&self) -> Option<i32> {
        match self.caught.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal as i32),
        }
    }

    /// Whether a signal asks to end, for whoever waits on another thread or for long.
    pub fn interrupt(&self) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let caught = Arc::clone(&self.caught);
        Arc::new(move || caught.load(Ordering::Relaxed) != 0)
    }

    /// How a program ends that reads until a signal and has ended cleanly: after SIGINT and SIGTERM with 0; any
    /// other signal is re-raised.
    pub fn end_of_reader(&self) -> Exit {
        self.end_line();
        match self.caught() {
            None | Some(SIGINT | SIGTERM) => Exit::Done,
            Some(signal) => Exit::Signal(signal),
        }
    }

    /// Ends the line in which a terminal has shown `^C`, so that the prompt begins in a line of its own.
    pub fn end_line(&self) {
        if self.caught() == Some(SIGINT) && io::stderr().is_terminal() {
            // There is nowhere to report that stderr is gone.
            let _ = io::stderr().write_all(b"\n");
        }
    }

    /// Whether to go on: `Break` once a signal was caught.
    #[inline]
    pub fn flow(&self) -> ControlFlow<()> {
        match self.caught.load(Ordering::Relaxed) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }

    /// Waits until `fd` is ready for `flags`, a signal was caught, or `timeout_ms` is over; says whether `fd` is ready.
    pub fn wait(
        &self,
        fd: BorrowedFd<'_>,
        flags: PollFlags,
        timeout_ms: Option<u64>,
    ) -> io::Result<bool> {
        let mut both = [PollFd::from_borrowed_fd(fd, flags), self.wake()];
        poll(&mut both, timeout_ms)
    }

    /// Waits until one of `fds` is readable, a signal was caught, or `timeout_ms` is over.
    pub fn wait_for_any(&self, fds: &[BorrowedFd<'_>], timeout_ms: u64) -> io::Result<()> {
        let fds = fds.iter();
        let fds = fds.map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN));
        let mut all: Vec<PollFd<'_>> = fds.chain([self.wake()]).collect();
        poll(&mut all, Some(timeout_ms)).map(drop)
    }

    /// What ends a wait for something else. It stays readable from the first signal on, and would end every wait at once.
    fn wake(&self) -> PollFd<'_> {
        let flags = match self.caught() {
            None => PollFlags::IN,
            Some(_) => PollFlags::empty(),
        };
        PollFd::new(&self.wake, flags)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// The set of ignored signals, as Linux shows it; nothing is ignored where it is not shown.
fn ignored_signals() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("SigIgn:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        })
        .unwrap_or(0)
}
