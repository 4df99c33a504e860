//! How a command ended and what it printed, judged.

use rustix::process::Signal;
use std::fmt::{Display, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

/// How a command ended and what it printed. Each judgement returns it again, and a failed one prints all of it.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) line: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// What went to the terminal, where a stream was one.
    pub(crate) screen: Vec<u8>,
    pub(crate) elapsed: Duration,
}

impl Output {
    /// Exit status 0.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        self.fails_with(0)
    }

    /// Exactly this exit status, not a signal.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32) -> Self {
        self.expect(
            |it| it.status.code() == Some(code),
            &format!("exit status {code}"),
        )
    }

    /// Death by this very signal, which a shell shows as 128 + N.
    #[track_caller]
    pub(crate) fn dies_by(self, signal: Signal) -> Self {
        self.expect(
            |it| it.status.signal() == Some(signal.as_raw()),
            &format!("death by {signal:?}"),
        )
    }

    /// These bytes and no others on stdout.
    #[track_caller]
    pub(crate) fn stdout_is(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = expected.as_ref();
        self.expect(
            |it| it.stdout == expected,
            &format!("stdout to be\n{}", indented(expected)),
        )
    }

    /// These bytes somewhere on stdout.
    #[track_caller]
    pub(crate) fn stdout_has(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = expected.as_ref();
        self.expect(
            |it| has(&it.stdout, expected),
            &format!("on stdout\n{}", indented(expected)),
        )
    }

    /// These bytes and no others on stderr.
    #[track_caller]
    pub(crate) fn stderr_is(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = expected.as_ref();
        self.expect(
            |it| it.stderr == expected,
            &format!("stderr to be\n{}", indented(expected)),
        )
    }

    /// These bytes somewhere on stderr.
    #[track_caller]
    pub(crate) fn stderr_has(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = expected.as_ref();
        self.expect(
            |it| has(&it.stderr, expected),
            &format!("on stderr\n{}", indented(expected)),
        )
    }

    /// Nowhere on stderr.
    #[track_caller]
    pub(crate) fn stderr_lacks(self, unexpected: impl AsRef<[u8]>) -> Self {
        let unexpected = unexpected.as_ref();
        self.expect(
            |it| !has(&it.stderr, unexpected),
            &format!("nowhere on stderr\n{}", indented(unexpected)),
        )
    }

    /// Any other judgement: `what` was expected.
    #[track_caller]
    pub(crate) fn expect(self, held: impl FnOnce(&Self) -> bool, what: &str) -> Self {
        assert!(held(&self), "expected {what}\n{}", self.story());
        self
    }

    /// stdout as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout)
            .unwrap_or_else(|_| panic!("stdout is not UTF-8\n{}", self.story()))
    }

    /// The lines of stdout.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.text().lines().collect()
    }

    /// The command line, its status and all it printed.
    pub(crate) fn story(&self) -> String {
        let mut story = format!(
            "$ {}\n{} after {:.3} s\n",
            self.line,
            self.status,
            self.elapsed.as_secs_f64()
        );
        for (name, bytes) in [
            ("stdout", &self.stdout),
            ("stderr", &self.stderr),
            ("screen", &self.screen),
        ] {
            if !bytes.is_empty() {
                let _ = write!(
                    story,
                    "--- {name}, {} bytes\n{}",
                    bytes.len(),
                    indented(bytes)
                );
            }
        }
        story
    }
}

/// Whether `needle` is a part of `bytes`.
pub(crate) fn has(bytes: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(bytes, needle).is_some()
}

/// Bytes for a message: control characters escaped, and no more of them than somebody reads.
fn indented(bytes: &[u8]) -> String {
    const SHOWN: usize = 4000;
    let mut text = String::new();
    for line in bytes[..bytes.len().min(SHOWN)].split_inclusive(|&b| b == b'\n') {
        let ended = line.ends_with(b"\n");
        let line = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        let escaped: String = line
            .chars()
            .map(|c| {
                if c.is_control() {
                    c.escape_default().to_string()
                } else {
                    c.to_string()
                }
            })
            .collect();
        let _ = writeln!(
            text,
            "    {escaped}{}",
            if ended { "" } else { "<no newline>" }
        );
    }
    if bytes.len() > SHOWN {
        let _ = writeln!(text, "    ... and {} bytes more", bytes.len() - SHOWN);
    }
    text
}

/// Each of these on a line of its own, as a program would print them.
pub(crate) fn lines(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().fold(String::new(), |mut text, item| {
        let _ = writeln!(text, "{item}");
        text
    })
}

/// How many lines have ended in these bytes.
pub(crate) fn ended_lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}
