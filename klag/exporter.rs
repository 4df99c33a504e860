//! The exporter: what a scrape sees, as metrics and as a page.

use std::time::Instant;

use anyhow::Result;
use tools::cli::Exit;
use tools::cli::listen::{log_changes, serve};
use tools::cli::signals::Signals;
use tools::kafka::client::ContactError;
use tools::kafka::cluster::{Topics, metadata};
use tools::kafka::{Client, Role};
use tools::serve::{Problem, Scraped, Scraper, Settings, StateLog};

use crate::collect::{CollectState, collect};
use crate::config::Config;
use crate::metrics;
use crate::report::{page, problems};

/// Serves until a signal comes, which is a normal end.
pub(crate) fn run(config: &Config, settings: &Settings, signals: &Signals) -> Result<Exit> {
    let client = Client::new(&config.options, Role::Consumer)?;
    let mut scraper = ClusterScraper {
        client: &client,
        config,
        signals,
        known: CollectState::default(),
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
    known: CollectState,
    log: StateLog,
}

impl Scraper for ClusterScraper<'_> {
    fn scrape(&mut self, wants_page: bool) -> Scraped {
        let started = Instant::now();
        let interrupted = || self.signals.caught().is_some();
        let scope = &self.config.scope;
        let found = collect(self.client, scope, &mut self.known, &interrupted);
        let view = &self.config.metrics;
        let mut text = Vec::new();
        let mut html = Vec::new();
        let mut brokers = None;
        let (wrong, ready) = match found {
            Ok(snapshot) => {
                brokers = Some(snapshot.metadata.broker_ids());
                metrics::write(&snapshot, view, started.elapsed(), &mut text);
                let wrong = problems(&snapshot);
                if wants_page {
                    html = page(self.config, snapshot, &wrong);
                }
                (wrong, Ok(()))
            }
            Err(error) => {
                metrics::write_failure(view, started.elapsed(), &mut text);
                let reason = error.to_string();
                let problem = Problem {
                    subject: "cluster".to_owned(),
                    text: reason.clone(),
                };
                if wants_page {
                    html = tools::report::failure_page("klag", &reason);
                }
                (vec![problem], Err(reason))
            }
        };
        if !interrupted() {
            log_changes(&mut self.log, wrong, brokers.as_deref());
        }
        Scraped {
            metrics: text,
            page: html,
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
