//! The time of a record that may not be read, from questions about offsets by time.
//!
//! `ListOffsets` needs no permission to read: it finds the first record at or
//! after a time. So the record at an offset is found by bisection, exactly
//! where times rise along the log. What it is (a marker, an aborted record) it does not report.

use super::Position;
use crate::kafka::admin::metadata::Metadata;
use crate::kafka::admin::offsets::{
    Isolation, ListedOffset, OffsetQuery, OffsetSpec, offsets_over,
};
use crate::kafka::admin::query_budget::QueryBudget;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::Wire;

/// A record may be dated ahead by as much (`message.timestamp.after.max.ms` of a broker that nobody changed).
const AHEAD_MS: i64 = 3_600_000;

/// When the record at each position was written, in milliseconds since 1970; in their order.
pub fn times_of(
    wire: &mut Wire<'_>,
    positions: &[Position],
    metadata: &Metadata,
    now_ms: i64,
    budget: &mut QueryBudget<'_>,
) -> Vec<Result<i64, KafkaError>> {
    let mut searches: Vec<TimeSearch> = positions
        .iter()
        .map(|position| TimeSearch::new(position.offset, now_ms + AHEAD_MS))
        .collect();
    loop {
        let open: Vec<usize> = (0..searches.len())
            .filter(|&index| searches[index].next().is_some())
            .collect();
        if open.is_empty() || (budget.interrupted())() {
            break;
        }
        let question = |&index: &usize| OffsetQuery {
            topic: positions[index].topic.to_string(),
            partition: positions[index].partition,
            spec: OffsetSpec::Time(searches[index].next().unwrap_or(0)),
        };
        let questions: Vec<OffsetQuery> = open.iter().map(question).collect();
        let answers = offsets_over(
            wire,
            metadata,
            &questions,
            Isolation::ReadUncommitted,
            budget,
        );
        let Ok(answers) = answers else { break };
        for (index, answer) in open.into_iter().zip(answers) {
            searches[index].take(answer);
        }
    }
    searches.into_iter().map(TimeSearch::into_answer).collect()
}

/// The bisection for one offset.
#[derive(Debug)]
struct TimeSearch {
    offset: i64,
    /// The largest time known whose first record is before the offset, which is that record's own; -1 at first.
    low_ms: i64,
    /// The smallest time known whose first record is behind the offset.
    high_ms: i64,
    answer: Option<Result<i64, KafkaError>>,
}

impl TimeSearch {
    fn new(offset: i64, latest_ms: i64) -> TimeSearch {
        TimeSearch {
            offset,
            low_ms: -1,
            high_ms: latest_ms,
            answer: None,
        }
    }

    /// The time to ask for next.
    fn next(&self) -> Option<i64> {
        match self.answer {
            Some(_) => None,
            // At first: where does the log begin?
            None if self.low_ms < 0 => Some(0),
            None => Some(self.low_ms + (self.high_ms - self.low_ms) / 2),
        }
    }

    fn take(&mut self, answer: Result<ListedOffset, KafkaError>) {
        let Some(asked_ms) = self.next() else { return };
        let found = match answer {
            Ok(found) => found.offset.zip(found.timestamp_ms),
            Err(error) => {
                self.answer = Some(Err(error));
                return;
            }
        };
        match found {
            Some((offset, time_ms)) if offset == self.offset => self.answer = Some(Ok(time_ms)),
            Some((offset, time_ms)) if offset < self.offset => self.low_ms = time_ms,
            // The record asked for is gone, and this one follows it.
            Some((_, time_ms)) if asked_ms == 0 => self.answer = Some(Ok(time_ms)),
            None if asked_ms == 0 => {
                let reason = "no record of this partition has a time";
                self.answer = Some(Err(KafkaError::new(code::NO_ENTITY, reason)));
            }
            Some(_) | None => self.high_ms = asked_ms,
        }
        // Records of the same time hide behind the first of them.
        if self.answer.is_none() && self.high_ms - self.low_ms <= 1 {
            self.answer = Some(Ok(self.low_ms));
        }
    }

    fn into_answer(self) -> Result<i64, KafkaError> {
        self.answer
            .unwrap_or_else(|| Err(KafkaError::of(code::TIMED_OUT)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a broker would answer that keeps records of these times from offset `start` on.
    fn broker(times_ms: &[i64], start: i64, asked_ms: i64) -> ListedOffset {
        let at = times_ms.iter().position(|time_ms| *time_ms >= asked_ms);
        ListedOffset {
            offset: at.map(|at| start + at as i64),
            timestamp_ms: at.map(|at| times_ms[at]),
            leader_epoch: None,
        }
    }

    fn search(times_ms: &[i64], start: i64, offset: i64) -> (Result<i64, KafkaError>, u32) {
        let mut search = TimeSearch::new(offset, 2_000_000_000_000);
        let mut rounds = 0;
        while let Some(asked_ms) = search.next() {
            rounds += 1;
            assert!(rounds < 100, "{search:?}");
            search.take(Ok(broker(times_ms, start, asked_ms)));
        }
        (search.into_answer(), rounds)
    }

    #[test]
    fn a_record_s_time_is_found_where_times_rise() {
        let times_ms = [1000, 1000, 1005, 2000, 2000, 2000, 900_000];
        for (at, time_ms) in times_ms.iter().enumerate() {
            assert_eq!(
                search(&times_ms, 50, 50 + at as i64).0,
                Ok(*time_ms),
                "{at}"
            );
        }
        assert_eq!(search(&times_ms, 50, 10).0, Ok(1000), "deleted before");
        assert!(search(&[], 0, 0).0.is_err());
    }

    proptest! {
        #[test]
        fn any_rising_log_is_searched_in_a_few_rounds(
            steps in proptest::collection::vec(0..100_000i64, 1..50), at in 0..50usize,
        ) {
            let mut time_ms = 1_700_000_000_000;
            let times_ms: Vec<i64> = steps.iter().map(|step| { time_ms += step; time_ms }).collect();
            let at = at.min(times_ms.len() - 1);
            let (answer, rounds) = search(&times_ms, 7, 7 + at as i64);
            prop_assert_eq!(answer, Ok(times_ms[at]));
            prop_assert!(rounds <= 42);
        }
    }
}
