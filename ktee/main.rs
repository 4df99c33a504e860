//! Copies a stream to files, topics and backups while passing it on, and reads backups back.
//!
//! ```text
//! stdin -> stdout and files
//!       -> records -> topics
//!                  -> blocks -> frames -> segments of a folder or bucket
//! segments -> records -> stdout, a report, or a topic
//! ```

mod cat;
mod cli;
mod config;
mod coverage;
mod destination;
mod flow;
mod head;
mod metadata;
mod prune;
mod read;
mod restore;
mod segment;
mod store;
mod verify;
mod write;

use std::process::ExitCode;

use config::Config;
use read::Interrupted;
use tools::cli::signals::last_caught;
use tools::cli::{Exit, run};

fn main() -> ExitCode {
    run("ktee", || {
        let ended = match config::from_command_line()? {
            Config::Tee(config) => flow::run(&config),
            Config::Verify(config) => verify::run(&config),
            Config::Cat(config) => cat::run(&config),
            Config::Restore(config) => restore::run(&config),
            Config::Prune(config) => prune::run(&config),
        };
        match ended {
            Err(error) if error.is::<Interrupted>() => Ok(Exit::Signal(last_caught())),
            ended => ended,
        }
    })
}
