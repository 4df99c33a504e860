//! The thread that looks at the cluster: once for all who ask meanwhile.

use std::collections::BTreeSet;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tools::cli::message;
use tools::cli::signals::Signals;
use tools::kafka::Client;
use tools::kafka::client::ContactError;
use tools::kafka::cluster::{Topics, metadata};

use crate::cli::Config;
use crate::collect::{Known, collect};
use crate::metrics;
use crate::show::reasons;

/// Somebody waits for an answer.
pub(super) enum Ask {
    /// The metrics.
    Metrics(oneshot::Sender<Bytes>),
    /// Whether the cluster answers, and if not, why.
    Health(oneshot::Sender<Result<(), String>>),
}

/// Answers until nobody can ask any more.
#[expect(clippy::needless_pass_by_value, reason = "a receiver is one thread's")]
pub(super) fn answer(client: &Client, config: &Config, signals: &Signals, asked: Receiver<Ask>) {
    let mut looker = Looker {
        client,
        config,
        signals,
        known: Known::new(),
        said: BTreeSet::new(),
    };
    while let Ok(first) = asked.recv() {
        let mut waiting = vec![first];
        waiting.extend(asked.try_iter());
        let wants_metrics = waiting.iter().any(|ask| matches!(ask, Ask::Metrics(_)));
        let (text, health) = if wants_metrics {
            looker.look()
        } else {
            (Bytes::new(), looker.knock())
        };
        // Whoever came while it was looked has the same answer, unless it was no look at the groups.
        if wants_metrics {
            waiting.extend(asked.try_iter());
        }
        for ask in waiting {
            // Who does not wait any more misses nothing.
            let _ = match ask {
                Ask::Metrics(answer) => answer.send(text.clone()).is_ok(),
                Ask::Health(answer) => answer.send(health.clone()).is_ok(),
            };
        }
    }
}

struct Looker<'a> {
    client: &'a Client,
    config: &'a Config,
    signals: &'a Signals,
    known: Known,
    /// What was wrong at the last look, and was said.
    said: BTreeSet<String>,
}

impl Looker<'_> {
    /// The metrics of now, and whether the cluster answered.
    fn look(&mut self) -> (Bytes, Result<(), String>) {
        let started = Instant::now();
        let interrupted = || self.signals.caught().is_some();
        let found = collect(
            self.client,
            &self.config.scope,
            &mut self.known,
            &interrupted,
        );
        let cluster = self.config.view.cluster.as_deref();
        let mut text = Vec::new();
        let (wrong, health) = match &found {
            Ok(snapshot) => {
                metrics::write(snapshot, cluster, started.elapsed(), &mut text);
                (reasons(snapshot), Ok(()))
            }
            Err(error) => {
                metrics::write_failure(cluster, started.elapsed(), &mut text);
                (vec![error.to_string()], Err(error.to_string()))
            }
        };
        if !interrupted() {
            self.say(wrong);
        }
        (text.into(), health)
    }

    /// Whether the cluster answers.
    fn knock(&mut self) -> Result<(), String> {
        let interrupted = || self.signals.caught().is_some();
        match metadata(self.client, Topics::Named(&[]), &interrupted) {
            Ok(_) | Err(ContactError::Answered(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Says what is wrong when it begins to be, not at every scrape.
    fn say(&mut self, wrong: Vec<String>) {
        let wrong: BTreeSet<String> = wrong.into_iter().collect();
        for reason in wrong.difference(&self.said) {
            message(reason);
        }
        self.said = wrong;
    }
}
