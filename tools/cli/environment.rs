//! Options by the environment: `KLAG_MAX_LAG` is `--max-lag`, for containers. An option that is typed beats it.
//!
//! Variables that name no option are passed over: Kubernetes sets `KLAG_PORT` for a service called klag.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// What the environment gives of a command's options.
pub(super) struct Given {
    pub(super) names: Vec<String>,
    /// The same as words of a command line.
    pub(super) words: Vec<OsString>,
}

/// The options of `command` that `variable` has and `words`, the command line, has not.
pub(super) fn given(
    command: &Command,
    words: &[OsString],
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Given {
    let mut given = Given {
        names: Vec::new(),
        words: Vec::new(),
    };
    let lenient = command.clone().ignore_errors(true);
    // Help and version are asked for, or it will be said what is wrong.
    let Ok(typed) = lenient.try_get_matches_from(words) else {
        return given;
    };
    let program = command.get_name().to_uppercase();
    for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
        let Some(long) = arg.get_long() else { continue };
        let name = format!("{program}_{}", long.replace('-', "_").to_uppercase());
        let Some(value) = variable(&name) else {
            continue;
        };
        if is_typed(arg, &typed) || is_beaten(command, arg, &typed) {
            continue;
        }
        let before = given.words.len();
        add(arg, long, &value, &mut given.words);
        if given.words.len() > before {
            given.names.push(name);
        }
    }
    given
}

fn is_typed(arg: &Arg, typed: &ArgMatches) -> bool {
    typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// Whether an option was typed beside which this one can't be.
fn is_beaten(command: &Command, arg: &Arg, typed: &ArgMatches) -> bool {
    command
        .get_arguments()
        .filter(|other| is_typed(other, typed))
        .any(|other| {
            let is_in = |conflicts: Vec<&Arg>, wanted: &Arg| {
                conflicts.iter().any(|one| one.get_id() == wanted.get_id())
            };
            is_in(command.get_arg_conflicts_with(arg), other)
                || is_in(command.get_arg_conflicts_with(other), arg)
        })
}

/// Adds the words that a variable stands for: a flag, one value, or a value for each line.
fn add(arg: &Arg, long: &str, value: &OsStr, words: &mut Vec<OsString>) {
    let flag = || OsString::from(format!("--{long}"));
    let with = |value: &[u8]| {
        let mut word = format!("--{long}=").into_bytes();
        word.extend_from_slice(value);
        OsString::from_vec(word)
    };
    let text = value.to_string_lossy().to_lowercase();
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::Count => match (text.as_str(), text.parse()) {
            ("true" | "yes" | "on", _) => words.push(flag()),
            ("false" | "no" | "off", _) => {}
            (_, Ok(count @ 0..=9)) => words.extend((0..count).map(|_: u8| flag())),
            // What it is not is said by who parses it.
            _ => words.push(with(value.as_bytes())),
        },
        ArgAction::Append => {
            let value = value.as_bytes();
            let lines = value.strip_suffix(b"\n").unwrap_or(value);
            words.extend(lines.split(|byte| *byte == b'\n').map(with));
        }
        _ => words.push(with(value.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "x")]
    struct Cli {
        #[arg(short, long)]
        topic: Vec<String>,
        #[arg(long, conflicts_with = "json")]
        output: Option<String>,
        #[arg(long)]
        json: bool,
        #[arg(long)]
        max_lag: Option<u64>,
        #[arg(short, action = ArgAction::Count, long)]
        verbose: u8,
    }

    fn words(line: &str, variables: &[(&str, &str)]) -> String {
        use clap::CommandFactory as _;
        let typed: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(*value))
        };
        let given = given(&Cli::command(), &typed, &variable);
        let words: Vec<String> = given
            .words
            .iter()
            .map(|w| w.to_string_lossy().into())
            .collect();
        words.join(" ")
    }

    #[test]
    fn a_variable_is_an_option_that_is_not_typed() {
        for (line, name, value, wanted) in [
            ("x", "X_MAX_LAG", "5", "--max-lag=5"),
            ("x --max-lag 7", "X_MAX_LAG", "5", ""),
            // A variable that was to be set and is not must not take a limit away.
            ("x", "X_MAX_LAG", "", "--max-lag="),
            ("x", "X_TOPIC", "", "--topic="),
            ("x", "X_JSON", "", "--json="),
            ("x", "X_TOPIC", "a\nb\n", "--topic=a --topic=b"),
            ("x -t c", "X_TOPIC", "a", ""),
            ("x", "X_JSON", "true", "--json"),
            ("x", "X_JSON", "0", ""),
            ("x", "X_JSON", "maybe", "--json=maybe"),
            ("x", "X_VERBOSE", "2", "--verbose --verbose"),
            ("x --json", "X_OUTPUT", "csv", ""),
            ("x --output csv", "X_JSON", "1", ""),
            ("x --max-lag x", "X_JSON", "1", "--json"),
            ("x --help", "X_JSON", "1", "--json"),
            ("x", "X_PORT", "tcp://10.0.0.1:9308", ""),
            ("x", "JSON", "1", ""),
        ] {
            let found = words(line, &[(name, value)]);
            // Help is printed whatever else there is.
            assert!(
                found == wanted || line.ends_with("--help"),
                "{line} {name}={value}: {found}"
            );
        }
    }
}
