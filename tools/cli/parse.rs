//! The command line of a program, and what every program answers before it looks at its own options.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, Parser, value_parser};
use clap_complete::Shell;

use super::message::message;
use super::{completions, environment, hints};

/// The hidden option of every program; kafkautils(7) and the README describe it.
const COMPLETIONS: &str = "generate-completions";

/// A text that was asked for on the command line; [`run`](super::run) prints it, as it prints `--help`, and ends with 0.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Answer(pub(super) String);

#[derive(Debug)]
pub struct Typed<C> {
    /// The options as the program declares them.
    pub cli: C,
    /// The same by name, with which of them were typed.
    pub matches: ArgMatches,
    /// Options that were typed more than once, and of which the last counts.
    pub repeated: Vec<String>,
}

/// Parses the command line of this process.
pub fn parse<C: Parser>() -> anyhow::Result<C> {
    parse_words(std::env::args_os(), &[]).map(|typed| typed.cli)
}

/// As [`parse`], with what the environment has of the options: `PROGRAM_NAME` is `--name`, unless it is typed.
pub fn parse_with_environment<C: Parser>() -> anyhow::Result<C> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let given = environment::given(&C::command(), &words, &|name| std::env::var_os(name));
    let at = words.len().min(1);
    words.splice(at..at, given.words);
    parse_words(words, &[])
        .map(|typed| typed.cli)
        .inspect_err(|error| {
            let usage = error.downcast_ref::<clap::Error>();
            if usage.is_some_and(clap::Error::use_stderr) && !given.names.is_empty() {
                message(format_args!(
                    "the environment sets {}",
                    given.names.join(", ")
                ));
            }
        })
}

/// The same, where the last of each option in `last_counts` (by its name in the program) counts, as with getopt.
pub fn parse_last<C: Parser>(last_counts: &[&'static str]) -> anyhow::Result<Typed<C>> {
    parse_words(std::env::args_os(), last_counts)
}

/// The same of these words, the first of which is the program's name.
pub fn parse_words<C: Parser>(
    words: impl IntoIterator<Item = OsString>,
    last_counts: &[&'static str],
) -> anyhow::Result<Typed<C>> {
    if completions::answer(C::command)? {
        return Err(Answer(String::new()).into());
    }
    let words: Vec<OsString> = words.into_iter().collect();
    let completions = Arg::new(COMPLETIONS)
        .long(COMPLETIONS)
        .value_name("SHELL")
        .value_parser(value_parser!(Shell))
        .exclusive(true)
        .hide(true);
    let mut command = C::command().arg(completions);
    let mut repeated = Vec::new();
    let matches = loop {
        match command.clone().try_get_matches_from(&words) {
            Ok(matches) => break matches,
            Err(error) => {
                let again = repeated_option(&error, &command, last_counts);
                let Some((id, name, takes_value)) = again else {
                    return Err(hints::explain(error, &command));
                };
                command = command.mut_arg(id, |arg| arg.overrides_with(id));
                repeated.extend(takes_value.then_some(name));
            }
        }
    };
    if let Some(shell) = matches.get_one::<Shell>(COMPLETIONS) {
        return Err(Answer(completions::script(&C::command(), *shell)?).into());
    }
    let cli = C::from_arg_matches(&matches).map_err(|error| error.format(&mut C::command()))?;
    Ok(Typed {
        cli,
        matches,
        repeated,
    })
}

/// The option that the error says was typed twice, if its last one is to count: its id, its name, and whether it has a value.
fn repeated_option(
    error: &clap::Error,
    command: &Command,
    last_counts: &[&'static str],
) -> Option<(&'static str, String, bool)> {
    if error.kind() != ErrorKind::ArgumentConflict {
        return None;
    }
    let invalid = error.get(ContextKind::InvalidArg)?;
    let (ContextValue::String(name), Some(prior)) = (invalid, error.get(ContextKind::PriorArg))
    else {
        return None;
    };
    let is_same = match prior {
        ContextValue::String(prior) => prior == name,
        ContextValue::Strings(priors) => priors.iter().all(|prior| prior == name),
        _ => false,
    };
    // An argument has its name in messages only when the command is built.
    let mut built = command.clone();
    built.build();
    let mut arguments = built.get_arguments();
    let argument = arguments.find(|argument| argument.to_string() == *name)?;
    let id = argument.get_id().as_str();
    let id = last_counts.iter().find(|known| **known == id)?;
    let takes_value = argument.get_action().takes_values();
    is_same.then(|| (*id, option_name(argument), takes_value))
}

/// What an option is called in messages: its letter if it has one.
pub fn option_name(argument: &Arg) -> String {
    match (argument.get_short(), argument.get_long()) {
        (Some(letter), _) => format!("-{letter}"),
        (None, Some(long)) => format!("--{long}"),
        (None, None) => argument.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "x")]
    struct Cli {
        #[arg(long, required = true)]
        needed: Option<String>,

        #[arg(short = 'p')]
        partition: Option<i32>,

        #[arg(short = 'e')]
        exits: bool,

        #[arg(long)]
        once: Option<i32>,
    }

    fn typed(line: &str) -> anyhow::Result<Typed<Cli>> {
        let words = line.split_whitespace().map(OsString::from);
        parse_words(words, &["partition", "exits"])
    }

    fn outcome(line: &str) -> anyhow::Result<Cli> {
        typed(line).map(|typed| typed.cli)
    }

    #[test]
    fn a_script_is_answered_whatever_the_program_needs_otherwise() {
        for shell in ["bash", "zsh", "fish"] {
            let error = outcome(&format!("x --generate-completions {shell}")).unwrap_err();
            let Answer(script) = error.downcast_ref().expect("an answer");
            assert!(script.contains("KAFKAUTILS_COMPLETE"), "{script}");
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

    #[test]
    fn the_last_counts_of_those_that_are_named_and_what_it_overrides_is_known() {
        let twice = typed("x --needed a -p 1 -e -p 2 -e -p 3").expect("taken");
        assert_eq!((twice.cli.partition, twice.cli.exits), (Some(3), true));
        assert_eq!(twice.repeated, ["-p"]);
        assert!(outcome("x --needed a --once 1 --once 2").is_err());
        assert!(
            typed("x --needed a -p 1")
                .expect("taken")
                .repeated
                .is_empty()
        );
    }
}
