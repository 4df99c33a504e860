//! Partitions that are added and released while others are read: those of a group's member.

use super::Fetcher;
use super::partition::{Partition, Position};
use crate::kafka::consume::ConsumeError;
use crate::kafka::fetch::settings::ResetPolicy;

/// Where a partition starts that is added while others are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    At(i64),
    Beginning,
    End,
    /// Where `auto.offset.reset` says, because nothing is committed.
    Reset,
}

impl Fetcher {
    /// Reads a partition from now on.
    pub(crate) fn assign(&mut self, topic: &str, id: i32, start: StartPosition, end: Option<i64>) {
        let topic = self.topic_to_read(topic);
        let position = match start {
            // It may be out of range.
            StartPosition::At(offset) if end.is_some_and(|end| offset > end) => {
                Position::AwaitingReset(self.settings.reset, Some(offset))
            }
            StartPosition::At(offset) => Position::At { offset, epoch: -1 },
            StartPosition::Beginning => Position::AwaitingReset(ResetPolicy::Earliest, None),
            StartPosition::End => Position::AwaitingReset(ResetPolicy::Latest, None),
            StartPosition::Reset => Position::AwaitingReset(self.settings.start, None),
        };
        let index = match self.partition_indexes.get(&(topic, id)) {
            // A late response of the former assignment is ignored, because nothing is in flight.
            Some(&index) => {
                let max_bytes = self.settings.partition_max_bytes;
                self.partitions[index] = Partition::new(topic, id, position, end, max_bytes);
                index
            }
            None => self.add_at(topic, id, position, end),
        };
        if end == Some(0) {
            self.finish(index);
        } else if let Some(end) = end
            && position.offset() == Some(end)
        {
            self.at_bound.push((index, end));
        }
        // Ask for the leader at once.
        self.refresh.not_before = None;
    }

    /// Stops reading a partition; nothing of it is reported any more.
    pub(crate) fn release(&mut self, topic: &str, id: i32) -> Option<usize> {
        let index = self.index_of(topic, id)?;
        let partition = &mut self.partitions[index];
        partition.in_flight = None;
        partition.is_finished = true;
        partition.is_released = true;
        self.at_bound.retain(|&(at_bound, _)| at_bound != index);
        self.errors
            .retain(|error| !is_of_partition(error, topic, id));
        Some(index)
    }

    fn index_of(&self, topic: &str, id: i32) -> Option<usize> {
        let topic = self.topics.iter().position(|it| it.name == topic)?;
        self.partition_indexes.get(&(topic, id)).copied()
    }

    /// Stops reading a partition for now, and continues before the record at `offset`; `None` if it was read to its bound.
    pub(crate) fn pause(&mut self, topic: &str, id: i32, offset: i64) -> Option<usize> {
        let index = self.index_of(topic, id)?;
        let partition = &mut self.partitions[index];
        if partition.is_finished {
            return None;
        }
        // What has arrived behind the offset is dropped, and a late response is ignored.
        partition.in_flight = None;
        partition.position = Position::At { offset, epoch: -1 };
        partition.is_paused = true;
        partition.stalled_since = None;
        if let Some(end) = partition.end
            && offset >= end
        {
            self.at_bound.push((index, end));
        }
        Some(index)
    }

    /// Reads a paused partition again.
    pub(crate) fn unpause(&mut self, topic: &str, id: i32) {
        if let Some(index) = self.index_of(topic, id) {
            self.partitions[index].is_paused = false;
        }
    }

    /// Whether nothing can be read because of pauses.
    pub(crate) fn is_paused(&self) -> bool {
        let mut open = self.partitions.iter().filter(|it| !it.is_finished);
        self.at_bound.is_empty() && !self.is_done() && open.all(|partition| partition.is_paused)
    }

    /// The partitions that were assigned and not released.
    pub(crate) fn assigned(&self) -> impl Iterator<Item = (String, i32)> {
        let partitions = self.partitions.iter().filter(|p| !p.is_released);
        partitions.map(|p| (self.topics[p.topic].name.clone(), p.id))
    }

    /// The topics of which a partition is read.
    pub(crate) fn topic_names(&self) -> Vec<String> {
        let is_read = |topic: usize| {
            let mut partitions = self.partitions.iter();
            partitions.any(|partition| partition.topic == topic && !partition.is_released)
        };
        let topics = self.topics.iter().enumerate();
        let read = topics.filter(|&(index, _)| is_read(index));
        read.map(|(_, topic)| topic.name.clone()).collect()
    }

    /// The topic's index; a topic of which nothing was read may have been recreated.
    fn topic_to_read(&mut self, name: &str) -> usize {
        let Some(index) = self.topics.iter().position(|topic| topic.name == name) else {
            return self.add_topic(name);
        };
        let mut partitions = self.partitions.iter();
        if partitions.all(|partition| partition.topic != index || partition.is_released) {
            self.topics[index].id = uuid::Uuid::nil();
            self.topics[index].missing_since = None;
        }
        index
    }
}

fn is_of_partition(error: &ConsumeError, name: &str, id: i32) -> bool {
    match error {
        ConsumeError::OutOfRange {
            topic, partition, ..
        }
        | ConsumeError::Partition {
            topic, partition, ..
        } => topic == name && *partition == id,
        _ => false,
    }
}
