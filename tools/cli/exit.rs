//! The exit codes, and the one way out of a program.
//!
//! 0 done, or within limits. 1 the question was answered and the answer is
//! no. 2 usage, or something failed. Death by signal is re-raised, so that a
//! shell sees what it would see of any other program.

use std::io::{self, Write};
use std::process::ExitCode;

use super::message::{message, set_program};
use super::parse::Answer;
use super::stdout::OutError;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done, or is within its limits: 0.
    Done,
    /// The question was answered and the answer is no: 1.
    No,
    /// Something failed, and stderr has said what: 2.
    Failed,
    /// The code of a command that this program ran for its user.
    Code(u8),
    /// This signal ended the program, after a clean end: re-raised.
    Signal(i32),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::No => ExitCode::from(1),
            Exit::Failed => ExitCode::from(2),
            Exit::Code(code) => ExitCode::from(code),
            Exit::Signal(signal) => {
                // Comes back only for a signal whose default is to be ignored.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
                ExitCode::from(u8::try_from(128 + signal).unwrap_or(2))
            }
        }
    }
}

/// Runs `body` as the program `name` and turns what comes back into the exit code.
///
/// A reader of stdout that has enough is a normal end (0); every other error
/// is printed with its causes (2).
pub fn run(name: &'static str, body: impl FnOnce() -> anyhow::Result<Exit>) -> ExitCode {
    set_program(name);
    match body() {
        Ok(exit) => exit.into(),
        Err(error) => explain(&error).into(),
    }
}

fn explain(error: &anyhow::Error) -> Exit {
    if error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(OutError::Closed)))
    {
        return Exit::Done;
    }
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        return print_usage(usage);
    }
    if let Some(Answer(text)) = error.downcast_ref() {
        return ended(io::stdout().write_all(text.as_bytes()));
    }
    message(format_args!("{error:#}"));
    Exit::Failed
}

/// Prints what clap has to say: help and version on stdout, checked; a usage error on stderr.
fn print_usage(usage: &clap::Error) -> Exit {
    if usage.use_stderr() {
        let text = usage.render().to_string();
        message(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        return Exit::Failed;
    }
    ended(usage.print())
}

/// How the program ends that had only something to print.
fn ended(printed: io::Result<()>) -> Exit {
    match printed.and_then(|()| io::stdout().flush()) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            message(format_args!("cannot write to standard output: {error}"));
            Exit::Failed
        }
    }
}
