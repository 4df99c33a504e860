//! Run a program with a deadline, then judge its status and what it printed.
//!
//! `cmd("kcat-lite").args(["-L"]).run().succeeds().stdout_has("topic")`. The environment is cleaned: no Kafka variable
//! and no config file of the machine reaches the program; `HOME` is an empty folder.

use super::output::Output;
use super::running::Running;
use super::session;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
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
