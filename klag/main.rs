//! Says how far consumer groups are behind: `cluster -> plain rows -> pure lag -> report, check or metrics`.

mod cli;
mod collect;
mod config;
mod exporter;
mod lag;
mod limits;
mod metrics;
#[cfg(test)]
mod pairs;
mod rates;
mod report;
mod row;
mod totals;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tools::cli::signals::Signals;
use tools::cli::{parse_with_environment, run};

use cli::Cli;
use config::Config;

fn main() -> ExitCode {
    run("klag", || {
        let cli = parse_with_environment::<Cli>()?;
        let config = Config::new(&cli, io::stdout().is_terminal())?;
        let signals = Signals::catch()?;
        match &config.listen {
            Some(settings) => exporter::run(&config, settings, &signals),
            None => report::run(&config, &signals),
        }
    })
}
