//! The exporter: the report of partitions or topics as metrics, and as a page.

use std::io::Write as _;
use std::time::Instant;

use anyhow::Result;
use tools::cli::Exit;
use tools::cli::listen::{log_changes, serve};
use tools::cli::signals::Signals;
use tools::kafka::client::ContactError;
use tools::kafka::cluster::{Topics, metadata};
use tools::kafka::{Client, Role};
use tools::report::{Format, Style, failure_page};
use tools::serve::{Problem, Scraped, Scraper, Settings, StateLog};
use tools::units::format_time_ms;

use crate::collect::Snapshot;
use crate::config::Config;
use crate::report::{self, PREFIX};

/// Serves until a signal comes, which is a normal end.
pub(crate) fn run(config: &Config, settings: &Settings, signals: &Signals) -> Result<Exit> {
    let client = Client::new(&config.options, Role::Consumer)?;
    let mut scraper = ClusterScraper {
        client: &client,
        config,
        signals,
        log: StateLog::default(),
    };
    serve(
        settings,
        config.options.verbosity < 0,
        signals,
        &mut scraper,
    )
}

struct ClusterScraper<'a> {
    client: &'a Client,
    config: &'a Config,
    signals: &'a Signals,
    log: StateLog,
}

impl Scraper for ClusterScraper<'_> {
    fn scrape(&mut self, wants_page: bool) -> Scraped {
        let started = Instant::now();
        let interrupted = || self.signals.caught().is_some();
        let snapshot = Snapshot::take(self.client, &self.config.scope, &interrupted);
        let mut metrics = Vec::new();
        let mut page = Vec::new();
        let write = |format, report: &tools::report::Report, out: &mut Vec<u8>| {
            // A vector takes everything.
            let _ = report.write(Style::new(format, true), out);
        };
        let mut brokers = None;
        let (wrong, ready) = match snapshot {
            Ok(snapshot) => {
                let ids = snapshot.brokers.iter().map(|(broker, _)| broker.id);
                brokers = Some(ids.collect::<Vec<i32>>());
                let (report, failures) = report::of(&snapshot, self.config);
                write(Format::Prometheus, &report, &mut metrics);
                if wants_page {
                    let mut caption = vec![format_time_ms(snapshot.now_ms)];
                    caption.extend(failures.iter().take(report::MAX_REASONS).cloned());
                    write(Format::Html, &report.captioned(caption), &mut page);
                }
                (failures.into_iter().map(Problem::of).collect(), Ok(()))
            }
            Err(error) => {
                let reason = format!("{error:#}");
                if wants_page {
                    page = failure_page(PREFIX, &reason);
                }
                let wrong = Problem {
                    subject: "cluster".to_owned(),
                    text: reason.clone(),
                };
                (vec![wrong], Err(reason))
            }
        };
        write_scrape(wrong.is_empty(), started, &mut metrics);
        if !interrupted() {
            log_changes(&mut self.log, wrong, brokers.as_deref());
        }
        Scraped {
            metrics,
            page,
            ready,
        }
    }

    fn ready(&mut self) -> Result<(), String> {
        let interrupted = || self.signals.caught().is_some();
        match metadata(self.client, Topics::Named(&[]), &interrupted) {
            Ok(_) | Err(ContactError::Answered(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn write_scrape(is_success: bool, started: Instant, out: &mut Vec<u8>) {
    let success = u8::from(is_success);
    let took = started.elapsed().as_secs_f64();
    // A vector takes everything.
    let _ = write!(
        out,
        "# HELP koldest_scrape_success Whether all was answered.\n\
         # TYPE koldest_scrape_success gauge\nkoldest_scrape_success {success}\n\
         # HELP koldest_scrape_duration_seconds How long the look at the cluster took.\n\
         # TYPE koldest_scrape_duration_seconds gauge\nkoldest_scrape_duration_seconds {took}\n"
    );
}
