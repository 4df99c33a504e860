//! What leaders are asked: a little of every partition, and more where that was not enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{FetchRequest, FetchResponse};

use super::{Answer, Isolation, Position, scan};
use crate::kafka::admin::metadata::Metadata;
use crate::kafka::admin::peek::{PeekPosition, VERSIONS, fetch_request};
use crate::kafka::admin::query_budget::QueryBudget;
use crate::kafka::batch::BatchDecoder;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::Wire;

/// How much of a partition is asked for at first: a batch or a few.
const FIRST_BYTES: i32 = 16 * 1024;
/// How much at most.
const MOST_BYTES: i32 = 4 * 1024 * 1024;
/// How long to wait before a broker is asked again that sent nothing although there is something.
const EMPTY_PAUSE_MS: i32 = 100;
/// How often a broker may send nothing although there is something, before that is its answer.
const EMPTY_ANSWERS: u32 = 5;
/// How much one answer may have, so that memory stays small however many partitions there are.
const ANSWER_BYTES: i32 = 8 * 1024 * 1024;

/// One Fetch for each leader that `metadata` names, and more as long as there is more to be read over.
pub(super) fn ask_leaders(
    wire: &mut Wire<'_>,
    positions: &[Position],
    metadata: &Metadata,
    budget: &mut QueryBudget<'_>,
) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = positions.iter().map(|_| None).collect();
    let mut parts = PartitionSearch::all(positions, metadata, &mut answers);
    // What a client takes at most of one batch (receive.message.max.bytes).
    let mut decoder = BatchDecoder::new(100_000_000);
    while !parts.is_empty() {
        let calls = split_into_calls(&parts);
        let requests = calls.iter().map(|(call, indices)| {
            let request = request(call.1, indices, &parts);
            (call.0, move |_: i16| request)
        });
        let requests = requests.collect();
        let replies = budget.fan_out::<FetchRequest, _>(wire, &VERSIONS, requests);
        for ((call, indices), reply) in calls.iter().zip(replies) {
            let checked =
                reply.and_then(|reply| KafkaError::check(reply.error_code).map(|()| reply));
            match checked {
                // The broker throttles a client that is over its quota.
                Ok(reply) if reply.responses.is_empty() => {
                    budget.rest(call.0, reply.throttle_time_ms);
                }
                Ok(reply) => {
                    let is_empty =
                        handle_response(reply, indices, &mut parts, &mut decoder, &mut answers);
                    if is_empty {
                        budget.rest(call.0, EMPTY_PAUSE_MS);
                    }
                }
                Err(error) => {
                    for &index in indices {
                        parts[index].fail(&error, &mut answers);
                    }
                }
            }
        }
        parts.retain(|part| !part.pending.is_empty());
        if (budget.interrupted())() {
            break;
        }
    }
    let unanswered = || Err(KafkaError::of(code::TIMED_OUT));
    let answers = answers.into_iter();
    answers
        .map(|answer| answer.unwrap_or_else(unanswered))
        .collect()
}

/// A partition as one kind of reader sees it, with the offsets that are still asked for.
struct PartitionSearch<'a> {
    topic: &'a Arc<str>,
    partition: i32,
    leader: i32,
    isolation: Isolation,
    not_after_ms: Option<i64>,
    /// By offset.
    pending: Vec<Pending>,
    max_bytes: i32,
    /// How often nothing came, though there should be something.
    empty_answers: u32,
}

/// An offset of one or several questions.
pub(super) struct Pending {
    /// Before it there is nothing for this reader.
    pub(super) offset: i64,
    pub(super) until: i64,
    /// The questions that it answers.
    pub(super) questions: Vec<usize>,
}

impl<'a> PartitionSearch<'a> {
    /// Sorts the positions into partitions; what has no leader is answered at once.
    fn all(
        positions: &'a [Position],
        metadata: &Metadata,
        answers: &mut [Option<Answer>],
    ) -> Vec<PartitionSearch<'a>> {
        let key = |index: &usize| {
            let position = &positions[*index];
            let reader = (position.isolation, position.not_after_ms);
            let search_key = (&position.topic, position.partition, reader);
            (search_key, position.offset, position.until)
        };
        let mut order: Vec<usize> = (0..positions.len()).collect();
        order.sort_by_key(key);
        let mut parts: Vec<PartitionSearch<'a>> = Vec::new();
        for same in order.chunk_by(|a, b| key(a).0 == key(b).0) {
            let position = &positions[same[0]];
            let leader = match metadata.leader(&position.topic, position.partition) {
                Ok(leader) => leader,
                Err(error) => {
                    for &index in same {
                        answers[index] = Some(Err(error.clone()));
                    }
                    continue;
                }
            };
            let mut pending: Vec<Pending> = Vec::new();
            for offset in same.chunk_by(|a, b| key(a) == key(b)) {
                let position = &positions[offset[0]];
                if position.offset >= position.until {
                    for &index in offset {
                        answers[index] = Some(Ok(None));
                    }
                    continue;
                }
                pending.push(Pending {
                    offset: position.offset,
                    until: position.until,
                    questions: offset.to_vec(),
                });
            }
            if !pending.is_empty() {
                parts.push(PartitionSearch {
                    topic: &position.topic,
                    partition: position.partition,
                    leader,
                    isolation: position.isolation,
                    not_after_ms: position.not_after_ms,
                    pending,
                    max_bytes: FIRST_BYTES,
                    empty_answers: 0,
                });
            }
        }
        parts
    }

    fn fail(&mut self, error: &KafkaError, answers: &mut [Option<Answer>]) {
        for pending in self.pending.drain(..) {
            for question in pending.questions {
                answers[question] = Some(Err(error.clone()));
            }
        }
    }

    /// What a broker sent of this partition; `is_first` where it stood first in the request, and `is_full` where
    /// the answer as a whole had no room for more. Tells whether it should have sent something and did not.
    fn handle_partition(
        &mut self,
        data: &PartitionData,
        is_first: bool,
        is_full: bool,
        decoder: &mut BatchDecoder,
        answers: &mut [Option<Answer>],
    ) -> bool {
        let Some(asked) = self.pending.first().map(|pending| pending.offset) else {
            return false;
        };
        match i32::from(data.error_code) {
            code::NONE => {}
            // Deleted since it was asked where the log starts.
            code::OFFSET_OUT_OF_RANGE if data.log_start_offset > asked => {
                scan::advance_to(&mut self.pending, data.log_start_offset, answers);
                return false;
            }
            error_code => {
                self.fail(&KafkaError::of(error_code), answers);
                return false;
            }
        }
        let filter = scan::RecordFilter {
            isolation: self.isolation,
            not_after_ms: self.not_after_ms,
        };
        match scan::scan(data, filter, &mut self.pending, decoder, answers) {
            Ok(covered) if covered > asked => {
                self.empty_answers = 0;
                // What lies between was nothing for this reader: more of it at a time.
                if self.pending.first().is_some_and(|p| p.offset == covered) {
                    self.grow();
                }
            }
            // The log ends here for this reader.
            Ok(_) if log_end(data, self.isolation) <= asked => {
                scan::advance_to(&mut self.pending, i64::MAX, answers);
            }
            Ok(_) => {
                self.empty_answers += 1;
                if !is_full {
                    self.grow();
                }
                // A broker sends at least one batch of what stands first, unless it can't just now.
                if is_first && self.empty_answers >= EMPTY_ANSWERS {
                    let reason = format!(
                        "broker {} sends nothing from offset {asked}, where the log goes on",
                        self.leader
                    );
                    self.fail(&KafkaError::new(code::BAD_MESSAGE, reason), answers);
                }
                return is_first;
            }
            Err(error) => {
                let error = KafkaError::new(code::BAD_MESSAGE, error.to_string());
                self.fail(&error, answers);
            }
        }
        false
    }

    fn grow(&mut self) {
        self.max_bytes = (self.max_bytes * 4).min(MOST_BYTES);
    }
}

/// One past the last record that a reader may get, as the broker says beside its answer.
///
/// It knows no last stable offset where it answers without one (-1).
fn log_end(data: &PartitionData, isolation: Isolation) -> i64 {
    match isolation {
        Isolation::ReadCommitted if data.last_stable_offset >= 0 => data.last_stable_offset,
        _ => data.high_watermark,
    }
}

/// Which partitions go into which request: by leader and isolation, those first that got nothing so far.
fn split_into_calls(parts: &[PartitionSearch<'_>]) -> BTreeMap<(i32, Isolation), Vec<usize>> {
    let mut calls: BTreeMap<(i32, Isolation), Vec<usize>> = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        let call = (part.leader, part.isolation);
        calls.entry(call).or_default().push(index);
    }
    for indices in calls.values_mut() {
        indices.sort_by_key(|&index| std::cmp::Reverse(parts[index].empty_answers));
    }
    calls
}

fn request(isolation: Isolation, indices: &[usize], parts: &[PartitionSearch<'_>]) -> FetchRequest {
    let positions = indices.iter().map(|&index| {
        let part = &parts[index];
        PeekPosition {
            topic: part.topic,
            partition: part.partition,
            offset: part.pending.first().map_or(0, |pending| pending.offset),
            limit_bytes: part.max_bytes,
        }
    });
    fetch_request(positions, isolation, ANSWER_BYTES)
}

/// Tells whether the partition that stood first should have had something and did not.
fn handle_response(
    reply: FetchResponse,
    indices: &[usize],
    parts: &mut [PartitionSearch<'_>],
    decoder: &mut BatchDecoder,
    answers: &mut [Option<Answer>],
) -> bool {
    let size = |data: &PartitionData| data.records.as_ref().map_or(0, bytes::Bytes::len);
    let partitions = |reply: &FetchResponse| -> usize {
        let topics = reply.responses.iter();
        topics.flat_map(|topic| &topic.partitions).map(size).sum()
    };
    // A partition's share may be cut by what is left: from a half on the answer may have been full.
    let is_full = partitions(&reply) >= ANSWER_BYTES as usize / 2;
    let index_of_partition: BTreeMap<(&str, i32), usize> = indices
        .iter()
        .map(|&index| ((&**parts[index].topic, parts[index].partition), index))
        .collect();
    let mut found: Vec<(usize, PartitionData)> = Vec::new();
    for topic in reply.responses {
        for data in topic.partitions {
            if let Some(&index) =
                index_of_partition.get(&(topic.topic.as_str(), data.partition_index))
            {
                found.push((index, data));
            }
        }
    }
    let first = indices.first().copied();
    let mut is_empty = false;
    for (index, data) in found {
        is_empty |=
            parts[index].handle_partition(&data, Some(index) == first, is_full, decoder, answers);
    }
    is_empty
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer without records, of a log that ends at `end`.
    fn nothing(end: i64) -> PartitionData {
        PartitionData::default()
            .with_high_watermark(end)
            .with_last_stable_offset(end)
    }

    #[test]
    fn an_empty_answer_is_only_an_answer_at_the_end_of_the_log() {
        let topic: Arc<str> = "t".into();
        let part = || PartitionSearch {
            topic: &topic,
            partition: 0,
            leader: 7,
            isolation: Isolation::ReadCommitted,
            not_after_ms: None,
            pending: vec![Pending {
                offset: 5,
                until: 20,
                questions: vec![0],
            }],
            max_bytes: FIRST_BYTES,
            empty_answers: 0,
        };
        let mut decoder = BatchDecoder::new(1 << 20);
        let mut take = |part: &mut PartitionSearch<'_>, end| {
            let mut answers = [None];
            part.handle_partition(&nothing(end), true, false, &mut decoder, &mut answers);
            let [answer] = answers;
            answer
        };
        assert_eq!(take(&mut part(), 5), Some(Ok(None)), "the log was cut");
        let mut stuck = part();
        for _ in 1..EMPTY_ANSWERS {
            assert_eq!(take(&mut stuck, 20), None);
        }
        let error = take(&mut stuck, 20)
            .expect("an answer")
            .expect_err("unknown");
        assert_eq!(
            error.reason,
            "broker 7 sends nothing from offset 5, where the log goes on"
        );
    }
}
