//! The exporter: the report of partitions or topics as metrics, and as a page.

use std::io::Write as _;
use std::time::Instant;

use anyhow::Result;
use tools::cli::Exit;
use tools::cli::listen::{Scrape, serve};
use tools::cli::signals::Signals;
use tools::report::{Format, Style};
use tools::serve::{Problem, Settings};

use crate::collect::Snapshot;
use crate::config::Config;
use crate::report;

/// Serves until a signal comes, which is a normal end.
pub(crate) fn run(config: &Config, settings: &Settings, signals: &Signals) -> Result<Exit> {
    let interrupted = || signals.caught().is_some();
    let failed_metrics = |started, text: &mut Vec<u8>| write_scrape(false, started, text);
    serve(
        settings,
        &config.options,
        signals,
        &failed_metrics,
        |client, wants_page| {
            let started = Instant::now();
            let snapshot = Snapshot::take(client, &config.scope, &interrupted)?;
            let (report, failures) = report::of(&snapshot, config);
            let mut metrics = Vec::new();
            report.write(Style::new(Format::Prometheus, true), &mut metrics)?;
            write_scrape(failures.is_empty(), started, &mut metrics);
            Ok(Scrape {
                metrics,
                page: wants_page.then_some(report),
                problems: failures.into_iter().map(Problem::of).collect(),
                brokers: snapshot.brokers.iter().map(|(one, _)| one.id).collect(),
            })
        },
    )
}

/// Writes the metrics of the scrape itself.
pub(crate) fn write_scrape(is_success: bool, started: Instant, out: &mut Vec<u8>) {
    let success = u8::from(is_success);
    let took = started.elapsed().as_secs_f64();
    // A vector takes everything.
    let _ = write!(
        out,
        "# HELP koldest_scrape_success Whether all was answered.\n\
         # TYPE koldest_scrape_success gauge\nkoldest_scrape_success {success}\n\
         # HELP koldest_scrape_duration_seconds How long the scrape took.\n\
         # TYPE koldest_scrape_duration_seconds gauge\nkoldest_scrape_duration_seconds {took}\n"
    );
}
