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
use crate::kafka::process::closed_at_start;

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

/// `--unknown` of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Unknown {
    /// It does not.
    Pass,
    /// It does.
    Fail,
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
/// is printed with its causes (2). A standard descriptor that is closed is
/// one: what is read from it or written to it would be nothing at all.
pub fn run(name: &'static str, body: impl FnOnce() -> anyhow::Result<Exit>) -> ExitCode {
    set_program(name);
    if let Some(closed) = closed_at_start() {
        message(format_args!("{closed} is closed"));
        return Exit::Failed.into();
    }
    // A file that is larger than allowed is an error of write(2) then, with its message, and no death without a word.
    // Commands that are started have the default again.
    let _ = signal_hook::flag::register(libc::SIGXFSZ, std::sync::Arc::default());
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
        message(one_line(&usage.render().to_string()));
        return Exit::Failed;
    }
    ended(usage.print())
}

/// What is wrong, and the tip if there is one, without the usage, which hides it on a small screen.
fn one_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let text = text.split("\n\nUsage:").next().unwrap_or(text);
    let text = text
        .split("\n\nFor more information")
        .next()
        .unwrap_or(text);
    // An option that is not there is no value either.
    let is_tip = |line: &str| line.starts_with("tip: to pass '-");
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !is_tip(line));
    let mut line = lines.collect::<Vec<_>>().join("; ");
    // Rust's words for what is no number, which name a type.
    for (said, meant) in [
        (
            "invalid digit found in string",
            "a whole number is expected",
        ),
        (
            "cannot parse integer from empty string",
            "a whole number is expected",
        ),
        ("number too large to fit in target type", "it is too large"),
        ("number too small to fit in target type", "it is too small"),
        ("invalid float literal", "a number is expected"),
    ] {
        line = line.replace(said, meant);
    }
    line.push_str(" (--help says more)");
    line
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

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_usage_error_is_one_line() {
        let text = "error: unexpected argument '--x' found\n\n  tip: a similar argument exists: '-y'\n  tip: to pass '--x' as a value, use '-- --x'\n\nUsage: p\n  q\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(text),
            "unexpected argument '--x' found; tip: a similar argument exists: '-y' (--help says more)"
        );
        let number = "error: invalid value 'x' for '--top <N>': invalid digit found in string\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(number),
            "invalid value 'x' for '--top <N>': a whole number is expected (--help says more)"
        );
        assert_eq!(
            one_line("error: no\n\nFor more information, try '--help'.\n"),
            "no (--help says more)"
        );
    }
}
