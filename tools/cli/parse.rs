//! The command line of a program, and what every program answers before it looks at its own options.

use std::ffi::OsString;

use clap::{Arg, Command, Parser, value_parser};
use clap_complete::Shell;

/// The hidden option of every program; kafkautils(7) and the README tell of it.
const COMPLETIONS: &str = "generate-completions";

/// A text that was asked for on the command line; [`run`](super::run) prints it, as it prints `--help`, and ends with 0.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Answer(pub(super) String);

/// Parses the command line of this process.
///
/// # Errors
/// A usage error, or a request for help, the version or a completion script: [`run`](super::run) knows them all.
pub fn parse<C: Parser>() -> anyhow::Result<C> {
    parse_from(std::env::args_os())
}

fn parse_from<C: Parser>(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<C> {
    let completions = Arg::new(COMPLETIONS)
        .long(COMPLETIONS)
        .value_name("SHELL")
        .value_parser(value_parser!(Shell))
        .exclusive(true)
        .hide(true);
    let matches = C::command().arg(completions).try_get_matches_from(words)?;
    if let Some(shell) = matches.get_one::<Shell>(COMPLETIONS) {
        return Err(Answer(script(C::command(), *shell)).into());
    }
    C::from_arg_matches(&matches).map_err(|error| error.format(&mut C::command()).into())
}

/// The completion script of `shell`.
fn script(mut command: Command, shell: Shell) -> String {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "x")]
    struct Cli {
        #[arg(long, required = true)]
        needed: Option<String>,
    }

    fn outcome(line: &str) -> anyhow::Result<Cli> {
        parse_from(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_script_is_answered_whatever_the_program_needs_otherwise() {
        for shell in ["bash", "zsh", "fish"] {
            let error = outcome(&format!("x --generate-completions {shell}")).unwrap_err();
            let Answer(script) = error.downcast_ref().expect("an answer");
            assert!(script.contains("needed"), "{script}");
        }
    }

    #[test]
    fn everything_else_is_as_clap_has_it() {
        assert_eq!(
            outcome("x --needed a").unwrap().needed.as_deref(),
            Some("a")
        );
        for line in [
            "x",
            "x --generate-completions",
            "x --generate-completions sh",
        ] {
            assert!(outcome(line).unwrap_err().is::<clap::Error>(), "{line}");
        }
        let both = outcome("x --generate-completions bash --needed a").unwrap_err();
        assert!(both.is::<clap::Error>());
    }
}
