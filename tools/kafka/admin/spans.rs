//! Parts of logs, read as a whole, many partitions at once.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::metadata::Metadata;
use super::offsets::Isolation;
use super::peek::{PartitionBatches, PeekPosition, peek};
use super::query_budget::QueryBudget;
use crate::kafka::batch::{BatchDecoder, RawRecord};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::Wire;

/// A part of a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSpan {
    pub topic: Arc<str>,
    pub partition: i32,
    pub from: i64,
    /// The offset behind it.
    pub until: i64,
}

/// The most bytes of one partition in an answer at first.
const FIRST_BYTES: i32 = 4 * 1024 * 1024;
/// The largest batch that is waited for.
const LARGEST_BYTES: i32 = 128 * 1024 * 1024;
/// Partitions in one request, so that their bytes fit into one answer.
const IN_ONE_REQUEST: usize = 8;
/// Requests to one broker at once.
const AT_ONCE: usize = 2;

/// A span of which there is more to read.
struct OpenSpan<'a> {
    index: usize,
    span: &'a LogSpan,
    next: i64,
    limit_bytes: i32,
}

/// Hands every message of each span to `take`, with the span's place in `spans`; returns which spans were read to their
/// end. Requires READ on the topics.
pub(super) fn read_spans(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    spans: &[LogSpan],
    isolation: Isolation,
    budget: &mut QueryBudget<'_>,
    take: &mut dyn FnMut(usize, &RawRecord<'_>),
) -> Vec<Result<(), KafkaError>> {
    let mut answers = vec![Ok(()); spans.len()];
    let mut by_leader: BTreeMap<i32, VecDeque<OpenSpan<'_>>> = BTreeMap::new();
    for (index, span) in spans.iter().enumerate() {
        match metadata.leader(&span.topic, span.partition) {
            Ok(leader) => by_leader.entry(leader).or_default().push_back(OpenSpan {
                index,
                span,
                next: span.from,
                limit_bytes: FIRST_BYTES,
            }),
            Err(error) => answers[index] = Err(error),
        }
    }
    let mut decoder = BatchDecoder::new(LARGEST_BYTES as usize);
    for (leader, mut open) in by_leader {
        open.retain(|one| one.next < one.span.until);
        while !open.is_empty() && !(budget.interrupted())() {
            let count = open.len().min(IN_ONE_REQUEST * AT_ONCE);
            let asked: Vec<OpenSpan<'_>> = open.drain(..count).collect();
            for (mut one, batches) in read(wire, leader, asked, isolation, budget) {
                match batches.and_then(|batches| one.take(&batches, &mut decoder, take)) {
                    Ok(()) if one.next < one.span.until => open.push_back(one),
                    Ok(()) => {}
                    Err(error) => answers[one.index] = Err(error),
                }
            }
            // A broker that sends what it is asked for is not silent, however much that is.
            budget.renew(leader);
        }
        for unread in open {
            answers[unread.index] = Err(KafkaError::of(code::TIMED_OUT));
        }
    }
    answers
}

/// The next piece of each partition.
fn read<'a>(
    wire: &mut Wire<'_>,
    leader: i32,
    open: Vec<OpenSpan<'a>>,
    isolation: Isolation,
    budget: &mut QueryBudget<'_>,
) -> Vec<(OpenSpan<'a>, Result<PartitionBatches, KafkaError>)> {
    let peek_position = |one: &OpenSpan<'a>| PeekPosition {
        topic: &one.span.topic,
        partition: one.span.partition,
        offset: one.next,
        limit_bytes: one.limit_bytes,
    };
    let lists: Vec<_> = open
        .chunks(IN_ONE_REQUEST)
        .map(|chunk| (leader, chunk.iter().map(peek_position).collect()))
        .collect();
    let answers = peek(wire, &lists, isolation, budget);
    open.into_iter()
        .zip(answers.into_iter().flatten())
        .collect()
}

impl OpenSpan<'_> {
    fn take(
        &mut self,
        batches: &PartitionBatches,
        decoder: &mut BatchDecoder,
        take: &mut dyn FnMut(usize, &RawRecord<'_>),
    ) -> Result<(), KafkaError> {
        let summary = batches.messages(self.next, decoder, |record| {
            if record.offset >= self.span.until {
                return ControlFlow::Break(());
            }
            take(self.index, record);
            ControlFlow::Continue(())
        });
        let unreadable = |reason| KafkaError::new(code::BAD_MESSAGE, reason);
        match summary
            .map_err(|error| unreadable(error.to_string()))?
            .next_offset
        {
            Some(next) => self.next = next.max(self.next + 1),
            None if self.limit_bytes >= LARGEST_BYTES => {
                let reason = format!("the batch at offset {} does not come", self.next);
                return Err(unreadable(reason));
            }
            None => self.limit_bytes = self.limit_bytes.saturating_mul(4).min(LARGEST_BYTES),
        }
        Ok(())
    }
}
