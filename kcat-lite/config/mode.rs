//! Which mode the command line asks for, and which options go with it.

use std::io::IsTerminal;

use super::usage;
use crate::cli::Cli;

/// A mode, before its facts are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Produce,
    Consume,
    Group,
    List,
    Query,
    Mock,
    SelfTest,
}

impl Mode {
    /// The option that asks for it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Mode::Produce => "-P",
            Mode::Consume => "-C",
            Mode::Group => "-G",
            Mode::List => "-L",
            Mode::Query => "-Q",
            Mode::Mock => "-M",
            Mode::SelfTest => "-U",
        }
    }
}

/// The mode that was asked for; else the one that the options are about; else by what standard input is, as kcat does.
pub(super) fn choose_mode(cli: &Cli) -> Mode {
    let asked = [
        (cli.produce, Mode::Produce),
        (cli.consume, Mode::Consume),
        (cli.group.is_some(), Mode::Group),
        (cli.list, Mode::List),
        (cli.query, Mode::Query),
        (cli.mock.is_some(), Mode::Mock),
        (cli.self_test, Mode::SelfTest),
    ];
    if let Some((_, mode)) = asked.into_iter().find(|(is_asked, _)| *is_asked) {
        return mode;
    }
    let mode = if !cli.offsets.is_empty() || cli.exit_at_end || std::io::stdin().is_terminal() {
        Mode::Consume
    } else {
        Mode::Produce
    };
    if !cli.connection.quiet {
        tools::cli::message(format_args!(
            "no mode given: {} it is (-P produces, -C consumes)",
            mode.option()
        ));
    }
    mode
}

/// An option that the mode can't honour is an error that names it, never ignored.
pub(super) fn refuse_what_does_not_fit(cli: &Cli, mode: Mode) -> anyhow::Result<()> {
    use Mode::{Consume, Group, List, Mock, Produce, Query};
    const READ: &[Mode] = &[Consume, Group];
    const MOVE: &[Mode] = &[Produce, Consume, Group];
    const ANSWER: &[Mode] = &[Produce, Consume, Group, List, Query];
    let format = &cli.format;
    let rules: &[(&str, bool, &[Mode])] = &[
        ("-t", !cli.topics.is_empty(), ANSWER),
        ("-p", cli.partition.is_some(), &[Produce, Consume]),
        ("-o", !cli.offsets.is_empty(), READ),
        ("-c", cli.count.is_some(), MOVE),
        ("-e", cli.exit_at_end, READ),
        ("-l", cli.lines, &[Produce]),
        ("-k", cli.key.is_some(), &[Produce]),
        ("-H", !cli.headers.is_empty(), &[Produce]),
        ("-z", cli.compression.is_some(), &[Produce]),
        ("-T", cli.tee, &[Produce]),
        ("-u", cli.unbuffered, READ),
        ("-E", cli.keep_trying, ANSWER),
        ("--engine", cli.engine.is_some(), &[Consume]),
        ("-O", cli.print_offset, READ),
        ("-s", !cli.unpack.is_empty(), READ),
        ("--raw", cli.raw, READ),
        ("-D", format.delimiter.is_some(), MOVE),
        ("-K", format.key_delimiter.is_some(), MOVE),
        ("-Z", format.null_empty, MOVE),
        ("-f", format.template.is_some(), MOVE),
        ("--bytes", format.bytes.is_some(), MOVE),
        ("--utf8", format.utf8.is_some(), MOVE),
        ("--ack", cli.pipe.ack.is_some(), &[Group, Produce]),
        ("--max-inflight", cli.pipe.max_inflight.is_some(), &[Group]),
        ("--txn", cli.pipe.txn.is_some(), &[Produce]),
        ("--exec", cli.pipe.exec.is_some(), &[Group]),
        ("--tsv", format.tsv.is_some(), ANSWER),
        ("-J", format.json, ANSWER),
        ("COMMAND", !cli.command.is_empty(), &[Mock]),
        ("-b", cli.connection.brokers.is_some() && mode == Mock, &[]),
    ];
    for (option, is_given, modes) in rules {
        if *is_given && !modes.contains(&mode) && !(mode == Mode::SelfTest && *option == "-b") {
            return Err(usage(format_args!(
                "{option} does not go with {}",
                mode.option()
            )));
        }
    }
    if !cli.operands.is_empty() && !MOVE.contains(&mode) {
        let first = cli.operands[0].display();
        return Err(usage(format_args!(
            "`{first}`: {} takes no operand",
            mode.option()
        )));
    }
    Ok(())
}

/// Avro is not here, and says so before anything else is looked at.
pub(super) fn refuse_avro(cli: &Cli) -> anyhow::Result<()> {
    let avro = |pack: &String| pack.rsplit('=').next() == Some("avro");
    if cli.registry.is_some() {
        return Err(usage("-r: schema registries and Avro are not supported"));
    }
    if cli.unpack.iter().any(avro) {
        return Err(usage(
            "-s avro: Avro and schema registries are not supported",
        ));
    }
    Ok(())
}
