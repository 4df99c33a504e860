//! The progress line: only where stderr is a terminal, only after 250 ms.

use std::fs::File;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// What is finished sooner than this shows no bar.
const DELAY: Duration = Duration::from_millis(250);
/// How often the numbers change; reading the clock for each record would cost more than the record.
const REFRESH: Duration = Duration::from_millis(100);

/// The bar on the screen, so that [`suspend`] can take it away while a message is printed.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Records and bytes moved, with the rate, and how far to the end where the end is known.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    drawn: Instant,
    end_records: Option<u64>,
    /// The terminal's line, which the programs of a pipe share.
    line: Line,
}

impl Progress {
    /// A bar, if `wanted` and stderr is a terminal. `end_records` is how many records there are, if known.
    pub fn new(wanted: bool, end_records: Option<u64>) -> Progress {
        let now = Instant::now();
        Progress {
            bar: (wanted && std::io::stderr().is_terminal()).then(|| bar(end_records)),
            started: now,
            drawn: now,
            end_records,
            line: Line::Free,
        }
    }

    /// Whether calls of [`Progress::update`] can show anything.
    pub fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// Sets how many records there are, once that is known.
    pub fn set_end(&mut self, end_records: u64) {
        self.end_records = Some(end_records);
        if let Some(bar) = &self.bar {
            bar.set_length(end_records);
            bar.set_style(style(true));
        }
    }

    /// Shows the totals so far; cheap enough to be called for each batch.
    pub fn update(&mut self, records: u64, bytes: u64) {
        self.show(records, |seconds| describe(records, bytes, seconds));
    }

    /// Shows what is waited for, and for how long.
    pub fn wait_for(&mut self, what: &str) {
        self.show(0, |seconds| format!("waiting for {what}, {seconds:.0} s"));
    }

    /// Shows a message that is made of the seconds so far.
    fn show(&mut self, records: u64, message: impl FnOnce(f64) -> String) {
        let Some(bar) = &self.bar else { return };
        let now = Instant::now();
        if now - self.started < DELAY || now - self.drawn < REFRESH {
            return;
        }
        self.drawn = now;
        if !self.line.take() {
            return;
        }
        bar.set_message(message((now - self.started).as_secs_f64()));
        bar.set_position(records);
        let mut shown = SHOWN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if shown.is_none() {
            *shown = Some(bar.clone());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            *SHOWN
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        }
    }
}

/// Whose the progress line of the terminal is: two programs of a pipe would draw over each other.
enum Line {
    Free,
    /// Ours until the file is closed.
    Taken {
        #[expect(dead_code, reason = "the lock is held while it is open")]
        terminal: Option<File>,
    },
}

impl Line {
    /// Takes the line if nobody else has it; says whether it is ours.
    fn take(&mut self) -> bool {
        if let Line::Taken { .. } = self {
            return true;
        }
        // Opened anew: a lock belongs to what was opened, and the programs of a pipe share what the shell has opened.
        let terminal = File::open("/proc/self/fd/2").ok();
        let is_free = terminal.as_ref().is_none_or(|terminal| {
            let lock = FlockOperation::NonBlockingLockExclusive;
            !matches!(flock(terminal, lock), Err(Errno::WOULDBLOCK))
        });
        if is_free {
            *self = Line::Taken { terminal };
        }
        is_free
    }
}

/// Runs `print` with the bar taken off the screen.
pub fn suspend(print: impl FnOnce()) {
    let shown = SHOWN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    match shown {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

fn bar(end_records: Option<u64>) -> ProgressBar {
    // Drawing is held back by `update`, not by a thread: no bar costs no thread.
    let bar = ProgressBar::with_draw_target(end_records, ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(style(end_records.is_some()));
    bar
}

fn style(with_end: bool) -> ProgressStyle {
    let template = if with_end {
        "{msg} [{wide_bar}] {percent}% {eta}"
    } else {
        "{msg}"
    };
    ProgressStyle::with_template(template)
        .expect("the templates above are valid")
        .progress_chars("=> ")
}

fn describe(records: u64, bytes: u64, seconds: f64) -> String {
    let per_second = |n: u64| (n as f64 / seconds.max(0.001)) as u64;
    format!(
        "{} records, {}, {}/s, {}/s",
        HumanCount(records),
        indicatif::BinaryBytes(bytes),
        HumanCount(per_second(records)),
        indicatif::BinaryBytes(per_second(bytes)),
    )
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn totals_and_rates_are_told_together() {
        assert_eq!(
            describe(12_000, 4096, 2.0),
            "12,000 records, 4.00 KiB, 6,000/s, 2.00 KiB/s"
        );
    }
}
