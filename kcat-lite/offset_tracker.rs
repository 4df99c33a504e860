//! Which offsets were written to standard output and may be committed.
//!
//! Every record leaves an entry: the position behind it, and how many bytes have
//! to be taken for it to be out whole. An entry that is reached by what write(2)
//! has taken moves its partition's position.

use std::collections::VecDeque;

use tools::kafka::group::Positions;

/// Offsets that wait to be written, and written ones.
#[derive(Debug, Default)]
pub(crate) struct OffsetTracker {
    partitions: Vec<PartitionOffsets>,
    /// The index of the last record's partition, likely that of the next one.
    current: usize,
    pending: VecDeque<PendingOffset>,
}

#[derive(Debug)]
struct PartitionOffsets {
    topic: String,
    partition: i32,
    /// The offset after the last written record.
    written: Option<i64>,
    /// The offset of the last commit that was sent.
    sent: Option<i64>,
}

#[derive(Debug)]
struct PendingOffset {
    place: usize,
    position: i64,
    end_byte: u64,
}

impl OffsetTracker {
    /// Notes that `position` is reached when `end_byte` bytes are out.
    pub(crate) fn add(&mut self, topic: &str, partition: i32, position: i64, end_byte: u64) {
        let place = self.place(topic, partition);
        match self.pending.back_mut() {
            // The end of a partition, or a record without output.
            Some(last) if last.place == place && last.end_byte == end_byte => {
                last.position = position;
            }
            _ => self.pending.push_back(PendingOffset {
                place,
                position,
                end_byte,
            }),
        }
    }

    /// Moves the positions that are reached by `written_bytes`.
    pub(crate) fn advance(&mut self, written_bytes: u64) {
        while let Some(pending_offset) = self.pending.front()
            && pending_offset.end_byte <= written_bytes
        {
            self.partitions[pending_offset.place].written = Some(pending_offset.position);
            self.pending.pop_front();
        }
    }

    /// The written offsets.
    pub(crate) fn written(&self) -> Positions {
        self.positions(|place| place.written)
    }

    /// The written offsets that no commit was sent for.
    pub(crate) fn unsent(&self) -> Positions {
        self.positions(|place| place.written.filter(|_| place.written != place.sent))
    }

    fn positions(&self, which: impl Fn(&PartitionOffsets) -> Option<i64>) -> Positions {
        let row = |place: &PartitionOffsets| {
            Some(((place.topic.clone(), place.partition), which(place)?))
        };
        self.partitions.iter().filter_map(row).collect()
    }

    /// Records that a commit of the written offsets was sent.
    pub(crate) fn mark_sent(&mut self) {
        for place in &mut self.partitions {
            place.sent = place.written;
        }
    }

    /// Records that the last commit failed.
    pub(crate) fn reset_sent(&mut self) {
        for place in &mut self.partitions {
            place.sent = None;
        }
    }

    /// Removes revoked partitions.
    pub(crate) fn forget(&mut self, partitions: &[(String, i32)]) {
        for (topic, partition) in partitions {
            let place = self.place(topic, *partition);
            self.partitions[place].written = None;
            self.partitions[place].sent = None;
            self.pending
                .retain(|pending_offset| pending_offset.place != place);
        }
    }

    fn place(&mut self, topic: &str, partition: i32) -> usize {
        let is_it = |place: &PartitionOffsets| place.partition == partition && place.topic == topic;
        if self.partitions.get(self.current).is_some_and(is_it) {
            return self.current;
        }
        self.current = self.partitions.iter().position(is_it).unwrap_or_else(|| {
            self.partitions.push(PartitionOffsets {
                topic: topic.to_owned(),
                partition,
                written: None,
                sent: None,
            });
            self.partitions.len() - 1
        });
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::OffsetTracker;

    fn written(offsets: &OffsetTracker) -> Vec<(i32, i64)> {
        let positions = offsets.written();
        positions
            .iter()
            .map(|((_, p), offset)| (*p, *offset))
            .collect()
    }

    #[test]
    fn only_records_that_are_out_whole_count() {
        let mut offsets = OffsetTracker::default();
        offsets.add("t", 0, 1, 10);
        offsets.add("t", 1, 8, 20);
        offsets.add("t", 0, 2, 30);
        offsets.advance(9);
        assert_eq!(written(&offsets), []);
        offsets.advance(29);
        assert_eq!(written(&offsets), [(0, 1), (1, 8)]);
        offsets.advance(30);
        assert_eq!(written(&offsets), [(0, 2), (1, 8)]);
    }

    #[test]
    fn the_end_of_a_partition_counts_when_all_before_it_is_out() {
        let mut offsets = OffsetTracker::default();
        offsets.add("t", 0, 5, 10);
        offsets.add("t", 0, 6, 10);
        offsets.add("t", 1, 3, 10);
        offsets.advance(9);
        assert_eq!(written(&offsets), []);
        offsets.advance(10);
        assert_eq!(written(&offsets), [(0, 6), (1, 3)]);
    }

    #[test]
    fn what_was_sent_is_sent_again_only_where_it_was_not_committed() {
        let mut offsets = OffsetTracker::default();
        offsets.add("t", 0, 1, 1);
        offsets.advance(1);
        assert_eq!(offsets.unsent().len(), 1);
        offsets.mark_sent();
        assert!(offsets.unsent().is_empty());
        offsets.reset_sent();
        assert_eq!(offsets.unsent().len(), 1);
    }

    #[test]
    fn a_partition_that_is_gone_is_not_committed() {
        let mut offsets = OffsetTracker::default();
        offsets.add("t", 0, 1, 1);
        offsets.add("t", 1, 1, 2);
        offsets.advance(1);
        offsets.forget(&[("t".to_owned(), 0)]);
        offsets.advance(2);
        assert_eq!(written(&offsets), [(1, 1)]);
    }
}
