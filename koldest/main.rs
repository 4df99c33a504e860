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

use tools::cli::signals::Signals;
use tools::cli::target::report_once;
use tools::cli::watch::repeat;
use tools::cli::{parse_with_environment, run};
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
        let interrupted = || signals.caught().is_some();
        let take = |client: &Client| Snapshot::take(client, &config.scope, &interrupted);
        if let Some(every) = config.watch.watch {
            let client = Client::new(&config.options, Role::Consumer)?;
            let report = || Ok(report::build(&take(&client)?, &config));
            return repeat(every, config.style, &signals, report);
        }
        report_once(
            &config.watch,
            config.style,
            &signals,
            |started, text| exporter::write_scrape(false, started, text),
            || take(&Client::new(&config.options, Role::Consumer)?),
            |snapshot, started, target| report::write(&snapshot, &config, started, target.text()),
        )
    })
}
