//! The first and the newest message of the partitions that one broker leads.
//!
//! `ListOffsets` tells both, for many partitions at once and without reading:
//! the first record with a time from 0 on, and the one with the latest time.
//! But what it tells may be a marker of a transaction, or a record of an
//! aborted one, and records without a time are passed over. So a few bytes
//! are read at both places: a marker fits into them, and a batch of messages
//! that fits is exact anyway. What is doubtful then is settled by reading.

use std::collections::HashSet;
use std::ops::ControlFlow;

use tools::kafka::KafkaError;
use tools::kafka::batch::{BatchDecoder, BatchError};
use tools::kafka::cluster::{Isolation, Metadata, Patience, Piece, Place, pieces};
use tools::kafka::error::code;
use tools::kafka::wire::Wire;

use crate::facts::{Extent, Message};
use crate::settle::{self, Backwards, Forwards};

/// A marker has 78 bytes, and more where it carries more than Kafka 4.3's.
const PEEK_BYTES: i32 = 128;
/// Up to so many partitions of a broker are read at their beginning even where nothing hints at a transaction.
const READ_ANYWAY: usize = 100;

/// A partition whose log has something between its ends.
pub(crate) struct Open<'a> {
    /// The topic's name.
    pub(crate) topic: &'a str,
    /// The partition's number.
    pub(crate) partition: i32,
    /// What is known of it; its first and newest message as `ListOffsets` tells them, if it does.
    pub(crate) extent: Extent,
    /// Why the partition can't be told after all.
    pub(crate) error: Option<KafkaError>,
}

/// The broker that leads them all, and how it is asked.
pub(crate) struct Leader<'a, 'c> {
    pub(crate) wire: &'a mut Wire<'c>,
    pub(crate) cluster: &'a Metadata,
    pub(crate) broker: i32,
    pub(crate) patience: &'a mut Patience<'c>,
}

impl Leader<'_, '_> {
    /// What lies at these places, of committed records.
    pub(crate) fn pieces(
        &mut self,
        lists: &[Vec<Place<'_>>],
    ) -> Vec<Vec<Result<Piece, KafkaError>>> {
        pieces(
            self.wire,
            self.broker,
            lists,
            Isolation::ReadCommitted,
            self.patience,
        )
    }
}

/// Which partitions are doubtful, at which end, and from where to read on.
#[derive(Default)]
struct Doubts {
    first: Vec<Forwards>,
    newest: Vec<Backwards>,
}

/// Makes sure of both ends of every partition.
pub(crate) fn make_sure(leader: &mut Leader<'_, '_>, open: &mut [Open<'_>], now_ms: i64) {
    let mut decoder = BatchDecoder::new(settle::LIMIT_BYTES as usize);
    let peeked = peek(leader, open);
    let transactional = topics_with_transactions(open, &peeked, &mut decoder);
    let mut doubts = Doubts::default();
    let mut unread = Vec::new();
    for (index, (one, peeks)) in open.iter_mut().zip(peeked).enumerate() {
        let is_transactional = transactional.contains(one.topic);
        if let Err(error) = judge(
            index,
            one,
            &peeks,
            is_transactional,
            &mut decoder,
            &mut doubts,
            &mut unread,
        ) {
            one.fail(error);
        }
    }
    if unread.len() <= READ_ANYWAY {
        doubts.first.append(&mut unread);
    }
    settle::settle_first(leader, open, &doubts.first);
    settle::settle_newest(leader, open, doubts.newest, &mut decoder);
    settle::settle_past(leader, open, now_ms, &mut decoder);
}

impl Open<'_> {
    /// Where to read in it.
    pub(crate) fn place(&self, offset: i64, limit_bytes: i32) -> Place<'_> {
        Place {
            topic: self.topic,
            partition: self.partition,
            offset,
            limit_bytes,
        }
    }

    /// Notes why it can't be told; without the permission to read, what is known without reading stays.
    pub(crate) fn fail(&mut self, error: KafkaError) {
        let both = self.extent.oldest.is_some() && self.extent.newest.is_some();
        if error.code == code::TOPIC_AUTHORIZATION_FAILED && both {
            self.extent.notes.push(
                "no permission to read: a marker of a transaction may pass for a message"
                    .to_owned(),
            );
        } else {
            self.error = Some(error);
        }
    }

    /// The newest message as the broker tells it, where it is one that the log still has.
    fn told_newest(&self) -> Option<i64> {
        let offset = self.extent.newest?.offset;
        (self.extent.log_start..self.extent.end)
            .contains(&offset)
            .then_some(offset)
    }
}

/// A batch's own trouble, as that of its partition.
pub(crate) fn unreadable(error: &BatchError) -> KafkaError {
    KafkaError::new(code::BAD_MESSAGE, error.reason())
}

/// What a few bytes tell: at the log start, at the newest message, and at the end, where that is another place.
struct Peeks {
    first: Result<Piece, KafkaError>,
    newest: Option<Result<Piece, KafkaError>>,
    last: Option<Result<Piece, KafkaError>>,
}

fn peek(leader: &mut Leader<'_, '_>, open: &[Open<'_>]) -> Vec<Peeks> {
    let newest_at = |one: &Open<'_>| one.told_newest();
    let last_at = |one: &Open<'_>| {
        let last = one.extent.end - 1;
        newest_at(one)
            .filter(|newest| *newest != last)
            .map(|_| last)
    };
    let places = |at: &dyn Fn(&Open<'_>) -> Option<i64>| -> Vec<Place<'_>> {
        let found = open.iter().filter_map(|one| Some((one, at(one)?)));
        found
            .map(|(one, offset)| one.place(offset, PEEK_BYTES))
            .collect()
    };
    let lists = [
        places(&|one| Some(one.extent.log_start)),
        places(&newest_at),
        places(&last_at),
    ];
    let answers = leader.pieces(&lists);
    let mut lists = answers.into_iter().map(Vec::into_iter);
    let mut next_list = || lists.next().unwrap_or_default();
    let (mut first, mut newest, mut last) = (next_list(), next_list(), next_list());
    let unanswered = || Err(KafkaError::of(code::TIMED_OUT));
    let peeks = open.iter().map(|one| Peeks {
        first: first.next().unwrap_or_else(unanswered),
        newest: newest_at(one).and_then(|_| newest.next()),
        last: last_at(one).and_then(|_| last.next()),
    });
    peeks.collect()
}

/// Topics of which some partition shows that transactions are written to it.
fn topics_with_transactions<'a>(
    open: &[Open<'a>],
    peeked: &[Peeks],
    decoder: &mut BatchDecoder,
) -> HashSet<&'a str> {
    let mut found = HashSet::new();
    for (one, peeks) in open.iter().zip(peeked) {
        let all = [
            Some(&peeks.first),
            peeks.newest.as_ref(),
            peeks.last.as_ref(),
        ];
        for piece in all.into_iter().flatten().flatten() {
            let met = piece.messages(0, decoder, |_| ControlFlow::Continue(()));
            let has_open = piece.last_stable < one.extent.end;
            if has_open || met.is_ok_and(|met| met.transactions) {
                found.insert(one.topic);
            }
        }
    }
    found
}

/// Takes what the bytes prove, and adds what they leave open to `doubts`, or to `unread` where nothing speaks against it.
fn judge(
    index: usize,
    one: &mut Open<'_>,
    peeks: &Peeks,
    is_transactional: bool,
    decoder: &mut BatchDecoder,
    doubts: &mut Doubts,
    unread: &mut Vec<Forwards>,
) -> Result<(), KafkaError> {
    let first = peeks.first.as_ref().map_err(Clone::clone)?;
    if first.last_stable < one.extent.end {
        one.extent.notes.push("has an open transaction".to_owned());
    }
    judge_first(index, one, first, is_transactional, decoder, doubts, unread)?;
    let Some(at) = one.told_newest() else {
        doubts.newest.push(Backwards::new(index, &one.extent));
        return Ok(());
    };
    let Some(newest) = &peeks.newest else {
        return Ok(());
    };
    let newest = newest.as_ref().map_err(Clone::clone)?;
    let mut is_message = false;
    newest
        .messages(at, decoder, |record| {
            is_message = record.offset == at;
            ControlFlow::Break(())
        })
        .map_err(|error| unreadable(&error))?;
    let is_open = newest.last_stable <= at;
    let is_doubtful = !newest.is_empty() || is_open || is_transactional;
    if !is_message && is_doubtful {
        doubts.newest.push(Backwards::new(index, &one.extent));
    }
    Ok(())
}

fn judge_first(
    index: usize,
    one: &mut Open<'_>,
    first: &Piece,
    is_transactional: bool,
    decoder: &mut BatchDecoder,
    doubts: &mut Doubts,
    unread: &mut Vec<Forwards>,
) -> Result<(), KafkaError> {
    let log_start = one.extent.log_start;
    if first.last_stable <= log_start {
        // All of it is of transactions that are still open: the record that ListOffsets tells is the first.
        return Ok(());
    }
    let mut message = None;
    let met = first
        .messages(log_start, decoder, |record| {
            message = Some(Message::new(record.offset, record.timestamp_ms));
            ControlFlow::Break(())
        })
        .map_err(|error| unreadable(&error))?;
    if message.is_some() {
        one.extent.oldest = message;
        return Ok(());
    }
    let told = one.extent.oldest.map(|oldest| oldest.offset);
    let forwards = Forwards {
        index,
        offset: met.next_offset.unwrap_or(log_start),
        until: first.last_stable,
    };
    if met.next_offset.is_none() && told == Some(log_start) && !is_transactional {
        unread.push(forwards);
    } else {
        doubts.first.push(forwards);
    }
    Ok(())
}
