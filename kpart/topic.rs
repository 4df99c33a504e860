//! The number of partitions of a topic, asked for at the start and checked again while lines are read.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tools::cli::message;
use tools::cli::signals::Signals;
use tools::kafka::admin::{Topics, metadata};
use tools::kafka::client::ContactError;
use tools::kafka::error::code;
use tools::kafka::{Client, KafkaError, Role};

use crate::config::TopicConfig;

/// Checks that the number of partitions does not change while lines are assigned by it.
pub(crate) struct TopicMonitor<'a> {
    client: Client,
    topic: String,
    count: u32,
    recheck: Duration,
    last_check: Instant,
    /// Lines read when the number was last known to be right.
    safe_lines: u64,
    signals: &'a Signals,
}

impl<'a> TopicMonitor<'a> {
    pub(crate) fn start(topic: TopicConfig, signals: &'a Signals) -> Result<TopicMonitor<'a>> {
        let mut monitor = TopicMonitor {
            client: Client::new(&topic.options, Role::Consumer)?,
            topic: topic.name,
            count: 0,
            recheck: topic.recheck,
            last_check: Instant::now(),
            safe_lines: 0,
            signals,
        };
        monitor.count = monitor.fetch_count()?;
        Ok(monitor)
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    fn fetch_count(&self) -> Result<u32> {
        let names = [self.topic.clone()];
        let interrupted = || self.signals.caught().is_some();
        let cluster = metadata(&self.client, Topics::Named(&names), &interrupted)?;
        let topic = cluster.topic(&self.topic);
        let is_missing = |error: &KafkaError| error.code == code::UNKNOWN_TOPIC_OR_PARTITION;
        let topic = topic.filter(|topic| !topic.error.as_ref().is_some_and(is_missing));
        let topic = topic.with_context(|| format!("there is no topic {}", self.topic))?;
        if let Some(error) = &topic.error {
            bail!("topic {}: {error}", self.topic);
        }
        ensure!(
            !topic.partitions.is_empty(),
            "topic {} has no partitions",
            self.topic
        );
        Ok(topic.partitions.len() as u32)
    }

    /// [Checks](TopicMonitor::check) if `--recheck` has passed since the last check.
    pub(crate) fn check_if_due(&mut self, lines: u64) -> Result<()> {
        if self.last_check.elapsed() < self.recheck {
            return Ok(());
        }
        self.check(lines, false)
    }

    /// Checks the number after `lines` lines. If the cluster does not answer, the next check decides.
    ///
    /// # Errors
    /// The number has changed, or the last check got no answer: lines after the last good check may be misplaced.
    pub(crate) fn check(&mut self, lines: u64, is_last: bool) -> Result<()> {
        let count = self.fetch_count();
        self.last_check = Instant::now();
        match count {
            Ok(count) if count == self.count => self.safe_lines = lines,
            Ok(count) => bail!(
                "topic {} has {count} partitions now, not {}: lines from {} on may be misplaced",
                self.topic,
                self.count,
                self.safe_lines + 1,
            ),
            Err(error) if is_interruption(&error) => {}
            Err(error) => {
                let unknown = format!(
                    "cannot tell whether {} still has {} partitions",
                    self.topic, self.count
                );
                if is_last {
                    let safe = self.safe_lines;
                    bail!(
                        "{unknown}: {error:#}: lines from {} on may be misplaced",
                        safe + 1
                    );
                }
                message(format_args!("{unknown}: {error:#}"));
            }
        }
        Ok(())
    }
}

fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ContactError::Interrupted))
}
