//! The mode that the command line asks for.

use std::io::IsTerminal;

use crate::cli::Cli;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Produce,
    Consume,
    Group,
    Share,
    List,
    Query,
    Commit,
    Mock,
    SelfTest,
}

impl Mode {
    /// The option that selects it.
    pub(super) fn option(self) -> &'static str {
        match self {
            Mode::Produce => "-P",
            Mode::Consume => "-C",
            Mode::Group => "-G",
            Mode::Share => "--share",
            Mode::List => "-L",
            Mode::Query => "-Q",
            Mode::Commit => "--commit",
            Mode::Mock => "-M",
            Mode::SelfTest => "-U",
        }
    }
}

/// The mode of the command line; without one, by its options or by standard input, as in kcat.
pub(super) fn choose_mode(cli: &Cli) -> anyhow::Result<Mode> {
    let asked = [
        (cli.modes.produce, Mode::Produce),
        // kcat takes `-C -G GROUP`: a group consumes.
        (cli.modes.group.is_some(), Mode::Group),
        (cli.modes.share.is_some(), Mode::Share),
        (cli.modes.consume, Mode::Consume),
        (cli.modes.list, Mode::List),
        (cli.modes.query, Mode::Query),
        (cli.modes.commit.is_some(), Mode::Commit),
        (cli.modes.mock.is_some(), Mode::Mock),
        (cli.modes.self_test, Mode::SelfTest),
    ];
    if let Some((_, mode)) = asked.into_iter().find(|(is_asked, _)| *is_asked) {
        return Ok(mode);
    }
    super::other_tools::refuse_verb(cli)?;
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
