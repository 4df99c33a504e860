//! Says how old the oldest message of every partition is, and how long retention will hold.
//!
//! ```text
//! cluster -> facts of every partition -> forecast, judgement -> rows -> report
//! ```

mod checks;
mod cli;
mod config;
mod disks;
mod ends;
mod facts;
mod forecast;
mod need;
mod report;
mod row;
mod settle;
mod survey;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use tools::cli::signals::Signals;
use tools::cli::watch;
use tools::cli::{parse, run};
use tools::kafka::{Client, Role};

use cli::Cli;
use config::Config;
use survey::Survey;

fn main() -> ExitCode {
    run("koldest", || {
        let config = Config::new(parse::<Cli>()?, io::stdout().is_terminal())?;
        let signals = Signals::catch()?;
        let client = Client::new(&config.options, Role::Consumer)?;
        let interrupted = || signals.caught().is_some();
        watch::show(&config.watch, config.style, &signals, || {
            let survey = Survey::take(&client, &config.wanted, &interrupted)?;
            Ok(report::build(&survey, &config))
        })
    })
}
