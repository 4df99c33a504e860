//! Which positions standard output has taken, so that no other is committed.
//!
//! Every record leaves a mark: the position behind it, and how many bytes have
//! to be taken for it to be out whole. A mark that is reached by what write(2)
//! has taken moves its partition's position.

use std::collections::VecDeque;

use tools::kafka::group::Positions;

/// Positions on their way out, and those that are out.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    places: Vec<Place>,
    /// The index of the place of the record before: the next one is likely of the same.
    current: usize,
    marks: VecDeque<Mark>,
}

#[derive(Debug)]
struct Place {
    topic: String,
    partition: i32,
    /// The position behind the last record that is out.
    taken: Option<i64>,
    /// The position that was sent to be committed.
    sent: Option<i64>,
}

#[derive(Debug)]
struct Mark {
    place: usize,
    position: i64,
    end_byte: u64,
}

impl Ledger {
    /// Notes that `position` is reached when `end_byte` bytes are out.
    pub(crate) fn note(&mut self, topic: &str, partition: i32, position: i64, end_byte: u64) {
        let place = self.place(topic, partition);
        match self.marks.back_mut() {
            // An end of a partition, or a record that left nothing to be written.
            Some(last) if last.place == place && last.end_byte == end_byte => {
                last.position = position;
            }
            _ => self.marks.push_back(Mark {
                place,
                position,
                end_byte,
            }),
        }
    }

    /// Moves the positions that are reached by `taken_bytes`.
    pub(crate) fn settle(&mut self, taken_bytes: u64) {
        while let Some(mark) = self.marks.front()
            && mark.end_byte <= taken_bytes
        {
            self.places[mark.place].taken = Some(mark.position);
            self.marks.pop_front();
        }
    }

    /// The positions that are out.
    pub(crate) fn taken(&self) -> Positions {
        self.positions(|place| place.taken)
    }

    /// The positions that are out and were not sent yet.
    pub(crate) fn unsent(&self) -> Positions {
        self.positions(|place| place.taken.filter(|_| place.taken != place.sent))
    }

    fn positions(&self, which: impl Fn(&Place) -> Option<i64>) -> Positions {
        let row = |place: &Place| Some(((place.topic.clone(), place.partition), which(place)?));
        self.places.iter().filter_map(row).collect()
    }

    /// Notes that what is out was sent to be committed.
    pub(crate) fn sent(&mut self) {
        for place in &mut self.places {
            place.sent = place.taken;
        }
    }

    /// Notes that what was sent last was not committed.
    pub(crate) fn send_again(&mut self) {
        for place in &mut self.places {
            place.sent = None;
        }
    }

    /// Forgets partitions that belong to others now.
    pub(crate) fn forget(&mut self, places: &[(String, i32)]) {
        for (topic, partition) in places {
            let place = self.place(topic, *partition);
            self.places[place].taken = None;
            self.places[place].sent = None;
            self.marks.retain(|mark| mark.place != place);
        }
    }

    fn place(&mut self, topic: &str, partition: i32) -> usize {
        let is_it = |place: &Place| place.partition == partition && place.topic == topic;
        if self.places.get(self.current).is_some_and(is_it) {
            return self.current;
        }
        self.current = self.places.iter().position(is_it).unwrap_or_else(|| {
            self.places.push(Place {
                topic: topic.to_owned(),
                partition,
                taken: None,
                sent: None,
            });
            self.places.len() - 1
        });
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::Ledger;

    fn taken(ledger: &Ledger) -> Vec<(i32, i64)> {
        let positions = ledger.taken();
        positions
            .iter()
            .map(|((_, p), offset)| (*p, *offset))
            .collect()
    }

    #[test]
    fn only_records_that_are_out_whole_count() {
        let mut ledger = Ledger::default();
        ledger.note("t", 0, 1, 10);
        ledger.note("t", 1, 8, 20);
        ledger.note("t", 0, 2, 30);
        ledger.settle(9);
        assert_eq!(taken(&ledger), []);
        ledger.settle(29);
        assert_eq!(taken(&ledger), [(0, 1), (1, 8)]);
        ledger.settle(30);
        assert_eq!(taken(&ledger), [(0, 2), (1, 8)]);
    }

    #[test]
    fn the_end_of_a_partition_counts_when_all_before_it_is_out() {
        let mut ledger = Ledger::default();
        ledger.note("t", 0, 5, 10);
        ledger.note("t", 0, 6, 10);
        ledger.note("t", 1, 3, 10);
        ledger.settle(9);
        assert_eq!(taken(&ledger), []);
        ledger.settle(10);
        assert_eq!(taken(&ledger), [(0, 6), (1, 3)]);
    }

    #[test]
    fn what_was_sent_is_sent_again_only_where_it_was_not_committed() {
        let mut ledger = Ledger::default();
        ledger.note("t", 0, 1, 1);
        ledger.settle(1);
        assert_eq!(ledger.unsent().len(), 1);
        ledger.sent();
        assert!(ledger.unsent().is_empty());
        ledger.send_again();
        assert_eq!(ledger.unsent().len(), 1);
    }

    #[test]
    fn a_partition_that_is_gone_is_not_committed() {
        let mut ledger = Ledger::default();
        ledger.note("t", 0, 1, 1);
        ledger.note("t", 1, 1, 2);
        ledger.settle(1);
        ledger.forget(&[("t".to_owned(), 0)]);
        ledger.settle(2);
        assert_eq!(taken(&ledger), [(1, 1)]);
    }
}
