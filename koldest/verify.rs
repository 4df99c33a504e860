//! The first and the newest message of logs.
//!
//! `ListOffsets` tells both, for many partitions at once and without reading:
//! the first record with a time from 0 on, and the one with the latest time.
//! But what it tells may be a marker of a transaction, or a record of an
//! aborted one, and records without a time are passed over. So a few bytes
//! are read at both places: a marker fits into them, and a batch of messages
//! that fits is exact anyway. What is in doubt then is found by reading.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use tools::kafka::KafkaError;
use tools::kafka::admin::{Isolation, PartitionBatches, PeekPosition, peek};
use tools::kafka::batch::{BatchDecoder, BatchError};
use tools::kafka::error::code;

use crate::collect::ClusterQuery;
use crate::partition_state::{LogBounds, Message, PartitionState};
use crate::search::{ForwardSearch, find_first, find_newest, find_past};

/// The largest batch that is decoded.
const LARGEST_BYTES: usize = 128 * 1024 * 1024;
/// A marker has 78 bytes, and more where it carries more than Kafka 4.3's.
const PEEK_BYTES: i32 = 128;
/// The most partitions of a broker that are read at their beginning although nothing hints at a transaction.
const READ_ANYWAY: usize = 100;

/// Where in a log a few bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// At the log start.
    First,
    /// At the newest message.
    Newest,
    /// At the end, where that is another place.
    Last,
}

/// A few bytes of a log.
struct Peek {
    index: usize,
    end: End,
    offset: i64,
    leader: i32,
}

/// The ends of logs that are uncertain, and from where to read on.
struct Verifier {
    decoder: BatchDecoder,
    /// Topics of which some partition shows that transactions are written to it.
    transactional: HashSet<String>,
    first: Vec<ForwardSearch>,
    newest: Vec<usize>,
    /// Beginnings of which nothing says that they are not what they seem, by leader.
    unread: BTreeMap<i32, Vec<ForwardSearch>>,
}

/// Makes sure of both ends of the logs that are `asked` for and have something between their ends.
///
/// Where all of a log is of transactions that are still open, both are as `ListOffsets` tells them.
pub(crate) fn verify(
    query: &mut ClusterQuery<'_>,
    partitions: &mut [PartitionState],
    asked: &[usize],
) {
    let is_open = |index: &&usize| {
        let bounds = partitions[**index].bounds.as_ref();
        bounds.is_ok_and(|bounds| bounds.log_start < bounds.stable)
    };
    let open: Vec<usize> = asked.iter().filter(is_open).copied().collect();
    let peeks: Vec<Peek> = open.iter().flat_map(|&at| peeks(at, partitions)).collect();
    let found = read(query, partitions, &peeks);
    let mut verifier = Verifier {
        decoder: BatchDecoder::new(LARGEST_BYTES),
        transactional: HashSet::new(),
        first: Vec::new(),
        newest: Vec::new(),
        unread: BTreeMap::new(),
    };
    verifier.find_transactions(partitions, &peeks, &found);
    for (peek, found) in peeks.iter().zip(found) {
        let state = &mut partitions[peek.index];
        let checked = found.and_then(|batches| verifier.check(peek, state, &batches));
        if let Err(error) = checked {
            state.fail(&error);
        }
    }
    let unlisted = open.iter().filter(|&&index| {
        let bounds = partitions[index].bounds.as_ref();
        bounds.is_ok_and(|bounds| bounds.newest.is_none())
    });
    verifier.newest.extend(unlisted);
    for unread in verifier.unread.into_values() {
        if unread.len() <= READ_ANYWAY {
            verifier.first.extend(unread);
        }
    }
    find_first(query, partitions, &verifier.first);
    find_newest(query, partitions, verifier.newest, None);
    find_past(query, partitions, &open);
}

fn peeks(index: usize, partitions: &[PartitionState]) -> Vec<Peek> {
    let state = &partitions[index];
    let (Some(leader), Ok(bounds)) = (state.leader, &state.bounds) else {
        return Vec::new();
    };
    let newest = bounds.newest.map(|newest| newest.offset);
    let last = newest
        .map(|_| bounds.end - 1)
        .filter(|last| newest != Some(*last));
    let places = [
        (End::First, Some(bounds.log_start)),
        (End::Newest, newest),
        (End::Last, last),
    ];
    let peek = |(end, offset): (End, Option<i64>)| {
        Some(Peek {
            index,
            end,
            offset: offset?,
            leader,
        })
    };
    places.into_iter().filter_map(peek).collect()
}

/// Reads at all places, one request for each kind of place to each leader.
fn read(
    query: &mut ClusterQuery<'_>,
    partitions: &[PartitionState],
    peeks: &[Peek],
) -> Vec<Result<PartitionBatches, KafkaError>> {
    let mut calls: BTreeMap<(i32, End), Vec<usize>> = BTreeMap::new();
    for (place, peek) in peeks.iter().enumerate() {
        let call = calls.entry((peek.leader, peek.end)).or_default();
        call.push(place);
    }
    let position = |&place: &usize| {
        let peek = &peeks[place];
        PeekPosition {
            topic: &partitions[peek.index].topic,
            partition: partitions[peek.index].partition.unwrap_or(-1),
            offset: peek.offset,
            limit_bytes: PEEK_BYTES,
        }
    };
    let lists = calls.iter();
    let lists = lists.map(|((leader, _), places)| (*leader, places.iter().map(position).collect()));
    let lists: Vec<_> = lists.collect();
    let isolation = Isolation::ReadCommitted;
    let answers = peek(&mut query.wire, &lists, isolation, &mut query.budget);
    let mut found: Vec<_> = peeks
        .iter()
        .map(|_| Err(KafkaError::of(code::TIMED_OUT)))
        .collect();
    for (places, answers) in calls.values().zip(answers) {
        for (&place, answer) in places.iter().zip(answers) {
            found[place] = answer;
        }
    }
    found
}

impl Verifier {
    fn find_transactions(
        &mut self,
        partitions: &[PartitionState],
        peeks: &[Peek],
        found: &[Result<PartitionBatches, KafkaError>],
    ) {
        for (peek, batches) in peeks.iter().zip(found) {
            let state = &partitions[peek.index];
            let bounds = state.bounds.as_ref();
            let has_open = bounds.is_ok_and(LogBounds::has_open_transaction);
            let summary = batches.as_ref().ok().and_then(|batches| {
                let summary = batches.messages(0, &mut self.decoder, |_| ControlFlow::Continue(()));
                summary.ok()
            });
            if has_open || summary.is_some_and(|summary| summary.transactions) {
                self.transactional.insert(state.topic.clone());
            }
        }
    }

    /// Takes what the bytes prove, and adds what they leave open.
    fn check(
        &mut self,
        peek: &Peek,
        state: &mut PartitionState,
        batches: &PartitionBatches,
    ) -> Result<(), KafkaError> {
        let is_transactional = self.transactional.contains(&state.topic);
        let Ok(bounds) = &mut state.bounds else {
            return Ok(());
        };
        match peek.end {
            End::First => self.check_first(peek, bounds, batches, is_transactional),
            End::Newest => {
                let found = self.message_at(peek.offset, batches)?;
                let is_message = found.message.is_some_and(|m| m.offset == peek.offset);
                let is_open = bounds.stable <= peek.offset;
                if !is_message && (!batches.is_empty() || is_open || is_transactional) {
                    self.newest.push(peek.index);
                }
                Ok(())
            }
            End::Last => Ok(()),
        }
    }

    fn check_first(
        &mut self,
        peek: &Peek,
        bounds: &mut LogBounds,
        batches: &PartitionBatches,
        is_transactional: bool,
    ) -> Result<(), KafkaError> {
        let found = self.message_at(peek.offset, batches)?;
        if found.message.is_some() {
            bounds.oldest = found.message;
            return Ok(());
        }
        let listed = bounds.oldest.map(|oldest| oldest.offset);
        let is_plain = !is_transactional && listed == Some(peek.offset);
        let list = match found.next_offset {
            None if is_plain => self.unread.entry(peek.leader).or_default(),
            _ => &mut self.first,
        };
        list.push(ForwardSearch {
            index: peek.index,
            offset: found.next_offset.unwrap_or(peek.offset),
        });
        Ok(())
    }

    /// The first message from an offset on, or where to read on.
    fn message_at(
        &mut self,
        offset: i64,
        batches: &PartitionBatches,
    ) -> Result<FirstMessage, KafkaError> {
        let mut message = None;
        let summary = batches.messages(offset, &mut self.decoder, |record| {
            message = Some(Message::new(record.offset, record.timestamp_ms));
            ControlFlow::Break(())
        });
        let unreadable = |error: BatchError| KafkaError::new(code::BAD_MESSAGE, error.to_string());
        let next_offset = summary.map_err(unreadable)?.next_offset;
        Ok(FirstMessage {
            message,
            next_offset,
        })
    }
}

struct FirstMessage {
    message: Option<Message>,
    /// None where no whole batch came.
    next_offset: Option<i64>,
}
