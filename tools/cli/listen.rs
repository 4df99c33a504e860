//! `--listen`: an exporter for Prometheus; the same in every program that is one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use std::os::fd::AsFd as _;

use super::exit::Exit;
use super::message::{message, program};
use super::signals::Signals;
use crate::serve::{self, Address, Problem, Scraper, Settings, StateLog};

/// As typed.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Exporter")]
pub struct ListenArgs {
    /// Serve Prometheus metrics at /metrics, a page for people at /, and /health and /ready
    ///
    /// Each scrape asks the cluster. PORT or :PORT listens on every address of
    /// this machine; 127.0.0.1:PORT can be reached only from this machine.
    #[arg(long, value_name = "[HOST]:PORT", conflicts_with_all = ["output", "json", "header", "columns", "wide", "watch", "write"])]
    pub listen: Option<Address>,

    /// TLS and users for --listen, as a web configuration file of Prometheus exporters
    // clap drops a `requires` where another option conflicts with what is required.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["output", "json", "header", "columns", "wide", "watch", "write"])]
    pub web_config: Option<PathBuf>,
}

impl ListenArgs {
    /// How to serve, where that is asked for; a scrape takes at most `scrape_timeout`.
    ///
    /// # Errors
    /// A usage error, which names the options.
    pub fn settings(&self, scrape_timeout: Duration) -> Result<Option<Settings>> {
        let Some(address) = self.listen.clone() else {
            ensure!(self.web_config.is_none(), "--web-config is for --listen");
            return Ok(None);
        };
        Ok(Some(Settings {
            address,
            web_config: self.web_config.clone(),
            scrape_timeout,
            program: program(),
        }))
    }
}

/// Serves until a signal comes, which is a normal end.
///
/// # Errors
/// The server can't be started.
pub fn serve(
    settings: &Settings,
    is_quiet: bool,
    signals: &Signals,
    scraper: &mut (dyn Scraper + Send),
) -> Result<Exit> {
    let end = signals.as_fd().try_clone_to_owned()?;
    let report: serve::Report = Arc::new(|text: &str| message(text));
    let listening = |url: &str| {
        if !is_quiet {
            message(format_args!("listening on {url}"));
        }
    };
    serve::run(settings, end, scraper, &report, &listening)?;
    Ok(Exit::Done)
}

/// Lines of one scrape that are written.
const LINES: usize = 10;

/// Writes a line for each thing that has begun to be wrong since the last scrape, or is wrong no more.
///
/// `brokers` are those that the cluster has now; none where nobody answered.
pub fn log_changes(log: &mut StateLog, now: Vec<Problem>, brokers: Option<&[i32]>) {
    let lines = log.changes(now, brokers);
    for line in lines.iter().take(LINES) {
        message(line);
    }
    if lines.len() > LINES {
        message(format_args!("and {} more changes", lines.len() - LINES));
    }
}
