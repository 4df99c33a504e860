//! `--listen`: an exporter for Prometheus; the same in every program that is one.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use super::exit::Exit;
use super::message::{message, messages, program};
use super::now_ms;
use super::signals::Signals;
use crate::kafka::admin::{Topics, metadata};
use crate::kafka::client::ContactError;
use crate::kafka::{Client, Options, Role};
use crate::report::{Format, Report, Style, failure_page};
use crate::serve::{self, Address, Problem, Scraped, Scraper, Settings, StateLog};
use crate::units::format_time_ms;

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Exporter")]
pub struct ListenArgs {
    /// Serve Prometheus metrics at /metrics, a web page at /, and /health and /ready
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

/// What one scrape has brought.
pub struct Scrape {
    /// Text of Prometheus, 0.0.4.
    pub metrics: Vec<u8>,
    /// For people, where it was asked for.
    pub page: Option<Report>,
    /// What was not seen, and why.
    pub problems: Vec<Problem>,
    /// The brokers that the cluster has now.
    pub brokers: Vec<i32>,
}

/// Serves what `scrape` brings until a signal comes, which is a normal end. `scrape` gets whether a page is wanted.
///
/// Where nobody answers, the metrics are what `failed_metrics` writes.
pub fn serve(
    settings: &Settings,
    options: &Options,
    signals: &Signals,
    failed_metrics: &(dyn Fn(Instant, &mut Vec<u8>) + Sync),
    mut scrape: impl FnMut(&Client, bool) -> Result<Scrape> + Send,
) -> Result<Exit> {
    let client = Client::new(options, Role::Consumer)?;
    let mut scraper = ClusterScraper {
        client: &client,
        signals,
        failed_metrics,
        scrape: &mut scrape,
        log: StateLog::default(),
    };
    let end = signals.as_fd().try_clone_to_owned()?;
    let notices: serve::Report = Arc::new(|text: &str| message(text));
    let is_quiet = options.verbosity < 0;
    let listening = |url: &str| {
        if !is_quiet {
            message(format_args!("listening on {url}"));
        }
    };
    serve::run(settings, end, &mut scraper, &notices, &listening)?;
    Ok(Exit::Done)
}

struct ClusterScraper<'a> {
    client: &'a Client,
    signals: &'a Signals,
    failed_metrics: &'a (dyn Fn(Instant, &mut Vec<u8>) + Sync),
    scrape: &'a mut (dyn FnMut(&Client, bool) -> Result<Scrape> + Send),
    log: StateLog,
}

impl Scraper for ClusterScraper<'_> {
    fn scrape(&mut self, wants_page: bool) -> Scraped {
        let started = Instant::now();
        let (scraped, problems, brokers) = match (self.scrape)(self.client, wants_page) {
            Ok(scrape) => {
                let page = scrape.page.map(|report| page(report, &scrape.problems));
                let scraped = Scraped {
                    metrics: scrape.metrics,
                    page: page.unwrap_or_default(),
                    ready: Ok(()),
                };
                (scraped, scrape.problems, Some(scrape.brokers))
            }
            Err(error) => {
                let reason = format!("{error:#}");
                let mut metrics = Vec::new();
                (self.failed_metrics)(started, &mut metrics);
                let problem = Problem {
                    subject: "cluster".to_owned(),
                    text: reason.clone(),
                };
                let scraped = Scraped {
                    metrics,
                    page: failure_page(program(), &reason),
                    ready: Err(reason),
                };
                (scraped, vec![problem], None)
            }
        };
        if self.signals.caught().is_none() {
            let lines = self.log.changes(problems, brokers.as_deref());
            messages(&lines, LINES);
        }
        scraped
    }

    fn ready(&mut self) -> Result<(), String> {
        let interrupted = || self.signals.caught().is_some();
        match metadata(self.client, Topics::Named(&[]), &interrupted) {
            Ok(_) | Err(ContactError::Answered(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Lines of one scrape that are written.
const LINES: usize = 10;

/// The report of now, with what is wrong above it.
fn page(report: Report, problems: &[Problem]) -> Vec<u8> {
    let mut caption = vec![format_time_ms(now_ms())];
    caption.extend(problems.iter().take(LINES).map(|one| one.text.clone()));
    let style = Style::new(Format::Html, true);
    let mut html = Vec::new();
    // A vector takes everything.
    let _ = report.captioned(caption).write(style, &mut html);
    html
}
