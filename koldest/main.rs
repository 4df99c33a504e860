//! Says how old the oldest message of every partition is, and how long retention will hold.
//!
//! ```text
//! cluster -> facts of every partition -> forecast, judgement -> rows -> report
//! ```

mod checks;
mod cli;
mod collect;
mod config;
mod disks;
mod exporter;
mod forecast;
mod leader;
mod need;
#[cfg(test)]
mod pairs;
mod partition_state;
mod report;
mod row;
mod search;
mod verify;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tools::cli::report::chosen;
use tools::cli::signals::Signals;
use tools::cli::watch;
use tools::cli::{Exit, file, parse_with_environment, run};
use tools::kafka::{Client, Role};

use cli::Cli;
use collect::Snapshot;
use config::Config;

fn main() -> ExitCode {
    run("koldest", || {
        let config = Config::new(parse_with_environment::<Cli>()?, io::stdout().is_terminal())?;
        let signals = Signals::catch()?;
        if let Some(settings) = &config.listen {
            return exporter::run(&config, settings, &signals);
        }
        let client = Client::new(&config.options, Role::Consumer)?;
        let interrupted = || signals.caught().is_some();
        let take = || {
            let snapshot = Snapshot::take(&client, &config.scope, &interrupted)?;
            let (report, exit) = report::build(&snapshot, &config);
            anyhow::Ok((chosen(report, &config.columns, config.style), exit))
        };
        let Some(path) = &config.write else {
            return watch::show(&config.watch, config.style, &signals, take);
        };
        let (report, exit) = match (take(), signals.caught()) {
            (Ok(taken), _) => taken,
            (Err(_), Some(signal)) => return Ok(Exit::Signal(signal)),
            (Err(error), None) => return Err(error),
        };
        let mut text = Vec::new();
        report.write(config.style, &mut text)?;
        file::replace(path, &text)?;
        Ok(exit)
    })
}
