//! Says how far consumer groups are behind: `cluster -> plain rows -> pure lag -> report, check or metrics`.

mod cli;
mod collect;
mod file;
mod lag;
mod limits;
mod metrics;
mod pace;
mod row;
mod serve;
mod show;
mod totals;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tools::cli::run;
use tools::cli::signals::Signals;

use cli::{Cli, Config};

fn main() -> ExitCode {
    run("klag", || {
        let cli = Cli::try_parse()?;
        let config = Config::new(&cli, io::stdout().is_terminal())?;
        let signals = Signals::catch()?;
        match config.listen {
            Some(address) => serve::run(&config, address, &signals),
            None => show::run(&config, &signals),
        }
    })
}
