//! Where reading stands: positions, whom to ask for what next, and what an answer means. Pure: it is told the time.
//!
//! A partition is asked for by one request at a time, so that its records come
//! in order; a broker has one request under way, so that memory is bounded. The
//! position moves as soon as an answer's batches are counted, before a record
//! is handed out: the next request is on its way while the last answer is read.

mod leaders;
mod lost;
mod partition;
mod silence;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::answer::{Answer, Row, TopicRef};
use super::settings::Settings;
use crate::kafka::cluster::Isolation;
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code};
use leaders::Refresh;
pub(super) use lost::Log;
pub(super) use partition::{AskRow, Damage, Stretch};
use partition::{Checks, Partition, Position};

/// The most bytes that all leaders together may send at once, where the user says nothing else.
const BUDGET_BYTES: i32 = 8 * 1024 * 1024;
/// The least that one leader is asked for.
const LEAST_BYTES: i32 = 1024 * 1024;
/// The longest that a broker is left alone because it says so; Kafka's own quotas ask for some seconds at most.
const LONGEST_THROTTLE: Duration = Duration::from_secs(30);
/// A throttle so long is reported.
const TOLD_THROTTLE: Duration = Duration::from_secs(2);
/// For how long a replica is not asked after it failed.
const AVOIDED_FOR: Duration = Duration::from_secs(60);

/// A topic that is read.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    /// Tells it from another of the same name; nil where the brokers don't say.
    pub(super) id: uuid::Uuid,
    missing_since: Option<Instant>,
}

/// A broker that is asked.
#[derive(Debug, Default)]
struct Broker {
    request: Option<(u64, Instant)>,
    hold_until: Option<Instant>,
    failures: u32,
    /// Its answers could not be used, and that was reported.
    is_failure_said: bool,
    is_throttle_said: bool,
}

/// A request to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) broker: i32,
    pub(super) request: u64,
    pub(super) max_bytes: i32,
    /// Whether the leader is to answer itself, not to recommend a replica that failed.
    pub(super) wants_leader: bool,
    /// Whether the broker is asked in the leader's place for some partition.
    pub(super) is_replica: bool,
    pub(super) rows: Vec<AskRow>,
}

/// What an answer holds of one partition, to be handed out.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) partition: usize,
    /// Records before this offset were not asked for.
    pub(super) from: i64,
    /// Where in the answer its next batches are.
    pub(super) stretch: Stretch,
    /// What follows, each behind a damaged batch.
    pub(super) later: VecDeque<Stretch>,
    /// Aborted transactions, by their first offset.
    pub(super) aborted: Vec<(i64, i64)>,
    /// Whether there is nothing more for now, and that was not told yet.
    pub(super) is_end: bool,
}

impl Piece {
    /// Takes off the damaged batch behind the records, and goes on behind it.
    pub(super) fn take_damage(&mut self) -> Option<Damage> {
        let damage = self.stretch.damage.take()?;
        if let Some(stretch) = self.later.pop_front() {
            self.from = self.from.max(self.stretch.next);
            self.stretch = stretch;
        }
        Some(damage)
    }
}

/// What is read, and how far it is.
pub(super) struct Machine {
    settings: Settings,
    pub(super) topics: Vec<Topic>,
    pub(super) partitions: Vec<Partition>,
    places: HashMap<(usize, i32), usize>,
    brokers: HashMap<i32, Broker>,
    /// The order in which partitions are asked for: what has sent something goes behind the others.
    order: Vec<usize>,
    next_request: u64,
    /// Whether partitions that come into being are read too.
    takes_new: bool,
    /// Whether one partition is asked for at a time, because an answer was larger than what is received.
    is_narrowed: bool,
    refresh: Refresh,
    /// What the user is to be told.
    errors: Vec<ConsumeError>,
}

impl Machine {
    pub(super) fn new(settings: Settings, takes_new: bool, now: Instant) -> Machine {
        let regularly_at = settings.refresh_interval.map(|interval| now + interval);
        Machine {
            settings,
            topics: Vec::new(),
            partitions: Vec::new(),
            places: HashMap::new(),
            brokers: HashMap::new(),
            order: Vec::new(),
            next_request: 0,
            takes_new,
            is_narrowed: false,
            refresh: Refresh {
                regularly_at,
                ..Refresh::default()
            },
            errors: Vec::new(),
        }
    }

    /// Adds a topic; its partitions follow.
    pub(super) fn add_topic(&mut self, name: &str) -> usize {
        self.topics.push(Topic {
            name: name.to_owned(),
            id: uuid::Uuid::nil(),
            missing_since: None,
        });
        self.topics.len() - 1
    }

    /// Adds a partition; without a start it is read as the policy for an offset that is not there says.
    pub(super) fn add(
        &mut self,
        topic: usize,
        id: i32,
        start: Option<i64>,
        end: Option<i64>,
    ) -> usize {
        let position = match start {
            Some(offset) => Position::At { offset, epoch: -1 },
            None => Position::Unknown(self.settings.start, None),
        };
        self.add_at(topic, id, position, end)
    }

    /// Adds a partition that may have no record at `start`; the brokers are asked.
    pub(super) fn add_lost(&mut self, topic: usize, id: i32, start: i64, end: Option<i64>) {
        let position = Position::Unknown(self.settings.reset, Some(start));
        self.add_at(topic, id, position, end);
    }

    fn add_at(&mut self, topic: usize, id: i32, position: Position, end: Option<i64>) -> usize {
        let index = self.partitions.len();
        self.places.insert((topic, id), index);
        self.order.push(index);
        self.partitions.push(Partition {
            topic,
            id,
            position,
            end,
            leader: None,
            leader_epoch: -1,
            replica: None,
            max_bytes: self.settings.partition_max_bytes,
            asked: None,
            hold_until: None,
            failures: 0,
            told_end: None,
            avoided: None,
            asked_more_at: None,
            was_cut: false,
            older_since: None,
            silent_since: None,
            is_silence_said: false,
            is_over: false,
        });
        index
    }

    /// Topic and number of a partition.
    pub(super) fn place(&self, partition: usize) -> (&str, i32) {
        let partition = &self.partitions[partition];
        (&self.topics[partition.topic].name, partition.id)
    }

    /// A partition is not read any more: all was handed out, or it can't be.
    pub(super) fn finish(&mut self, partition: usize) {
        self.partitions[partition].is_over = true;
    }

    /// Whether a partition was finished.
    pub(super) fn is_over(&self, partition: usize) -> bool {
        self.partitions[partition].is_over
    }

    /// Whether nothing is left to read, and nothing to be told.
    pub(super) fn is_done(&self) -> bool {
        self.errors.is_empty() && self.partitions.iter().all(|partition| partition.is_over)
    }

    /// Whether every partition was read to its end at least once.
    pub(super) fn was_at_ends(&self) -> bool {
        let mut partitions = self.partitions.iter();
        partitions.all(|partition| partition.is_over || partition.told_end.is_some())
    }

    /// What the user is to be told next.
    pub(super) fn next_error(&mut self) -> Option<ConsumeError> {
        (!self.errors.is_empty()).then(|| self.errors.remove(0))
    }

    /// The requests to be sent now, at most one for each broker.
    pub(super) fn asks(&mut self, now: Instant) -> Vec<Ask> {
        let mut rows: Vec<(i32, Vec<AskRow>)> = Vec::new();
        for &index in &self.order {
            let partition = &mut self.partitions[index];
            let Some((broker, row)) = partition.ask(index, now) else {
                continue;
            };
            if !self.brokers.entry(broker).or_default().can_be_asked(now) {
                continue;
            }
            match rows.iter_mut().find(|(asked, _)| *asked == broker) {
                // One partition at a time shows whose answer is too large.
                Some(_) if self.is_narrowed => {}
                Some((_, rows)) => rows.push(row),
                None => rows.push((broker, vec![row])),
            }
        }
        let max_bytes = self.max_bytes();
        let asks = rows.into_iter().map(|(broker, rows)| {
            let request = self.next_request;
            self.next_request += 1;
            for row in &rows {
                self.partitions[row.partition].asked = Some(request);
            }
            self.brokers.entry(broker).or_default().request = Some((request, now));
            let asked = || rows.iter().map(|row| &self.partitions[row.partition]);
            Ask {
                broker,
                request,
                max_bytes: if self.is_narrowed {
                    rows[0].max_bytes
                } else {
                    max_bytes
                },
                wants_leader: asked().any(|p| p.avoided.is_some()),
                is_replica: asked().any(|p| p.replica.is_some()),
                rows,
            }
        });
        asks.collect()
    }

    /// The memory that answers may take is shared by the leaders.
    fn max_bytes(&self) -> i32 {
        let share = || {
            let brokers = i32::try_from(self.brokers.len().max(1)).unwrap_or(i32::MAX);
            (BUDGET_BYTES / brokers).max(LEAST_BYTES)
        };
        self.settings.max_bytes.unwrap_or_else(share)
    }

    /// Takes in what a broker sent for a request; gives what is to be handed out, in order.
    pub(super) fn answered(
        &mut self,
        broker: i32,
        request: u64,
        body: &[u8],
        answer: &mut Answer<'_>,
        now: Instant,
    ) -> Vec<Piece> {
        // Where partitions have errors of their own, those say more.
        if answer.error != 0 && answer.rows.is_empty() {
            let error = KafkaError::of(answer.error.into());
            self.failed(broker, request, &error, now);
            return Vec::new();
        }
        self.broker_answered(broker, request, answer.throttle_ms, now);
        let mut pieces = Vec::new();
        // The rows of a topic follow each other.
        let mut topic = 0;
        for row in &mut answer.rows {
            let is_named = |t: &Topic| match row.topic {
                TopicRef::Name(name) => t.name == name,
                TopicRef::Id(id) => *t.id.as_bytes() == id,
            };
            if !self.topics.get(topic).is_some_and(is_named) {
                let Some(found) = self.topics.iter().position(is_named) else {
                    continue;
                };
                topic = found;
            }
            let Some(&index) = self.places.get(&(topic, row.partition)) else {
                continue;
            };
            // A late answer, after somebody else was asked, says nothing.
            if self.partitions[index].asked != Some(request) {
                continue;
            }
            self.partitions[index].asked = None;
            pieces.extend(self.take_row(index, broker, body, row, now));
        }
        // What was asked for and is not in the answer is asked for again.
        self.release_partitions(request);
        self.put_behind(&pieces);
        pieces
    }

    fn release_partitions(&mut self, request: u64) {
        for partition in &mut self.partitions {
            if partition.asked == Some(request) {
                partition.asked = None;
            }
        }
    }

    /// A broker fills an answer in the order of the request: those that had their turn go behind the others.
    fn put_behind(&mut self, pieces: &[Piece]) {
        if pieces.is_empty() || self.order.len() == pieces.len() {
            return;
        }
        let mut had_turn = vec![false; self.partitions.len()];
        for piece in pieces {
            had_turn[piece.partition] = true;
        }
        let order = std::mem::take(&mut self.order);
        let (behind, front): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|&index| had_turn[index]);
        self.order = front;
        self.order.extend(behind);
    }

    fn take_row(
        &mut self,
        index: usize,
        broker: i32,
        body: &[u8],
        row: &mut Row<'_>,
        now: Instant,
    ) -> Option<Piece> {
        if row.error != 0 {
            self.row_failed(index, broker, row.error.into(), now);
            return None;
        }
        self.heard(index);
        let partition = &mut self.partitions[index];
        partition.failures = 0;
        if partition.is_over {
            return None;
        }
        let avoided = partition.avoided.map(|(id, _)| id);
        let other = |replica: &i32| *replica != broker && Some(*replica) != avoided;
        if let Some(replica) = row.preferred_replica.filter(other) {
            partition.replica = Some((replica, now + self.settings.replica_lease));
        }
        if let Some((epoch, offset)) = row.diverging {
            self.cut_back(index, epoch, offset);
            return None;
        }
        let Position::At { offset: from, .. } = partition.position else {
            return None;
        };
        let checks = Checks {
            crcs: self.settings.checks_crcs,
            most_bytes: self.settings.receive_max_bytes,
        };
        let mut stretches = partition.go_on(body, row.records.clone(), row.high_watermark, checks);
        let stable = match self.settings.isolation {
            Isolation::ReadCommitted if row.last_stable_offset >= 0 => row.last_stable_offset,
            _ => row.high_watermark,
        };
        if partition.was_cut && stable >= 0 {
            // What the bound was noted for is not there any more.
            partition.end = partition.end.map(|end| end.min(stable));
        }
        let first = stretches.pop_front()?;
        let next = stretches.back().map_or(first.next, |last| last.next);
        let is_end = stable >= 0 && next >= stable && partition.told_end != Some(next);
        if is_end {
            partition.told_end = Some(next);
        }
        row.aborted.sort_unstable_by_key(|&(_, first)| first);
        let has_more = !first.records.is_empty() || first.damage.is_some();
        (is_end || has_more).then(|| Piece {
            partition: index,
            from,
            stretch: first,
            later: stretches,
            aborted: std::mem::take(&mut row.aborted),
            is_end,
        })
    }

    /// A broker sent an answer that can be used.
    fn broker_answered(&mut self, broker: i32, request: u64, throttle_ms: i32, now: Instant) {
        let state = self.brokers.entry(broker).or_default();
        state.release(request);
        state.failures = 0;
        state.is_failure_said = false;
        let throttle = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or(0));
        if throttle.is_zero() {
            state.is_throttle_said = false;
            return;
        }
        let held = throttle.min(LONGEST_THROTTLE);
        state.hold_until = Some(now + held);
        if throttle >= TOLD_THROTTLE && !std::mem::replace(&mut state.is_throttle_said, true) {
            log::warn!(
                "broker {broker} throttles this client for {} s (a quota of the cluster); it is asked again in {} s",
                throttle.as_secs(),
                held.as_secs()
            );
        }
    }

    /// A request came to nothing.
    pub(super) fn failed(&mut self, broker: i32, request: u64, error: &KafkaError, now: Instant) {
        let asked: Vec<usize> = self.asked_with(request).collect();
        self.release_partitions(request);
        let state = self.brokers.entry(broker).or_default();
        state.release(request);
        state.failures += 1;
        state.hold_until = Some(now + self.settings.backoff_after(state.failures));
        self.refresh.is_wanted = true;
        self.leave_replicas(broker, error, now);
        if error.code == code::TOO_LARGE_ANSWER {
            match asked[..] {
                [one] => self.is_too_large(one),
                _ => self.is_narrowed = true,
            }
        } else if error.code == code::BAD_MESSAGE {
            // Asked again; said once, until an answer can be used.
            let state = self.brokers.entry(broker).or_default();
            if !std::mem::replace(&mut state.is_failure_said, true) {
                self.errors.push(ConsumeError::Failed(error.clone()));
            }
        } else if !is_passing(error.code) {
            self.errors.push(ConsumeError::Failed(error.clone()));
        }
    }

    fn asked_with(&self, request: u64) -> impl Iterator<Item = usize> {
        let partitions = self.partitions.iter().enumerate();
        partitions.filter_map(move |(index, p)| (p.asked == Some(request)).then_some(index))
    }

    /// The partitions that were read from `broker` in the leader's place go back to the leader.
    fn leave_replicas(&mut self, broker: i32, error: &KafkaError, now: Instant) {
        let mut is_left = false;
        for partition in &mut self.partitions {
            if partition.leave_replica(broker) {
                partition.avoided = Some((broker, now + AVOIDED_FOR));
                is_left = true;
            }
        }
        if is_left {
            log::warn!("reading from the leaders instead of the replica in client.rack: {error}");
        }
    }

    /// One partition alone brought more than is received.
    fn is_too_large(&mut self, index: usize) {
        let limit = self.settings.receive_max_bytes;
        let offset = match self.partitions[index].position {
            Position::At { offset, .. } => offset.to_string(),
            Position::Unknown(..) => "?".to_owned(),
        };
        let reason = format!(
            "the record batch at offset {offset} is larger than receive.message.max.bytes={limit}; raise it with -X receive.message.max.bytes=BYTES"
        );
        self.is_narrowed = false;
        self.give_up(index, KafkaError::new(code::TOO_LARGE_ANSWER, reason));
    }

    /// A partition's row of an answer is an error.
    fn row_failed(&mut self, index: usize, broker: i32, error: i32, now: Instant) {
        let partition = &mut self.partitions[index];
        let was_replica = partition.leave_replica(broker);
        partition.failures += 1;
        let backoff = self.settings.backoff_after(partition.failures);
        match error {
            // A follower may be behind, or have deleted more: only the leader knows.
            code::OFFSET_OUT_OF_RANGE if was_replica => {}
            code::OFFSET_OUT_OF_RANGE => {
                if let Position::At { offset, .. } = partition.position {
                    partition.position = Position::Unknown(self.settings.reset, Some(offset));
                    // A broker may say so although the offset is there.
                    if partition.failures > 1 {
                        partition.hold_until = Some(now + backoff);
                    }
                }
            }
            error if is_passing(error) => {
                partition.hold_until = Some(now + backoff);
                self.refresh.is_wanted = true;
            }
            error => self.give_up(index, KafkaError::of(error)),
        }
    }

    fn give_up(&mut self, index: usize, error: KafkaError) {
        if std::mem::replace(&mut self.partitions[index].is_over, true) {
            return;
        }
        let (topic, partition) = self.place(index);
        let topic = topic.to_owned();
        self.errors.push(ConsumeError::Partition {
            topic,
            partition,
            error,
        });
    }

    /// When there is something to do even if nothing comes.
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let holds = self.partitions.iter().filter(|p| !p.is_over);
        let holds = holds.filter_map(|p| p.hold_until);
        let brokers = self.brokers.values().filter_map(|b| b.hold_until);
        let refresh = self.refresh.not_before.filter(|_| self.refresh.is_wanted);
        let regularly = self.refresh.regularly_at;
        let all = holds.chain(brokers).chain(refresh).chain(regularly);
        all.filter(|&at| at > now).min()
    }
}

impl Settings {
    /// How long to wait after so many failures in a row.
    fn backoff_after(&self, failures: u32) -> Duration {
        let factor = 1u32 << failures.saturating_sub(1).min(10);
        self.backoff
            .saturating_mul(factor)
            .min(self.max_backoff.max(self.backoff))
    }
}

impl Broker {
    fn can_be_asked(&self, now: Instant) -> bool {
        self.request.is_none() && self.hold_until.is_none_or(|until| now >= until)
    }

    fn release(&mut self, request: u64) {
        if self.request.is_some_and(|(sent, _)| sent == request) {
            self.request = None;
        }
    }
}

/// Whether an error passes by itself, or with another leader (Kafka's protocol, "Error codes", retriable).
fn is_passing(code: i32) -> bool {
    matches!(
        code,
        code::UNKNOWN_TOPIC_OR_PARTITION
            | code::LEADER_NOT_AVAILABLE
            | code::NOT_LEADER
            | code::REPLICA_NOT_AVAILABLE
            | code::KAFKA_STORAGE_ERROR
            | code::FENCED_LEADER_EPOCH
            | code::UNKNOWN_LEADER_EPOCH
            | code::OFFSET_NOT_AVAILABLE
            | code::REQUEST_TIMED_OUT
            | code::NETWORK_EXCEPTION
            | code::UNKNOWN_SERVER_ERROR
            | code::THROTTLING_QUOTA_EXCEEDED
            | code::TRANSPORT
            | code::TIMED_OUT
            | code::TIMED_OUT_QUEUE
            | code::DESTROY_BROKER
            | code::UNKNOWN_TOPIC_ID
            | code::INCONSISTENT_TOPIC_ID
    )
}
