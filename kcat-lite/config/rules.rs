//! Which options go with which mode, and with which other options.
//!
//! Every option is in MODES; a test finds one that is not.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};
use tools::cli::option_name;

use super::mode::Mode::{self, Commit, Consume, Group, List, Mock, Produce, Query, Share};
use super::usage;
use crate::cli::Cli;

const READ: &[Mode] = &[Consume, Group, Share];
const START: &[Mode] = &[Consume, Group];
const MOVE: &[Mode] = &[Produce, Consume, Group, Share];
const ASK: &[Mode] = &[Produce, Consume, Group, Share, List, Query, Commit];
const ANY: &[Mode] = &[
    Produce,
    Consume,
    Group,
    Share,
    List,
    Query,
    Commit,
    Mock,
    Mode::SelfTest,
];

/// The modes that take an option, by its field in [`Cli`].
const MODES: &[(&str, &[Mode])] = &[
    ("produce", ANY),
    ("consume", ANY),
    ("group", ANY),
    ("share", ANY),
    ("list", ANY),
    ("query", ANY),
    ("commit", ANY),
    ("mock", ANY),
    ("self_test", ANY),
    ("version", ANY),
    ("topics", &[Produce, Consume, Group, Share, List, Query]),
    ("partition", &[Produce, Consume]),
    ("offsets", START),
    ("count", MOVE),
    ("exit_at_end", START),
    ("idle", READ),
    ("give_up", READ),
    ("last", &[Consume, Query]),
    ("only_key", START),
    ("algorithm", &[Consume]),
    ("lines", &[Produce]),
    ("key", &[Produce]),
    ("headers", &[Produce]),
    ("compression", &[Produce]),
    ("tee", &[Produce]),
    ("unbuffered", READ),
    (
        "keep_trying",
        &[Produce, Consume, Group, List, Query, Commit],
    ),
    ("engine", START),
    ("print_offset", READ),
    ("unpack", MOVE),
    ("registry", &[Produce, Consume, Group, Share, Query]),
    ("json_style", MOVE),
    ("undecodable", READ),
    ("schema", &[Produce, Query]),
    ("schema_id", &[Produce]),
    ("message", &[Produce]),
    ("raw", READ),
    ("delimiter", MOVE),
    ("key_delimiter", MOVE),
    ("null_empty", MOVE),
    ("template", MOVE),
    ("bytes", MOVE),
    ("utf8", MOVE),
    ("tsv", ASK),
    ("json", ASK),
    ("exec", &[Group, Share]),
    ("ack", &[Group, Produce]),
    ("txn", &[Produce]),
    ("max_inflight", &[Group]),
    ("batch", &[Group, Share, Produce]),
    ("batch_bytes", &[Group]),
    ("batch_wait", &[Group, Produce]),
    ("retry", &[Group]),
    ("parallel", &[Group, Share]),
    ("max_tries", &[Share]),
    ("reject_to", &[Share]),
    // kcat's own test of -U names brokers.
    (
        "brokers",
        &[
            Produce,
            Consume,
            Group,
            Share,
            List,
            Query,
            Commit,
            Mode::SelfTest,
        ],
    ),
    ("properties", ASK),
    ("config_files", ASK),
    ("timeout", ASK),
    ("debug", ASK),
    ("verbose", ASK),
    (
        "quiet",
        &[Produce, Consume, Group, Share, List, Query, Commit, Mock],
    ),
    ("metadata", &[Commit]),
    ("delete", &[Commit]),
    ("force", &[Commit]),
    ("dry_run", &[Commit]),
    ("operands", MOVE),
    ("command", &[Mock]),
];

/// Options that need one of others.
const REQUIRES: &[(&str, &[&str])] = &[
    ("algorithm", &["only_key"]),
    ("txn", &["ack"]),
    ("max_inflight", &["ack"]),
    ("batch", &["exec", "txn"]),
    ("batch_bytes", &["exec"]),
    ("batch_wait", &["exec", "txn"]),
    ("retry", &["exec"]),
    ("parallel", &["exec"]),
    ("max_tries", &["exec"]),
    ("reject_to", &["exec"]),
    ("undecodable", &["json"]),
];

/// Options that exclude others.
const CONFLICTS: &[(&str, &[&str])] = &[
    ("algorithm", &["partition"]),
    ("delete", &["metadata", "force"]),
    ("schema", &["schema_id"]),
    ("last", &["offsets", "count", "idle"]),
    (
        "exec",
        &["unbuffered", "keep_trying", "raw", "idle", "only_key"],
    ),
    (
        "ack",
        &[
            "unbuffered",
            "keep_trying",
            "raw",
            "idle",
            "only_key",
            "lines",
            "tee",
        ],
    ),
];

/// Options whose last occurrence wins, as in kcat.
pub(super) const LAST_WINS: &[&str] = &[
    "produce",
    "consume",
    "list",
    "query",
    "partition",
    "count",
    "exit_at_end",
    "lines",
    "key",
    "compression",
    "tee",
    "unbuffered",
    "keep_trying",
    "print_offset",
    "delimiter",
    "key_delimiter",
    "null_empty",
    "json",
    "template",
    "brokers",
    "timeout",
    "debug",
    "quiet",
];

/// Refuses options that the mode or another option does not allow; none is ignored.
pub(super) fn check_options(matches: &ArgMatches, mode: Mode) -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    let is_typed = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let typed: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| is_typed(argument.get_id().as_str()))
        .collect();
    let find = |id: &str| command.get_arguments().find(|it| it.get_id() == id);
    let name = |id: &str| find(id).map_or_else(|| id.to_owned(), option_name);
    let shown = |id: &str| find(id).map_or_else(|| id.to_owned(), ToString::to_string);
    for argument in &typed {
        let id = argument.get_id().as_str();
        let rule = MODES.iter().find(|(known, _)| *known == id);
        if !rule.is_some_and(|(_, modes)| modes.contains(&mode)) {
            return Err(refused(argument, matches, mode));
        }
    }
    for (option, others) in REQUIRES {
        if is_typed(option) && !others.iter().any(|other| is_typed(other)) {
            let others: Vec<String> = others.iter().map(|other| shown(other)).collect();
            let (option, others) = (name(option), others.join(" or "));
            return Err(usage(format_args!("{option} needs {others}")));
        }
    }
    for (option, others) in CONFLICTS {
        // A queue has no end but this one.
        let is_allowed = |other: &str| mode == Share && other == "idle";
        let clash = others
            .iter()
            .find(|other| is_typed(option) && is_typed(other) && !is_allowed(other));
        if let Some(other) = clash {
            let (option, other) = (name(option), name(other));
            return Err(usage(format_args!("{other} does not go with {option}")));
        }
    }
    Ok(())
}

fn refused(argument: &Arg, matches: &ArgMatches, mode: Mode) -> anyhow::Error {
    let mode = mode.option();
    let words = matches.get_raw(argument.get_id().as_str());
    let first = words.and_then(|mut words| words.next());
    let first = first.unwrap_or_default().display();
    if !argument.is_positional() {
        let hint = match (argument.get_id().as_str(), mode) {
            ("exit_at_end", "--share") => "; --idle TIME ends it",
            ("offsets", "--share") => {
                "; a share group begins where its setting share.auto.offset.reset says"
            }
            ("offsets", "-L" | "-Q") if first.to_string() == "json" => "; JSON is -J",
            _ => "",
        };
        return usage(format_args!(
            "{} does not go with {mode}{hint}",
            option_name(argument)
        ));
    }
    if argument.get_id() == "command" {
        return usage(format_args!("COMMAND does not go with {mode}"));
    }
    usage(format_args!("`{first}`: {mode} takes no operand"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_under_their_own_heading() {
        let command = Cli::command();
        let heading = |id: &str| {
            let mut arguments = command.get_arguments();
            let found = arguments.find(|argument| argument.get_id() == id);
            found.and_then(Arg::get_help_heading)
        };
        assert_eq!(heading("version"), Some("Modes"));
        assert_eq!(heading("topics"), Some("What to move"));
        assert_eq!(heading("engine"), Some("What to move"));
        assert_eq!(heading("print_offset"), heading("tsv"));
    }

    #[test]
    fn every_option_has_a_rule_and_every_rule_an_option() {
        let command = Cli::command();
        let ids: Vec<&str> = command
            .get_arguments()
            .map(|a| a.get_id().as_str())
            .collect();
        for id in ids.iter().filter(|id| !["help", "version"].contains(id)) {
            assert!(MODES.iter().any(|(known, _)| known == id), "{id}");
        }
        let others = REQUIRES.iter().chain(CONFLICTS);
        let others = others.flat_map(|(id, others)| others.iter().chain(std::iter::once(id)));
        let all = MODES
            .iter()
            .map(|(id, _)| id)
            .chain(LAST_WINS)
            .chain(others);
        for id in all {
            assert!(ids.contains(id), "{id}");
        }
    }
}
