//! Where reading stands: positions, whom to ask for what next, and what an answer means. Pure: it is told the time.
//!
//! A partition is asked for by one request at a time, so that its records come
//! in order; a broker has one request under way, so that memory is bounded. The
//! position moves as soon as an answer's batches are counted, before a record
//! is handed out: the next request is on its way while the last answer is read.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::answer::{Answer, Row};
use super::settings::{Reset, Settings};
use crate::kafka::batch::Batches;
use crate::kafka::cluster::{Isolation, Metadata};
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code};

/// The most bytes that all leaders together may send at once, where the user says nothing else.
const BUDGET_BYTES: i32 = 8 * 1024 * 1024;
/// The least that one leader is asked for.
const LEAST_BYTES: i32 = 1024 * 1024;
/// A topic that no broker knows for so long is gone; one that restarts may not know it for a moment.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// An answer that is so much later than it should be makes us ask whether there is another leader.
const LATE: Duration = Duration::from_secs(3);

/// A topic that is read.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    /// Tells it from another of the same name; nil where the brokers don't say.
    id: uuid::Uuid,
    missing_since: Option<Instant>,
}

/// A partition that is read.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) topic: usize,
    pub(super) id: i32,
    /// Where to read on.
    position: Position,
    /// The offset before which reading stops.
    pub(super) end: Option<i64>,
    leader: Option<i32>,
    /// -1 where the brokers don't say.
    leader_epoch: i32,
    /// The broker to ask instead of the leader, and until when.
    replica: Option<(i32, Instant)>,
    max_bytes: i32,
    /// The request that asks for it.
    asked: Option<u64>,
    hold_until: Option<Instant>,
    failures: u32,
    /// The offset at which the user was last told that there is no more.
    told_end: Option<i64>,
    is_over: bool,
}

/// Where to read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// At this offset; the epoch is that of the batch before it, -1 where that is not known.
    At { offset: i64, epoch: i32 },
    /// Where this policy says, as soon as that was looked up; with the offset that is out of range.
    Unknown(Reset, Option<i64>),
}

/// What there is of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Log {
    /// The log start.
    pub(super) first: i64,
    /// The end of what may be read: the last stable offset, or the high watermark.
    pub(super) stable: i64,
    /// The high watermark.
    pub(super) high: i64,
}

/// A broker that is asked.
#[derive(Debug, Default)]
struct Broker {
    request: Option<(u64, Instant)>,
    hold_until: Option<Instant>,
    failures: u32,
}

/// A request to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) broker: i32,
    pub(super) request: u64,
    pub(super) max_bytes: i32,
    pub(super) rows: Vec<AskRow>,
}

/// One partition of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskRow {
    pub(super) partition: usize,
    pub(super) topic: usize,
    pub(super) id: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) last_epoch: i32,
    pub(super) max_bytes: i32,
}

/// What an answer holds of one partition, to be handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) partition: usize,
    /// Records before this offset were not asked for.
    pub(super) from: i64,
    /// Where in the answer its batches are.
    pub(super) records: Range<usize>,
    /// Aborted transactions, by their first offset.
    pub(super) aborted: Vec<(i64, i64)>,
    /// Where reading goes on behind them.
    pub(super) next: i64,
    /// Whether there is nothing more for now, and that was not told yet.
    pub(super) is_end: bool,
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
    refresh: Refresh,
    /// What the user is to be told.
    errors: Vec<ConsumeError>,
}

/// When to ask who leads what.
#[derive(Debug, Default)]
struct Refresh {
    is_wanted: bool,
    is_under_way: bool,
    not_before: Option<Instant>,
    regularly_at: Option<Instant>,
    asked_at: Option<Instant>,
    failures: u32,
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
            None => Position::Unknown(self.settings.reset, None),
        };
        self.add_at(topic, id, position, end)
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

    /// Whether nothing is left to read.
    pub(super) fn is_done(&self) -> bool {
        self.partitions.iter().all(|partition| partition.is_over)
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
            Ask {
                broker,
                request,
                max_bytes,
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
        let state = self.brokers.entry(broker).or_default();
        state.release(request);
        state.failures = 0;
        if let Ok(throttle_ms @ 1..) = u64::try_from(answer.throttle_ms) {
            state.hold_until = Some(now + Duration::from_millis(throttle_ms));
        }
        let mut pieces = Vec::new();
        // The rows of a topic follow each other.
        let mut topic = 0;
        for row in &mut answer.rows {
            if self.topics.get(topic).is_none_or(|t| t.name != row.topic) {
                let found = self.topics.iter().position(|t| t.name == row.topic);
                let Some(found) = found else { continue };
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
            if let Some(piece) = self.take_row(index, broker, body, row, now) {
                pieces.push(piece);
            }
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
        let partition = &mut self.partitions[index];
        partition.failures = 0;
        if partition.is_over {
            return None;
        }
        if let Some(replica) = row.preferred_replica.filter(|&replica| replica != broker) {
            partition.replica = Some((replica, now + self.settings.replica_lease));
        }
        if let Some((epoch, offset)) = row.diverging {
            self.cut_back(index, epoch, offset);
            return None;
        }
        let Position::At { offset: from, .. } = partition.position else {
            return None;
        };
        let records = row.records.clone();
        let next = partition.go_on(&body[records.clone()], self.settings.receive_max_bytes);
        let stable = match self.settings.isolation {
            Isolation::ReadCommitted if row.last_stable_offset >= 0 => row.last_stable_offset,
            _ => row.high_watermark,
        };
        let is_end = stable >= 0 && next >= stable && partition.told_end != Some(next);
        if is_end {
            partition.told_end = Some(next);
        }
        row.aborted.sort_unstable_by_key(|&(_, first)| first);
        (is_end || !records.is_empty()).then(|| Piece {
            partition: index,
            from,
            records,
            aborted: std::mem::take(&mut row.aborted),
            next,
            is_end,
        })
    }

    /// A request came to nothing.
    pub(super) fn failed(&mut self, broker: i32, request: u64, error: &KafkaError, now: Instant) {
        let state = self.brokers.entry(broker).or_default();
        state.release(request);
        state.failures += 1;
        state.hold_until = Some(now + self.settings.backoff_after(state.failures));
        self.release_partitions(request);
        for partition in &mut self.partitions {
            partition.leave_replica(broker);
        }
        self.refresh.is_wanted = true;
        if !is_passing(error.code) {
            self.errors.push(ConsumeError::Failed(error.clone()));
        }
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

    /// The leader's log parts from what was read at `offset`: an unclean election has cut it back (KIP-320).
    fn cut_back(&mut self, index: usize, epoch: i32, offset: i64) {
        let partition = &mut self.partitions[index];
        let Position::At {
            offset: read_to, ..
        } = partition.position
        else {
            return;
        };
        let to = read_to.min(offset).max(0);
        if to < read_to {
            let reason = format!(
                "the log was cut back from offset {read_to} to {to}: records that were read are not there any more (auto.offset.reset=latest or earliest reads on)"
            );
            if self.settings.reset == Reset::Error {
                self.give_up(index, KafkaError::new(code::LOG_TRUNCATION, reason));
                return;
            }
            let (topic, id) = self.place(index);
            log::warn!("{topic} [{id}]: {reason}");
        }
        let partition = &mut self.partitions[index];
        partition.position = Position::At { offset: to, epoch };
        partition.told_end = None;
    }

    /// Partitions whose position is to be looked up.
    pub(super) fn lost(&self) -> Vec<usize> {
        let is_lost = |p: &Partition| !p.is_over && matches!(p.position, Position::Unknown(..));
        let lost = self.partitions.iter().enumerate();
        lost.filter_map(|(index, p)| is_lost(p).then_some(index))
            .collect()
    }

    /// The log of a partition that was lost was looked up.
    pub(super) fn settle(&mut self, index: usize, log: Log) {
        let partition = &mut self.partitions[index];
        let Position::Unknown(reset, asked) = partition.position else {
            return;
        };
        let to = match (reset, asked) {
            // In the meantime it is there after all.
            (_, Some(asked)) if (log.first..=log.high).contains(&asked) => asked,
            (Reset::Earliest, _) => log.first,
            (Reset::Latest, _) => log.stable,
            (Reset::Error, _) => return self.refuse(index, asked, log),
        };
        partition.position = Position::At {
            offset: to,
            epoch: -1,
        };
        partition.told_end = None;
        partition.is_over = partition.end.is_some_and(|end| to >= end);
        if let Some(asked) = asked.filter(|&asked| asked != to) {
            let (topic, id) = self.place(index);
            log::warn!(
                "{topic} [{id}]: offset {asked} is out of range, which is {} to {}; reading on at {to}",
                log.first,
                log.high
            );
        }
    }

    fn refuse(&mut self, index: usize, asked: Option<i64>, log: Log) {
        let Some(offset) = asked else {
            let reason = "the group has committed no offset here, and auto.offset.reset is error";
            self.give_up(index, KafkaError::new(code::NO_OFFSET, reason));
            return;
        };
        self.partitions[index].is_over = true;
        let (topic, partition) = self.place(index);
        self.errors.push(ConsumeError::OutOfRange {
            topic: topic.to_owned(),
            partition,
            offset,
            first: log.first,
            next: log.high,
        });
    }

    /// The log of a partition that was lost can't be looked up.
    pub(super) fn not_settled(&mut self, index: usize, error: &KafkaError) {
        if !is_passing(error.code) {
            self.give_up(index, error.clone());
        }
    }

    /// Whether to ask now who leads what.
    pub(super) fn wants_metadata(&mut self, now: Instant) -> bool {
        let late = self.settings.max_wait + LATE;
        let is_longer_than =
            |limit, since: Option<Instant>| since.is_some_and(|since| now >= since + limit);
        let is_late = self.refresh.asked_at.is_none_or(|at| now >= at + LATE)
            && self
                .brokers
                .values()
                .any(|broker| is_longer_than(late, broker.request.map(|(_, since)| since)));
        let has_no_leader = || {
            let lacks = |p: &Partition| !p.is_over && p.leader.is_none();
            self.partitions.iter().any(lacks)
        };
        let refresh = &self.refresh;
        let is_wanted = refresh.is_wanted
            || is_late
            || refresh.regularly_at.is_some_and(|at| now >= at)
            || has_no_leader();
        is_wanted && !refresh.is_under_way && refresh.not_before.is_none_or(|at| now >= at)
    }

    /// The question who leads what is under way.
    pub(super) fn metadata_asked(&mut self, now: Instant) {
        self.refresh.asked_at = Some(now);
        self.refresh.is_under_way = true;
        self.refresh.is_wanted = false;
    }

    /// Nobody told who leads what.
    pub(super) fn metadata_failed(&mut self, now: Instant) {
        self.refresh.is_under_way = false;
        self.refresh.is_wanted = true;
        self.refresh.failures += 1;
        let backoff = self.settings.backoff_after(self.refresh.failures);
        self.refresh.not_before = Some(now + backoff);
    }

    /// Takes in who leads what.
    pub(super) fn learn(&mut self, metadata: &Metadata, now: Instant) {
        self.refresh.is_under_way = false;
        self.refresh.regularly_at = self
            .settings
            .refresh_interval
            .map(|interval| now + interval);
        for index in 0..self.topics.len() {
            if let Some(row) = metadata.topic(&self.topics[index].name) {
                self.learn_topic(index, row, now);
            }
        }
        for partition in &mut self.partitions {
            let is_up = |id: i32| metadata.brokers.iter().any(|broker| broker.id == id);
            if partition.replica.is_some_and(|(id, _)| !is_up(id)) {
                partition.replica = None;
                partition.asked = None;
            }
        }
        let refresh = &mut self.refresh;
        refresh.failures = if refresh.is_wanted {
            refresh.failures + 1
        } else {
            0
        };
        refresh.not_before = Some(now + self.settings.backoff_after(refresh.failures));
    }

    fn learn_topic(&mut self, index: usize, row: &crate::kafka::cluster::Topic, now: Instant) {
        let topic = &mut self.topics[index];
        if let Some(error) = &row.error {
            match error.code {
                code::UNKNOWN_TOPIC_OR_PARTITION => {
                    let since = *topic.missing_since.get_or_insert(now);
                    self.refresh.is_wanted = true;
                    if now.saturating_duration_since(since) >= GONE_AFTER {
                        self.lose_topic(index, "the topic was deleted while it was read");
                    }
                }
                code if is_passing(code) => self.refresh.is_wanted = true,
                _ => self.lose_topic(index, &error.to_string()),
            }
            return;
        }
        topic.missing_since = None;
        if topic.id != row.id && !topic.id.is_nil() && !row.id.is_nil() {
            let reason = "the topic was deleted and made again while it was read";
            self.lose_topic(index, reason);
            return;
        }
        topic.id = row.id;
        for row in &row.partitions {
            match self.places.get(&(index, row.id)) {
                Some(&place) => {
                    let partition = &mut self.partitions[place];
                    self.refresh.is_wanted |= partition.learn(row);
                }
                // What is in a new partition came after reading began.
                None if self.takes_new => {
                    self.add_at(
                        index,
                        row.id,
                        Position::Unknown(Reset::Earliest, None),
                        None,
                    );
                    if let Some(partition) = self.partitions.last_mut() {
                        partition.learn(row);
                    }
                }
                None => {}
            }
        }
    }

    fn lose_topic(&mut self, index: usize, reason: &str) {
        let mut had_any = false;
        for partition in self.partitions.iter_mut().filter(|p| p.topic == index) {
            had_any |= !std::mem::replace(&mut partition.is_over, true);
        }
        if had_any {
            let name = self.topics[index].name.clone();
            let error = KafkaError::new(code::UNKNOWN_TOPIC_OR_PARTITION, reason);
            self.errors.push(ConsumeError::Topic(name, error));
        }
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

impl Partition {
    /// Whom to ask for it, and what; `None` where there is nothing to ask now.
    fn ask(&mut self, index: usize, now: Instant) -> Option<(i32, AskRow)> {
        if self.is_over || self.asked.is_some() || self.hold_until.is_some_and(|at| now < at) {
            return None;
        }
        let Position::At { offset, epoch } = self.position else {
            return None;
        };
        // All that is wanted was sent, and is on its way to the user.
        if self.end.is_some_and(|end| offset >= end) {
            return None;
        }
        self.hold_until = None;
        if self.replica.is_some_and(|(_, until)| now >= until) {
            self.replica = None;
        }
        let broker = self.replica.map(|(broker, _)| broker).or(self.leader)?;
        let row = AskRow {
            partition: index,
            topic: self.topic,
            id: self.id,
            offset,
            leader_epoch: self.leader_epoch,
            last_epoch: epoch,
            max_bytes: self.max_bytes,
        };
        Some((broker, row))
    }

    /// Moves the position behind the batches that came, and tells it.
    fn go_on(&mut self, records: &[u8], most_bytes: i32) -> i64 {
        let Position::At {
            mut offset,
            mut epoch,
        } = self.position
        else {
            return -1;
        };
        let mut batches = Batches::new(records);
        let mut found_any = false;
        // What is wrong with a batch is told when it is handed out.
        for batch in batches.by_ref().flatten() {
            found_any = true;
            offset = offset.max(batch.next_offset());
            epoch = batch.leader_epoch;
        }
        let cut_bytes = i32::try_from(batches.cut_bytes()).unwrap_or(i32::MAX);
        if !found_any && cut_bytes > 0 {
            // Old brokers cut even the first batch; what is asked for must hold it.
            self.max_bytes = self
                .max_bytes
                .saturating_mul(2)
                .max(cut_bytes)
                .min(most_bytes);
        }
        self.position = Position::At { offset, epoch };
        offset
    }

    /// Goes back to the leader, if `broker` was asked in its place.
    fn leave_replica(&mut self, broker: i32) -> bool {
        let was_replica = self.replica.is_some_and(|(replica, _)| replica == broker);
        if was_replica {
            self.replica = None;
        }
        was_replica
    }

    /// Takes in who leads it; true means that this is not settled.
    fn learn(&mut self, row: &crate::kafka::cluster::Partition) -> bool {
        let epoch = row.leader_epoch.unwrap_or(-1);
        let Some(leader) = row.leader else {
            return true;
        };
        // A broker that is behind tells what was before.
        if epoch < self.leader_epoch {
            return true;
        }
        if self.leader == Some(leader) && self.leader_epoch == epoch {
            return false;
        }
        (self.leader, self.leader_epoch) = (Some(leader), epoch);
        // Whoever was asked does not matter any more; a late answer is not taken.
        self.asked = None;
        self.replica = None;
        self.hold_until = None;
        self.failures = 0;
        false
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
    )
}
