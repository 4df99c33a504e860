//! The partitions of a backup that is being written, found by topic and number.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use super::slot::Slot;

/// All slots. One that is given up keeps its number, which the compressor knows it by.
#[derive(Default)]
pub(super) struct Slots {
    all: Vec<Slot>,
    /// By topic; the slots of a topic by partition.
    topics: Vec<(String, HashMap<i32, usize>)>,
    /// The topic of the last record: the next one's, most often.
    recent_topic: usize,
}

impl Slots {
    /// The slot of a partition that records have come of.
    #[inline]
    pub(super) fn find(&mut self, topic: &str, partition: i32) -> Option<usize> {
        let recent = self.topics.get(self.recent_topic);
        if recent.is_none_or(|(name, _)| name != topic) {
            self.recent_topic = self.enter_topic(topic);
        }
        let (_, partitions) = &self.topics[self.recent_topic];
        partitions.get(&partition).copied()
    }

    #[cold]
    fn enter_topic(&mut self, topic: &str) -> usize {
        let known = self.topics.iter().position(|(name, _)| name == topic);
        known.unwrap_or_else(|| {
            self.topics.push((topic.to_owned(), HashMap::new()));
            self.topics.len() - 1
        })
    }

    /// Adds the slot of a partition.
    pub(super) fn insert(&mut self, topic: &str, partition: i32, slot: Slot) -> usize {
        let topic = self.enter_topic(topic);
        let at = self.push(slot);
        self.topics[topic].1.insert(partition, at);
        at
    }

    /// Adds the slot of lines, which have no partition.
    pub(super) fn push(&mut self, slot: Slot) -> usize {
        self.all.push(slot);
        self.all.len() - 1
    }

    /// Gives up the slot of a partition, if it has one.
    pub(super) fn remove(&mut self, topic: &str, partition: i32) -> Option<usize> {
        let known = self.topics.iter_mut().find(|(name, _)| name == topic);
        known?.1.remove(&partition)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The one that has most bytes for the compressor.
    pub(super) fn largest(&self) -> Option<usize> {
        (0..self.all.len()).max_by_key(|&at| self.all[at].block.len())
    }

    /// The topics that records have come of, sorted.
    pub(super) fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.topics.iter().map(|(name, _)| name.clone()).collect();
        topics.sort();
        topics
    }
}

impl Index<usize> for Slots {
    type Output = Slot;

    fn index(&self, at: usize) -> &Slot {
        &self.all[at]
    }
}

impl IndexMut<usize> for Slots {
    fn index_mut(&mut self, at: usize) -> &mut Slot {
        &mut self.all[at]
    }
}
