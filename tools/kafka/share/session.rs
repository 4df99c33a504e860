//! The share session with one broker (KIP-932): which request is next, and what its response means. Pure.
//!
//! The broker counts the requests of a session, so one is in flight at a time. Acknowledgements go with the next fetch,
//! or alone if nothing is to be fetched.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::request::{AckRange, Acks, PartitionId};
use super::response::{PartitionResponse, ShareResponse};
use crate::kafka::error::{KafkaError, code};

/// The pause after a request that failed.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);
/// How long a broker waits at most for those that are asked first.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The next request of a session; the caller adds who it is from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionRequest {
    pub(super) epoch: i32,
    /// The most records to fetch; 0 acknowledges only.
    pub(super) records: usize,
    /// Partitions with acknowledgements, and those to add to the session.
    pub(super) partitions: Acks,
    /// Partitions to remove from the session.
    pub(super) forgotten: Vec<PartitionId>,
}

/// What a response says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SessionOutcome {
    pub(super) fetched: Vec<PartitionResponse>,
    /// How long what was fetched is locked.
    pub(super) lock_timeout_ms: i32,
    /// Acknowledgements that the broker refused: their records are delivered again.
    pub(super) refused: Vec<(PartitionId, AckRange, KafkaError)>,
    /// Whether a leader has changed.
    pub(super) wants_metadata: bool,
    /// An error that no retry mends, and the partition that has it, where not all have.
    pub(super) fatal: Option<(Option<PartitionId>, KafkaError)>,
}

/// A request in flight.
#[derive(Debug)]
struct InFlight {
    acks: Acks,
    /// The records that it asks for.
    records: usize,
    /// The partitions of the session after it.
    known: BTreeSet<PartitionId>,
}

#[derive(Debug, Default)]
pub(super) struct ShareSession {
    /// Of the next request; 0 opens the session.
    epoch: i32,
    /// The assigned partitions that this broker leads.
    partitions: BTreeSet<PartitionId>,
    /// The partitions that the broker has in its session.
    known: BTreeSet<PartitionId>,
    /// Acknowledgements to send.
    pending: Acks,
    /// Partitions whose acknowledgements are sent one by one, because the broker takes all of a request or none.
    one_by_one: BTreeSet<PartitionId>,
    in_flight: Option<InFlight>,
    retry_at: Option<Instant>,
    /// Whether the last fetch brought nothing.
    was_empty: bool,
    /// When it was sent, or failed.
    fetched_at: Option<Instant>,
}

impl ShareSession {
    pub(super) fn set_partitions(&mut self, partitions: BTreeSet<PartitionId>) {
        self.partitions = partitions;
    }

    pub(super) fn acknowledge(&mut self, id: PartitionId, range: AckRange) {
        self.pending.entry(id).or_default().push(range);
    }

    /// Whether the broker has this session, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.epoch > 0
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    pub(super) fn has_pending_acks(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The records that the request in flight asks for.
    pub(super) fn requested_records(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |sent| sent.records)
    }

    /// Whether a fetch could be sent now.
    pub(super) fn can_fetch(&self, now: Instant) -> bool {
        self.in_flight.is_none() && self.is_due(now) && !self.partitions.is_empty()
    }

    /// Sessions are asked in this order where there are not enough records to ask for.
    ///
    /// First those that were not asked for long: a broker that always has some must not keep the records of another one
    /// back. Then those that had records, the last one first, whose acknowledgements go with the fetch.
    pub(super) fn turn(&self, now: Instant) -> (u8, Duration) {
        let age = |at| now.saturating_duration_since(at);
        let age = self.fetched_at.map_or(Duration::MAX, age);
        let longest_first = Duration::MAX.saturating_sub(age);
        if age >= LONGEST_PAUSE {
            (0, longest_first)
        } else if self.was_empty {
            (2, longest_first)
        } else {
            (1, age)
        }
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| now >= at)
    }

    /// The next request, for at most `records` records; none while one is in flight or nothing is to be done.
    pub(super) fn next_request(&mut self, records: usize, now: Instant) -> Option<SessionRequest> {
        if self.in_flight.is_some() || !self.is_due(now) {
            return None;
        }
        let fetches = records > 0 && !self.partitions.is_empty();
        // A session is opened by a fetch, and without acknowledgements.
        let acks = if self.epoch == 0 {
            Acks::new()
        } else {
            self.take_acks()
        };
        if !fetches && acks.is_empty() {
            return None;
        }
        self.retry_at = None;
        let mut request = SessionRequest {
            epoch: self.epoch,
            partitions: acks.clone(),
            ..SessionRequest::default()
        };
        let mut known = self.known.clone();
        if fetches {
            request.records = records;
            self.fetched_at = Some(now);
            for &id in self.partitions.difference(&known) {
                request.partitions.entry(id).or_default();
            }
            request.forgotten = known.difference(&self.partitions).copied().collect();
            known.clone_from(&self.partitions);
        }
        self.in_flight = Some(InFlight {
            acks,
            records: request.records,
            known,
        });
        Some(request)
    }

    /// The last request: what is not acknowledged in it is released. None if there is no session.
    pub(super) fn close(&mut self) -> Option<SessionRequest> {
        if self.epoch == 0 || self.in_flight.is_some() {
            return None;
        }
        let acks = self.take_acks();
        self.in_flight = Some(InFlight {
            acks: acks.clone(),
            records: 0,
            known: BTreeSet::new(),
        });
        Some(SessionRequest {
            epoch: -1,
            partitions: acks,
            ..SessionRequest::default()
        })
    }

    fn take_acks(&mut self) -> Acks {
        let mut taken = Acks::new();
        for (id, ranges) in std::mem::take(&mut self.pending) {
            let mut ranges = in_order(ranges);
            if self.one_by_one.contains(&id) {
                let later = ranges.split_off(1);
                if later.is_empty() {
                    self.one_by_one.remove(&id);
                } else {
                    self.pending.insert(id, later);
                }
            }
            taken.insert(id, join_neighbours(ranges));
        }
        taken
    }

    pub(super) fn handle_response(
        &mut self,
        result: Result<ShareResponse, KafkaError>,
        now: Instant,
    ) -> SessionOutcome {
        let Some(sent) = self.in_flight.take() else {
            return SessionOutcome::default();
        };
        let response = match result {
            Ok(ShareResponse {
                error: Some(error), ..
            })
            | Err(error) => return self.fail(sent, error, now),
            Ok(response) => response,
        };
        self.known = sent.known;
        // As ShareRequestMetadata.java counts.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        let mut outcome = SessionOutcome {
            lock_timeout_ms: response.lock_timeout_ms,
            ..SessionOutcome::default()
        };
        let mut errors = Vec::new();
        for partition in response.partitions {
            if let Some(error) = &partition.ack_error {
                errors.push((partition.id, error.clone()));
            }
            match &partition.error {
                None if partition.acquired.is_empty() => {}
                None => outcome.fetched.push(partition),
                Some(error) => self.note_fetch_error(partition.id, error, &mut outcome, now),
            }
        }
        if sent.records > 0 {
            self.was_empty = outcome.fetched.is_empty();
        }
        self.refuse(sent.acks, errors, &mut outcome);
        outcome
    }

    fn note_fetch_error(
        &mut self,
        id: PartitionId,
        error: &KafkaError,
        outcome: &mut SessionOutcome,
        now: Instant,
    ) {
        match error.code {
            code::TOPIC_AUTHORIZATION_FAILED
            | code::GROUP_AUTHORIZATION_FAILED
            | code::CORRUPT_MESSAGE => {
                let fatal = || (Some(id), error.clone());
                outcome.fatal.get_or_insert_with(fatal);
            }
            // The leader has moved, or the topic was deleted.
            _ => {
                outcome.wants_metadata = true;
                self.retry_at = Some(now + RETRY_BACKOFF);
            }
        }
    }

    /// The acknowledgements of partitions that have an error.
    fn refuse(
        &mut self,
        mut acks: Acks,
        errors: Vec<(PartitionId, KafkaError)>,
        outcome: &mut SessionOutcome,
    ) {
        for (id, error) in errors {
            // None was sent: the broker is wrong about that.
            let Some(ranges) = acks.remove(&id) else {
                continue;
            };
            let is_one = matches!(&ranges[..], [range] if range.first == range.last);
            if error.code == code::INVALID_RECORD_STATE && !is_one {
                // One lock is gone, and the broker has refused the others with it.
                self.put_back([(id, split(ranges))]);
                self.one_by_one.insert(id);
                continue;
            }
            outcome.wants_metadata |= error.code != code::INVALID_RECORD_STATE;
            let refused = ranges.into_iter().map(|range| (id, range, error.clone()));
            outcome.refused.extend(refused);
        }
    }

    /// The whole request failed: opens another session, and sends its acknowledgements there.
    ///
    /// A broker that lost the connection has released the locks, and refuses them then.
    fn fail(&mut self, sent: InFlight, error: KafkaError, now: Instant) -> SessionOutcome {
        let mut outcome = SessionOutcome::default();
        self.epoch = 0;
        self.known.clear();
        self.was_empty = true;
        self.fetched_at = Some(now);
        self.put_back(sent.acks);
        self.retry_at = Some(now + RETRY_BACKOFF);
        outcome.wants_metadata = true;
        if matches!(
            error.code,
            code::GROUP_AUTHORIZATION_FAILED
                | code::TOPIC_AUTHORIZATION_FAILED
                | code::UNSUPPORTED_FEATURE
                | code::UNSUPPORTED_VERSION
                | code::INVALID_REQUEST
        ) {
            outcome.fatal = Some((None, error));
        }
        outcome
    }

    /// The acknowledgements to a broker whose session is lost, and which leads nothing that would open another.
    pub(super) fn take_stranded(&mut self) -> Vec<(PartitionId, AckRange)> {
        if self.epoch == 0 && self.in_flight.is_none() && self.partitions.is_empty() {
            self.take_unanswered()
        } else {
            Vec::new()
        }
    }

    /// The acknowledgements that no response has confirmed.
    pub(super) fn take_unanswered(&mut self) -> Vec<(PartitionId, AckRange)> {
        let sent = self.in_flight.take().map(|sent| sent.acks);
        let all = [sent.unwrap_or_default(), std::mem::take(&mut self.pending)];
        let all = all.into_iter().flatten();
        all.flat_map(|(id, ranges)| ranges.into_iter().map(move |range| (id, range)))
            .collect()
    }

    fn put_back(&mut self, acks: impl IntoIterator<Item = (PartitionId, Vec<AckRange>)>) {
        for (id, mut ranges) in acks {
            let pending = self.pending.entry(id).or_default();
            ranges.append(pending);
            *pending = ranges;
        }
    }
}

/// By offset, as the broker demands; of two acknowledgements of an offset the later one.
fn in_order(mut ranges: Vec<AckRange>) -> Vec<AckRange> {
    ranges.sort_by_key(|range| range.first);
    let mut ordered: Vec<AckRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match ordered.last_mut() {
            Some(last) if last.first == range.first => *last = range,
            _ => ordered.push(range),
        }
    }
    ordered
}

/// Neighbours with the same acknowledgement as one range.
fn join_neighbours(ordered: Vec<AckRange>) -> Vec<AckRange> {
    let mut joined: Vec<AckRange> = Vec::new();
    for range in ordered {
        match joined.last_mut() {
            Some(last) if last.kind == range.kind && last.last + 1 == range.first => {
                last.last = range.last;
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// A range for each offset.
fn split(ranges: Vec<AckRange>) -> Vec<AckRange> {
    let offsets = ranges.into_iter().flat_map(|range| {
        (range.first..=range.last).map(move |offset| AckRange {
            first: offset,
            last: offset,
            ..range
        })
    });
    offsets.collect()
}
