//! Completion scripts: clap's, told what the values of options are, so that no file is offered where none is meant.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command, ValueHint};
use clap_complete::Shell;

use crate::kafka::options;
use crate::partition::Algorithm;

/// The values that are files and folders, by their names in the help.
const FILES: [&str; 9] = [
    "FILE",
    "FILE|TOPIC",
    "PATH",
    "PLACE",
    "FOLDER",
    "FOLDER|URL",
    "COMMAND",
    "CMD",
    "FILE|FOLDER",
];

/// What completes the value of an option.
enum Values {
    /// These words.
    Words(Vec<String>),
    /// Files, as the shell does it, or what clap knows already.
    Usual,
    /// Nothing.
    Nothing,
}

/// The script of `shell`.
pub(super) fn script(command: Command, shell: Shell) -> String {
    let mut command = command.mut_args(with_values);
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn with_values(argument: Arg) -> Arg {
    match values(&argument) {
        Values::Words(words) => {
            // clap keeps words for as long as the program runs, which ends with the script.
            let words = words.into_iter().map(|word| &*word.leak());
            argument.value_parser(PossibleValuesParser::new(
                words.collect::<Vec<&'static str>>(),
            ))
        }
        Values::Usual => argument,
        Values::Nothing => argument.value_hint(ValueHint::Other),
    }
}

fn values(argument: &Arg) -> Values {
    let words = |words: &[&str]| Values::Words(words.iter().map(|&word| word.to_owned()).collect());
    let takes_value = argument.get_action().takes_values();
    if !takes_value || !argument.get_possible_values().is_empty() {
        return Values::Usual;
    }
    match (argument.get_id().as_str(), argument.get_long()) {
        ("compression", _) => words(&["none", "gzip", "snappy", "lz4", "zstd"]),
        ("offsets", _) => words(&["beginning", "end", "stored"]),
        ("output", _) => words(&["table", "tsv", "csv", "json", "prometheus"]),
        (_, Some("tsv")) => words(&["all", "key,value", "value"]),
        (_, Some("algo")) => Values::Words(Algorithm::names()),
        (_, Some("state")) => words(&[
            "stable",
            "empty",
            "dead",
            "preparingrebalance",
            "completingrebalance",
            "assigning",
            "reconciling",
        ]),
        ("properties", _) => Values::Words(options::names().map(|name| name + "=").collect()),
        _ => {
            let names = argument.get_value_names().unwrap_or_default();
            let is_file = names.iter().any(|name| FILES.contains(&name.as_str()));
            if is_file {
                Values::Usual
            } else {
                Values::Nothing
            }
        }
    }
}
