//! Which offsets were written to standard output and may be committed.
//!
//! Every record, or run of records, leaves an entry: where it ends among the
//! bytes of the output, and the position behind it. An entry that write(2) has
//! taken whole moves its partition's position. Of a run that was taken in part,
//! which happens once at the end of the program, the lines are counted.

use tools::kafka::group::Positions;

/// Offsets that wait to be written, and written ones.
#[derive(Debug, Default)]
pub(crate) struct OffsetTracker {
    partitions: Vec<PartitionOffsets>,
    /// The index of the last record's partition, likely that of the next one.
    current: usize,
    pending: Vec<PendingOffsets>,
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
struct PendingOffsets {
    topic_partition: usize,
    /// The position before the run of records, which has a line for each offset; `None` for a single record.
    first: Option<i64>,
    /// The position behind it.
    position: i64,
    start_byte: u64,
    end_byte: u64,
}

impl OffsetTracker {
    /// Notes that `position` is reached when `end_byte` bytes are out.
    pub(crate) fn add(&mut self, topic: &str, partition: i32, position: i64, end_byte: u64) {
        let topic_partition = self.topic_partition(topic, partition);
        match self.pending.last_mut() {
            // The end of a partition, or a record without output.
            Some(last) if last.topic_partition == topic_partition && last.end_byte == end_byte => {
                last.position = position;
            }
            _ => self.pending.push(PendingOffsets {
                topic_partition,
                first: None,
                position,
                start_byte: end_byte,
                end_byte,
            }),
        }
    }

    /// Notes `count` records from offset `first` without gaps, each a line, in these bytes of the output.
    pub(crate) fn add_lines(
        &mut self,
        topic: &str,
        partition: i32,
        first: i64,
        count: usize,
        bytes: std::ops::Range<u64>,
    ) {
        let topic_partition = self.topic_partition(topic, partition);
        self.pending.push(PendingOffsets {
            topic_partition,
            first: Some(first),
            position: first + count as i64,
            start_byte: bytes.start,
            end_byte: bytes.end,
        });
    }

    /// Moves the positions that are reached by `written_bytes`; `count_lines` counts the lines that end in the written
    /// bytes from an offset on.
    pub(crate) fn advance(&mut self, written_bytes: u64, count_lines: impl Fn(u64) -> usize) {
        let is_written = |pending: &PendingOffsets| pending.end_byte <= written_bytes;
        let whole = self.pending.partition_point(is_written);
        for pending in &self.pending[..whole] {
            self.partitions[pending.topic_partition].written = Some(pending.position);
        }
        if let Some(partial) = self.pending.get_mut(whole)
            && let Some(first) = partial.first
            && partial.start_byte < written_bytes
        {
            let lines = count_lines(partial.start_byte) as i64;
            if lines > 0 {
                self.partitions[partial.topic_partition].written = Some(first + lines);
            }
        }
        self.pending.drain(..whole);
    }

    pub(crate) fn written(&self) -> Positions {
        self.positions(|topic_partition| topic_partition.written)
    }

    /// The written offsets that no commit was sent for.
    pub(crate) fn unsent(&self) -> Positions {
        self.positions(|topic_partition| {
            topic_partition
                .written
                .filter(|_| topic_partition.written != topic_partition.sent)
        })
    }

    fn positions(&self, which: impl Fn(&PartitionOffsets) -> Option<i64>) -> Positions {
        let row = |topic_partition: &PartitionOffsets| {
            Some((
                (topic_partition.topic.clone(), topic_partition.partition),
                which(topic_partition)?,
            ))
        };
        self.partitions.iter().filter_map(row).collect()
    }

    /// Records that a commit of the written offsets was sent.
    pub(crate) fn mark_sent(&mut self) {
        for topic_partition in &mut self.partitions {
            topic_partition.sent = topic_partition.written;
        }
    }

    /// Records that the last commit failed.
    pub(crate) fn reset_sent(&mut self) {
        for topic_partition in &mut self.partitions {
            topic_partition.sent = None;
        }
    }

    pub(crate) fn forget(&mut self, partitions: &[(String, i32)]) {
        for (topic, partition) in partitions {
            let topic_partition = self.topic_partition(topic, *partition);
            self.partitions[topic_partition].written = None;
            self.partitions[topic_partition].sent = None;
            self.pending
                .retain(|pending| pending.topic_partition != topic_partition);
        }
    }

    fn topic_partition(&mut self, topic: &str, partition: i32) -> usize {
        let is_it = |topic_partition: &PartitionOffsets| {
            topic_partition.partition == partition && topic_partition.topic == topic
        };
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
        offsets.advance(9, |_| 0);
        assert_eq!(written(&offsets), []);
        offsets.advance(29, |_| 0);
        assert_eq!(written(&offsets), [(0, 1), (1, 8)]);
        offsets.advance(30, |_| 0);
        assert_eq!(written(&offsets), [(0, 2), (1, 8)]);
    }

    #[test]
    fn the_end_of_a_partition_counts_when_all_before_it_is_out() {
        let mut offsets = OffsetTracker::default();
        offsets.add("t", 0, 5, 10);
        offsets.add("t", 0, 6, 10);
        offsets.add("t", 1, 3, 10);
        offsets.advance(9, |_| 0);
        assert_eq!(written(&offsets), []);
        offsets.advance(10, |_| 0);
        assert_eq!(written(&offsets), [(0, 6), (1, 3)]);
    }

    #[test]
    fn what_was_sent_is_sent_again_only_where_it_was_not_committed() {
        let mut offsets = OffsetTracker::default();
        offsets.add("t", 0, 1, 1);
        offsets.advance(1, |_| 0);
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
        offsets.advance(1, |_| 0);
        offsets.forget(&[("t".to_owned(), 0)]);
        offsets.advance(2, |_| 0);
        assert_eq!(written(&offsets), [(1, 1)]);
    }

    #[test]
    fn of_lines_that_are_out_in_part_the_whole_ones_count() {
        let mut offsets = OffsetTracker::default();
        offsets.add("t", 0, 5, 10);
        offsets.add_lines("t", 0, 7, 3, 10..40);
        offsets.add_lines("t", 1, 2, 2, 40..60);
        // The end of the partition.
        offsets.add("t", 1, 6, 60);
        offsets.advance(10, |_| 9);
        assert_eq!(written(&offsets), [(0, 5)]);
        offsets.advance(15, |_| 0);
        assert_eq!(written(&offsets), [(0, 5)]);
        offsets.advance(32, |from| usize::from(from == 10) * 2);
        assert_eq!(written(&offsets), [(0, 9)]);
        offsets.advance(50, |from| usize::from(from == 40));
        assert_eq!(written(&offsets), [(0, 10), (1, 3)]);
        offsets.advance(60, |_| 9);
        assert_eq!(written(&offsets), [(0, 10), (1, 6)]);
    }
}
