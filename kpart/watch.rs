//! How many partitions a topic has, asked at the start and again as lines go by.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tools::cli::message;
use tools::cli::signals::Signals;
use tools::kafka::client::ContactError;
use tools::kafka::cluster::{Topics, metadata};
use tools::kafka::error::code;
use tools::kafka::{Client, KafkaError, Role};

use crate::cli::Topic;

/// A topic whose number of partitions must not change while lines are placed by it.
pub(crate) struct Watch<'a> {
    client: Client,
    topic: String,
    count: u32,
    every: Duration,
    asked: Instant,
    /// Lines that were placed when the number was last known to be right.
    safe_lines: u64,
    signals: &'a Signals,
}

impl<'a> Watch<'a> {
    /// Asks for the first time.
    ///
    /// # Errors
    /// The cluster does not answer, or there is no such topic.
    pub(crate) fn start(topic: &Topic, signals: &'a Signals) -> Result<Watch<'a>> {
        let mut watch = Watch {
            client: Client::new(&topic.options, Role::Consumer)?,
            topic: topic.name.clone(),
            count: 0,
            every: topic.recheck,
            asked: Instant::now(),
            safe_lines: 0,
            signals,
        };
        watch.count = watch.ask()?;
        Ok(watch)
    }

    /// The number of partitions that lines are placed by.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    fn ask(&self) -> Result<u32> {
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

    /// Asks again if it is time; `lines` were placed so far.
    ///
    /// A cluster that does not answer now is no reason to stop: the next answer tells.
    ///
    /// # Errors
    /// The number is another one: lines after the last good answer may be misplaced.
    pub(crate) fn look(&mut self, lines: u64) -> Result<()> {
        if self.asked.elapsed() < self.every {
            return Ok(());
        }
        self.look_now(lines)
    }

    /// Asks again, as [`Watch::look`] does when it is time.
    ///
    /// # Errors
    /// As [`Watch::look`].
    pub(crate) fn look_now(&mut self, lines: u64) -> Result<()> {
        let answer = self.ask();
        self.asked = Instant::now();
        match answer {
            Ok(count) if count == self.count => self.safe_lines = lines,
            Ok(count) => bail!(
                "topic {} has {count} partitions now, not {}: lines from {} on may be misplaced",
                self.topic,
                self.count,
                self.safe_lines + 1,
            ),
            Err(error) if is_interruption(&error) => {}
            Err(error) => message(format_args!(
                "cannot tell whether {} still has {} partitions: {error:#}",
                self.topic, self.count
            )),
        }
        Ok(())
    }
}

fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ContactError::Interrupted))
}
