//! Which mode the command line asks for.

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
pub(super) fn choose_mode(cli: &Cli) -> anyhow::Result<Mode> {
    let asked = [
        (cli.produce, Mode::Produce),
        // kcat takes `-C -G GROUP`: a group consumes.
        (cli.group.is_some(), Mode::Group),
        (cli.consume, Mode::Consume),
        (cli.list, Mode::List),
        (cli.query, Mode::Query),
        (cli.mock.is_some(), Mode::Mock),
        (cli.self_test, Mode::SelfTest),
    ];
    if let Some((_, mode)) = asked.into_iter().find(|(is_asked, _)| *is_asked) {
        return Ok(mode);
    }
    super::habits::refuse_verb(cli)?;
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
    Ok(mode)
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
