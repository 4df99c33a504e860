//! Who leads what: when to ask, and what the answer changes.

use std::time::{Duration, Instant};

use super::super::settings::Reset;
use super::partition::{Partition, Position};
use super::{Machine, is_passing};
use crate::kafka::cluster::{Metadata, Topic};
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code};

/// A topic that no broker knows for so long is gone; one that restarts may not know it for a moment.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// An answer that is so much later than it should be makes us ask whether there is another leader.
const LATE: Duration = Duration::from_secs(3);

const RECREATED: &str = "the topic was deleted and made again while it was read";

/// When to ask who leads what.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    pub(super) is_wanted: bool,
    pub(super) is_under_way: bool,
    pub(super) not_before: Option<Instant>,
    pub(super) regularly_at: Option<Instant>,
    pub(super) asked_at: Option<Instant>,
    pub(super) failures: u32,
}

impl Machine {
    /// Whether to ask now who leads what.
    pub(in crate::kafka::fetch) fn wants_metadata(&mut self, now: Instant) -> bool {
        let late = self.settings.max_wait + LATE;
        let is_longer_than =
            |limit, since: Option<Instant>| since.is_some_and(|since| now >= since + limit);
        let is_late = self.refresh.asked_at.is_none_or(|at| now >= at + LATE)
            && self
                .brokers
                .values()
                .any(|broker| is_longer_than(late, broker.request.map(|(_, since)| since)));
        let has_no_leader = || {
            let lacks = |p: &Partition| !p.is_over && p.leader.is_none();
            self.partitions.iter().any(lacks)
        };
        let refresh = &self.refresh;
        let is_wanted = refresh.is_wanted
            || is_late
            || refresh.regularly_at.is_some_and(|at| now >= at)
            || has_no_leader();
        is_wanted && !refresh.is_under_way && refresh.not_before.is_none_or(|at| now >= at)
    }

    /// The question who leads what is under way.
    pub(in crate::kafka::fetch) fn metadata_asked(&mut self, now: Instant) {
        self.refresh.asked_at = Some(now);
        self.refresh.is_under_way = true;
        self.refresh.is_wanted = false;
    }

    /// Nobody told who leads what.
    pub(in crate::kafka::fetch) fn metadata_failed(&mut self, now: Instant) {
        self.refresh.is_under_way = false;
        self.refresh.is_wanted = true;
        self.refresh.failures += 1;
        let backoff = self.settings.backoff_after(self.refresh.failures);
        self.refresh.not_before = Some(now + backoff);
    }

    /// Takes in who leads what.
    pub(in crate::kafka::fetch) fn learn(&mut self, metadata: &Metadata, now: Instant) {
        self.refresh.is_under_way = false;
        self.refresh.regularly_at = self
            .settings
            .refresh_interval
            .map(|interval| now + interval);
        for index in 0..self.topics.len() {
            if let Some(row) = metadata.topic(&self.topics[index].name) {
                self.learn_topic(index, row, now);
            }
        }
        for partition in &mut self.partitions {
            let is_up = |id: i32| metadata.brokers.iter().any(|broker| broker.id == id);
            if partition.replica.is_some_and(|(id, _)| !is_up(id)) {
                partition.replica = None;
                partition.asked = None;
            }
        }
        let refresh = &mut self.refresh;
        refresh.failures = if refresh.is_wanted {
            refresh.failures + 1
        } else {
            0
        };
        refresh.not_before = Some(now + self.settings.backoff_after(refresh.failures));
    }

    fn learn_topic(&mut self, index: usize, row: &Topic, now: Instant) {
        let topic = &mut self.topics[index];
        if let Some(error) = &row.error {
            match error.code {
                code::UNKNOWN_TOPIC_OR_PARTITION => {
                    let since = *topic.missing_since.get_or_insert(now);
                    self.refresh.is_wanted = true;
                    if now.saturating_duration_since(since) >= GONE_AFTER {
                        self.lose_topic(index, "the topic was deleted while it was read");
                    }
                }
                code if is_passing(code) => self.refresh.is_wanted = true,
                _ => self.lose_topic(index, &error.to_string()),
            }
            return;
        }
        topic.missing_since = None;
        if topic.id != row.id && !topic.id.is_nil() && !row.id.is_nil() {
            self.lose_topic(index, RECREATED);
            return;
        }
        topic.id = row.id;
        let has_id = !row.id.is_nil();
        for row in &row.partitions {
            match self.places.get(&(index, row.id)) {
                Some(&place) => {
                    let partition = &mut self.partitions[place];
                    self.refresh.is_wanted |= partition.learn(row, now);
                }
                // What is in a new partition came after reading began.
                None if self.takes_new => {
                    self.add_at(
                        index,
                        row.id,
                        Position::Unknown(Reset::Earliest, None),
                        None,
                    );
                    if let Some(partition) = self.partitions.last_mut() {
                        partition.learn(row, now);
                    }
                }
                None => {}
            }
        }
        if !has_id && self.is_recreated(index, now) {
            self.lose_topic(index, RECREATED);
        }
    }

    /// Without topic ids a recreated topic is known by its epochs, which begin anew.
    fn is_recreated(&self, topic: usize, now: Instant) -> bool {
        let mut partitions = self.partitions.iter().filter(|p| p.topic == topic);
        partitions.any(|partition| {
            let since = partition.older_since;
            since.is_some_and(|since| now.saturating_duration_since(since) >= GONE_AFTER)
        })
    }

    fn lose_topic(&mut self, index: usize, reason: &str) {
        let mut had_any = false;
        for partition in self.partitions.iter_mut().filter(|p| p.topic == index) {
            had_any |= !std::mem::replace(&mut partition.is_over, true);
        }
        if had_any {
            let name = self.topics[index].name.clone();
            let error = KafkaError::new(code::UNKNOWN_TOPIC_OR_PARTITION, reason);
            self.errors.push(ConsumeError::Topic(name, error));
        }
    }
}
