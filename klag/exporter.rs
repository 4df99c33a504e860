//! The exporter: what a scrape sees, as metrics and as a page.

use std::time::Instant;

use anyhow::Result;
use tools::cli::Exit;
use tools::cli::listen::{Scrape, serve};
use tools::cli::signals::Signals;
use tools::serve::Settings;

use crate::collect::{CollectState, collect};
use crate::config::Config;
use crate::metrics;
use crate::report::{page, problems};

/// Serves until a signal comes, which is a normal end.
pub(crate) fn run(config: &Config, settings: &Settings, signals: &Signals) -> Result<Exit> {
    let interrupted = || signals.caught().is_some();
    let failed_metrics = |started, text: &mut Vec<u8>| {
        metrics::write_failure(&config.metrics, started, text);
    };
    let mut known = CollectState::default();
    serve(
        settings,
        &config.options,
        signals,
        &failed_metrics,
        |client, wants_page| {
            let started = Instant::now();
            let snapshot = collect(client, &config.scope, &mut known, &interrupted)?;
            let mut text = Vec::new();
            metrics::write(&snapshot, &config.metrics, started, &mut text);
            Ok(Scrape {
                metrics: text,
                page: wants_page.then(|| page(config, &snapshot)),
                problems: problems(&snapshot),
                brokers: snapshot.metadata.broker_ids(),
            })
        },
    )
}
