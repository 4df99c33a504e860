//! The first record at or after an offset that a reader gets to see, for many offsets at once.
//!
//! One Fetch for each leader asks for a little of every partition, and one
//! batch answers every offset that lies in it. What no reader sees (markers of
//! transactions, aborted records, the gaps that compaction leaves) is read over,
//! with larger requests the longer it gets.

mod leaders;
mod scan;
mod since;

use std::sync::Arc;

use super::metadata::{Metadata, metadata_of};
use super::offsets::Isolation;
use super::query_budget::QueryBudget;
use crate::kafka::error::{KafkaError, is_leader_change};
use crate::kafka::wire::Wire;
use leaders::ask_leaders;

pub use since::{MOST_OFFSETS, count_after, earliest_in, first_in_window, newest_in};

/// Where to look, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub topic: Arc<str>,
    pub partition: i32,
    /// The first offset that counts.
    pub offset: i64,
    /// The offset at which there is nothing more for this reader.
    pub until: i64,
    /// Whether records of aborted transactions count.
    pub isolation: Isolation,
    /// Records that are dated later do not count.
    pub not_after_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstRecord {
    pub offset: i64,
    /// Its time, milliseconds since 1970; none where it has none.
    pub timestamp_ms: Option<i64>,
}

type Answer = Result<Option<FirstRecord>, KafkaError>;

/// The first record for each of `positions`, in their order; `None` where there is none before `until`.
///
/// A partition whose leader moves meanwhile is asked for again where it is then.
pub fn first_unread(
    wire: &mut Wire<'_>,
    positions: &[Position],
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Vec<Answer> {
    let mut answers = ask_leaders(wire, positions, metadata, budget);
    for attempt in 0.. {
        let has_moved = |answer: &Answer| answer.as_ref().is_err_and(|e| is_leader_change(e.code));
        let moved: Vec<usize> = (0..answers.len())
            .filter(|&index| has_moved(&answers[index]))
            .collect();
        if moved.is_empty() || !budget.pause(attempt) {
            break;
        }
        let again: Vec<Position> = moved.iter().map(|&at| positions[at].clone()).collect();
        let topics = again.iter().map(|position| position.topic.to_string());
        let Ok(newer) = metadata_of(wire, topics, budget.interrupted()) else {
            break;
        };
        let asked = ask_leaders(wire, &again, &newer, budget);
        for (index, answer) in moved.into_iter().zip(asked) {
            answers[index] = answer;
        }
    }
    answers
}
