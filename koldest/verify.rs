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
use tools::kafka::admin::{PartitionBatches, PeekPosition};
use tools::kafka::batch::BatchDecoder;
use tools::kafka::error::code;

use crate::leader::{LeaderClient, NonEmptyLog, unreadable};
use crate::partition_state::Message;
use crate::search::{self, BackwardSearch, ForwardSearch};

/// A marker has 78 bytes, and more where it carries more than Kafka 4.3's.
const PEEK_BYTES: i32 = 128;
/// Up to so many partitions of a broker are read at their beginning even where nothing hints at a transaction.
const READ_ANYWAY: usize = 100;

/// The ends of logs that are uncertain, and from where to read on.
struct Verifier<'a> {
    decoder: BatchDecoder,
    /// Topics of which some partition shows that transactions are written to it.
    transactional: HashSet<&'a str>,
    first: Vec<ForwardSearch>,
    newest: Vec<BackwardSearch>,
    /// Beginnings of which nothing says that they are not what they seem.
    unread: Vec<ForwardSearch>,
}

/// Makes sure of both ends of every partition.
pub(crate) fn verify(leader: &mut LeaderClient<'_, '_>, logs: &mut [NonEmptyLog<'_>], now_ms: i64) {
    let peeked = peek_ends(leader, logs);
    let mut verifier = Verifier {
        decoder: BatchDecoder::new(search::LIMIT_BYTES as usize),
        transactional: HashSet::new(),
        first: Vec::new(),
        newest: Vec::new(),
        unread: Vec::new(),
    };
    verifier.find_transactions(logs, &peeked);
    for (index, (log, peeks)) in logs.iter_mut().zip(peeked).enumerate() {
        if let Err(error) = verifier.check_ends(index, log, &peeks) {
            log.fail(error);
        }
    }
    if verifier.unread.len() <= READ_ANYWAY {
        verifier.first.append(&mut verifier.unread);
    }
    search::find_first(leader, logs, &verifier.first);
    search::find_newest(leader, logs, verifier.newest, &mut verifier.decoder);
    search::find_past(leader, logs, now_ms, &mut verifier.decoder);
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

impl<'a> Verifier<'a> {
    fn find_transactions(&mut self, logs: &[NonEmptyLog<'a>], peeked: &[Peeks]) {
        for (log, peeks) in logs.iter().zip(peeked) {
            let (newest, last) = (peeks.newest.as_ref(), peeks.last.as_ref());
            let all = [Some(&peeks.first), newest, last];
            for batches in all.into_iter().flatten().flatten() {
                let summary = batches.messages(0, &mut self.decoder, |_| ControlFlow::Continue(()));
                let has_open = batches.last_stable < log.bounds.end;
                if has_open || summary.is_ok_and(|summary| summary.transactions) {
                    self.transactional.insert(log.topic);
                }
            }
        }
    }

    /// Takes what the bytes prove, and adds what they leave open.
    fn check_ends(
        &mut self,
        index: usize,
        log: &mut NonEmptyLog<'_>,
        peeks: &Peeks,
    ) -> Result<(), KafkaError> {
        let first = peeks.first.as_ref().map_err(Clone::clone)?;
        if first.last_stable < log.bounds.end {
            log.bounds.notes.push("has an open transaction".to_owned());
        }
        self.check_first(index, log, first)?;
        let Some(at) = log.listed_newest() else {
            self.newest.push(BackwardSearch::new(index, &log.bounds));
            return Ok(());
        };
        let Some(newest) = &peeks.newest else {
            return Ok(());
        };
        let newest = newest.as_ref().map_err(Clone::clone)?;
        let mut is_message = false;
        newest
            .messages(at, &mut self.decoder, |record| {
                is_message = record.offset == at;
                ControlFlow::Break(())
            })
            .map_err(|error| unreadable(&error))?;
        let is_open = newest.last_stable <= at;
        let is_uncertain = !newest.is_empty() || is_open || self.transactional.contains(log.topic);
        if !is_message && is_uncertain {
            self.newest.push(BackwardSearch::new(index, &log.bounds));
        }
        Ok(())
    }

    fn check_first(
        &mut self,
        index: usize,
        log: &mut NonEmptyLog<'_>,
        first: &PartitionBatches,
    ) -> Result<(), KafkaError> {
        let log_start = log.bounds.log_start;
        if first.last_stable <= log_start {
            // All of it is of transactions that are still open: the record that ListOffsets tells is the first.
            return Ok(());
        }
        let mut message = None;
        let summary = first
            .messages(log_start, &mut self.decoder, |record| {
                message = Some(Message::new(record.offset, record.timestamp_ms));
                ControlFlow::Break(())
            })
            .map_err(|error| unreadable(&error))?;
        if message.is_some() {
            log.bounds.oldest = message;
            return Ok(());
        }
        let listed = log.bounds.oldest.map(|oldest| oldest.offset);
        let is_plain = !self.transactional.contains(log.topic);
        let list = if summary.next_offset.is_none() && listed == Some(log_start) && is_plain {
            &mut self.unread
        } else {
            &mut self.first
        };
        list.push(ForwardSearch {
            index,
            offset: summary.next_offset.unwrap_or(log_start),
            until: first.last_stable,
        });
        Ok(())
    }
}
