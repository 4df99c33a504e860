//! Run a program with a deadline, then judge its status and what it printed.
//!
//! `cmd("kcat-lite").args(["-L"]).run().succeeds().stdout_has("topic")`. The environment is cleaned: no Kafka variable
//! and no config file of the machine reaches the program; `HOME` is an empty folder.

use super::running::Running;
use super::session;
use rustix::process::Signal;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

/// What a command may take unless it says otherwise: far more than any of them needs, far less than a CI's patience.
const LIMIT: Duration = Duration::from_secs(30);

/// A command line to run.
#[derive(Clone, Debug)]
pub(crate) struct Cmd {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) input: Input,
    pub(crate) output: Option<PathBuf>,
    pub(crate) terminal: Terminal,
    pub(crate) limit: Duration,
}

/// Where a command's standard input comes from.
#[derive(Clone, Debug, Default)]
pub(crate) enum Input {
    /// `/dev/null`.
    #[default]
    Null,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// A pipe that stays open and is written by hand.
    Open,
    /// This file.
    File(PathBuf),
}

/// Which of a command's streams are a terminal, 80 columns wide. All that are share one screen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terminal {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

/// One of this package's programs, or one on the path.
pub(crate) fn cmd(program: &str) -> Cmd {
    let built = programs().join(program);
    Cmd {
        program: if built.is_file() {
            built.into()
        } else {
            program.into()
        },
        args: Vec::new(),
        env: Vec::new(),
        folder: None,
        input: Input::default(),
        output: None,
        terminal: Terminal::default(),
        limit: LIMIT,
    }
}

/// A bash command line with `pipefail` on, this package's programs on the path. `$NAME` comes from [`Cmd::env`].
pub(crate) fn shell(script: &str) -> Cmd {
    cmd("bash").args(["-o", "pipefail", "-c", script])
}

/// Where cargo has put this package's programs.
pub(crate) fn programs() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_kcat-lite")).parent().unwrap()
}

impl Cmd {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Runs in this folder.
    pub(crate) fn inside(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// These bytes are all of its input.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.input = Input::Bytes(bytes.as_ref().to_owned());
        self
    }

    /// Input is a pipe that stays open until [`Running::close_stdin`].
    pub(crate) fn stdin_open(mut self) -> Self {
        self.input = Input::Open;
        self
    }

    /// Input is this file.
    pub(crate) fn stdin_from(mut self, path: impl AsRef<Path>) -> Self {
        self.input = Input::File(path.as_ref().to_owned());
        self
    }

    /// Output goes to this file, `/dev/full` for one.
    pub(crate) fn stdout_to(mut self, path: impl AsRef<Path>) -> Self {
        self.output = Some(path.as_ref().to_owned());
        self
    }

    /// These streams are a terminal.
    pub(crate) fn on_terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = terminal;
        self
    }

    /// The time it may take; 30 s unless said otherwise.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it and leaves it running.
    #[track_caller]
    pub(crate) fn start(self) -> Running {
        Running::start(self)
    }

    /// Runs it to its end. Past its limit it is killed and the test fails with what it had printed.
    #[track_caller]
    pub(crate) fn run(self) -> Output {
        self.start().wait()
    }

    /// The command for the operating system, environment and folder set, streams not yet.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(
            clean_environment()
                .iter()
                .map(|(name, value)| (name, value)),
        );
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// As one would type it, for messages.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.env {
            let _ = write!(line, "{}={} ", name.display(), quoted(value));
        }
        line += &quoted(&self.program);
        for arg in &self.args {
            line.push(' ');
            line += &quoted(arg);
        }
        line
    }
}

/// What every command sees: a path, a plain locale, and nothing of this machine's Kafka.
fn clean_environment() -> &'static [(OsString, OsString)] {
    static ENVIRONMENT: OnceLock<Vec<(OsString, OsString)>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut path = programs().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let home = session::folder("home").into_os_string();
        [
            ("PATH", path),
            ("HOME", home),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("TERM", "xterm".into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
    })
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

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
