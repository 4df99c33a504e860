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
use tools::kafka::batch::BatchDecoder;
use tools::kafka::cluster::{PartitionBatches, PeekPosition};
use tools::kafka::error::code;

use crate::leader::{LeaderClient, NonEmptyLog, unreadable};
use crate::partition_state::Message;
use crate::search::{self, BackwardSearch, ForwardSearch};

/// A marker has 78 bytes, and more where it carries more than Kafka 4.3's.
const PEEK_BYTES: i32 = 128;
/// Up to so many partitions of a broker are read at their beginning even where nothing hints at a transaction.
const READ_ANYWAY: usize = 100;

/// Which partitions are doubtful, at which end, and from where to read on.
#[derive(Default)]
struct Candidates {
    first: Vec<ForwardSearch>,
    newest: Vec<BackwardSearch>,
}

/// Makes sure of both ends of every partition.
pub(crate) fn verify(leader: &mut LeaderClient<'_, '_>, logs: &mut [NonEmptyLog<'_>], now_ms: i64) {
    let mut decoder = BatchDecoder::new(search::LIMIT_BYTES as usize);
    let peeked = peek_ends(leader, logs);
    let transactional = topics_with_transactions(logs, &peeked, &mut decoder);
    let mut candidates = Candidates::default();
    let mut unread = Vec::new();
    for (index, (log, peeks)) in logs.iter_mut().zip(peeked).enumerate() {
        let is_transactional = transactional.contains(log.topic);
        if let Err(error) = check_ends(
            index,
            log,
            &peeks,
            is_transactional,
            &mut decoder,
            &mut candidates,
            &mut unread,
        ) {
            log.fail(error);
        }
    }
    if unread.len() <= READ_ANYWAY {
        candidates.first.append(&mut unread);
    }
    search::find_first(leader, logs, &candidates.first);
    search::find_newest(leader, logs, candidates.newest, &mut decoder);
    search::find_past(leader, logs, now_ms, &mut decoder);
}

/// What a few bytes tell: at the log start, at the newest message, and at the end, where that is another place.
struct Peeks {
    first: Result<PartitionBatches, KafkaError>,
    newest: Option<Result<PartitionBatches, KafkaError>>,
    last: Option<Result<PartitionBatches, KafkaError>>,
}

fn peek_ends(leader: &mut LeaderClient<'_, '_>, logs: &[NonEmptyLog<'_>]) -> Vec<Peeks> {
    let newest_at = |log: &NonEmptyLog<'_>| log.listed_newest();
    let last_at = |log: &NonEmptyLog<'_>| {
        let last = log.bounds.end - 1;
        newest_at(log)
            .filter(|newest| *newest != last)
            .map(|_| last)
    };
    let places = |at: &dyn Fn(&NonEmptyLog<'_>) -> Option<i64>| -> Vec<PeekPosition<'_>> {
        let found = logs.iter().filter_map(|log| Some((log, at(log)?)));
        found
            .map(|(log, offset)| log.place(offset, PEEK_BYTES))
            .collect()
    };
    let lists = [
        places(&|log| Some(log.bounds.log_start)),
        places(&newest_at),
        places(&last_at),
    ];
    let answers = leader.peek(&lists);
    let mut lists = answers.into_iter().map(Vec::into_iter);
    let mut next_list = || lists.next().unwrap_or_default();
    let (mut first, mut newest, mut last) = (next_list(), next_list(), next_list());
    let unanswered = || Err(KafkaError::of(code::TIMED_OUT));
    let peeks = logs.iter().map(|log| Peeks {
        first: first.next().unwrap_or_else(unanswered),
        newest: newest_at(log).and_then(|_| newest.next()),
        last: last_at(log).and_then(|_| last.next()),
    });
    peeks.collect()
}

/// Topics of which some partition shows that transactions are written to it.
fn topics_with_transactions<'a>(
    logs: &[NonEmptyLog<'a>],
    peeked: &[Peeks],
    decoder: &mut BatchDecoder,
) -> HashSet<&'a str> {
    let mut found = HashSet::new();
    for (log, peeks) in logs.iter().zip(peeked) {
        let all = [
            Some(&peeks.first),
            peeks.newest.as_ref(),
            peeks.last.as_ref(),
        ];
        for batches in all.into_iter().flatten().flatten() {
            let summary = batches.messages(0, decoder, |_| ControlFlow::Continue(()));
            let has_open = batches.last_stable < log.bounds.end;
            if has_open || summary.is_ok_and(|summary| summary.transactions) {
                found.insert(log.topic);
            }
        }
    }
    found
}

/// Takes what the bytes prove, and adds what they leave open to `candidates`, or to `unread` where nothing speaks against it.
fn check_ends(
    index: usize,
    log: &mut NonEmptyLog<'_>,
    peeks: &Peeks,
    is_transactional: bool,
    decoder: &mut BatchDecoder,
    candidates: &mut Candidates,
    unread: &mut Vec<ForwardSearch>,
) -> Result<(), KafkaError> {
    let first = peeks.first.as_ref().map_err(Clone::clone)?;
    if first.last_stable < log.bounds.end {
        log.bounds.notes.push("has an open transaction".to_owned());
    }
    check_first(
        index,
        log,
        first,
        is_transactional,
        decoder,
        candidates,
        unread,
    )?;
    let Some(at) = log.listed_newest() else {
        candidates
            .newest
            .push(BackwardSearch::new(index, &log.bounds));
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
    let is_uncertain = !newest.is_empty() || is_open || is_transactional;
    if !is_message && is_uncertain {
        candidates
            .newest
            .push(BackwardSearch::new(index, &log.bounds));
    }
    Ok(())
}

fn check_first(
    index: usize,
    log: &mut NonEmptyLog<'_>,
    first: &PartitionBatches,
    is_transactional: bool,
    decoder: &mut BatchDecoder,
    candidates: &mut Candidates,
    unread: &mut Vec<ForwardSearch>,
) -> Result<(), KafkaError> {
    let log_start = log.bounds.log_start;
    if first.last_stable <= log_start {
        // All of it is of transactions that are still open: the record that ListOffsets tells is the first.
        return Ok(());
    }
    let mut message = None;
    let summary = first
        .messages(log_start, decoder, |record| {
            message = Some(Message::new(record.offset, record.timestamp_ms));
            ControlFlow::Break(())
        })
        .map_err(|error| unreadable(&error))?;
    if message.is_some() {
        log.bounds.oldest = message;
        return Ok(());
    }
    let told = log.bounds.oldest.map(|oldest| oldest.offset);
    let search = ForwardSearch {
        index,
        offset: summary.next_offset.unwrap_or(log_start),
        until: first.last_stable,
    };
    if summary.next_offset.is_none() && told == Some(log_start) && !is_transactional {
        unread.push(search);
    } else {
        candidates.first.push(search);
    }
    Ok(())
}
