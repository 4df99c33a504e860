//! The partitions that records of a run have come from.

use std::collections::BTreeMap;

use tools::ack::StreamKey;

use super::partition::Partition;

#[derive(Default)]
pub(super) struct Partitions {
    pub(super) all: Vec<Partition>,
    /// Where each topic's partitions are in `all`.
    topics: Vec<(String, BTreeMap<i32, usize>)>,
    /// The topic of the last record: the next one's, most often.
    recent_topic: usize,
}

impl Partitions {
    pub(super) fn topic_names(&self) -> impl Iterator<Item = &String> {
        self.topics.iter().map(|(name, _)| name)
    }

    #[inline]
    pub(super) fn find(&mut self, topic: &str, partition: i32) -> Option<usize> {
        let recent = self.topics.get(self.recent_topic);
        if recent.is_none_or(|(name, _)| name != topic) {
            self.recent_topic = self.topic(topic);
        }
        let (_, partitions) = &self.topics[self.recent_topic];
        partitions.get(&partition).copied()
    }

    pub(super) fn find_stream(&self, key: &StreamKey) -> Option<usize> {
        let (_, partitions) = self.topics.iter().find(|(name, _)| *name == key.topic)?;
        partitions.get(&key.partition).copied()
    }

    /// Adds a partition that was not found.
    pub(super) fn add(&mut self, topic: &str, partition_id: i32, partition: Partition) -> usize {
        let topic = self.topic(topic);
        let at = self.all.len();
        self.all.push(partition);
        self.topics[topic].1.insert(partition_id, at);
        at
    }

    #[cold]
    fn topic(&mut self, topic: &str) -> usize {
        let known = self.topics.iter().position(|(name, _)| name == topic);
        known.unwrap_or_else(|| {
            self.topics.push((topic.to_owned(), BTreeMap::new()));
            self.topics.len() - 1
        })
    }
}
