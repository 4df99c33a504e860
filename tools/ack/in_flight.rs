//! The records of a source that are sent, acknowledged, committed. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::AckError;
use super::position::{Position, StreamKey};

/// Topic and partition.
type TopicPartition = (String, i32);

/// The records that are sent and not yet committed, by partition.
#[derive(Debug)]
pub struct InFlight {
    /// The most records in flight.
    limit: u64,
    /// Whether what is acknowledged is committed: by the sink, in its transaction.
    sink_commits: bool,
    /// The sum over all partitions: it is asked for at every turn of the loop.
    count: u64,
    partitions: BTreeMap<TopicPartition, PartitionInFlight>,
}

#[derive(Debug)]
struct PartitionInFlight {
    key: StreamKey,
    /// Offsets that are sent and not yet committed, in runs without gaps: first and last.
    runs: VecDeque<(i64, i64)>,
    count: u64,
    last: Option<i64>,
    acknowledged: Option<i64>,
    /// The position behind what is no record, reached when all sent is acknowledged.
    end: Option<i64>,
    /// The position on its way to be committed, and the last one that is.
    committing: Option<i64>,
    committed: Option<i64>,
}

impl PartitionInFlight {
    fn new(key: StreamKey) -> PartitionInFlight {
        PartitionInFlight {
            key,
            runs: VecDeque::new(),
            count: 0,
            last: None,
            acknowledged: None,
            end: None,
            committing: None,
            committed: None,
        }
    }

    fn is_acknowledged(&self) -> bool {
        self.last == self.acknowledged
    }

    fn position(&self) -> Option<i64> {
        let behind_last = self.acknowledged.map(|offset| offset + 1);
        match self.end {
            Some(end) if self.is_acknowledged() => Some(end.max(behind_last.unwrap_or(end))),
            _ => behind_last,
        }
    }

    /// Takes away what is before `position`; says how many records that were.
    fn shrink(&mut self, position: i64) -> u64 {
        let count = self.count;
        while let Some((first, last)) = self.runs.front_mut()
            && *first < position
        {
            let end = position.min(*last + 1);
            self.count -= (end - *first) as u64;
            *first = end;
            if *first > *last {
                self.runs.pop_front();
            }
        }
        count - self.count
    }
}

impl InFlight {
    /// At most `limit` records in flight; `sink_commits` if the sink commits what it acknowledges.
    pub fn new(limit: u64, sink_commits: bool) -> InFlight {
        InFlight {
            limit,
            sink_commits,
            count: 0,
            partitions: BTreeMap::new(),
        }
    }

    /// Begins a session of this partition.
    ///
    /// A partition that had another session keeps nothing of it: call this only when all of it is acknowledged or given up.
    pub fn begin(&mut self, session: &str, topic: &str, partition: i32) {
        let key = StreamKey {
            session: session.to_owned(),
            topic: topic.to_owned(),
            partition,
        };
        let sent = PartitionInFlight::new(key);
        let before = self.partitions.insert((topic.to_owned(), partition), sent);
        self.count -= before.map_or(0, |before| before.count);
    }

    /// The stream of a partition; `None` if the source does not have it.
    pub fn key(&self, topic_partition: &TopicPartition) -> Option<&StreamKey> {
        self.partitions.get(topic_partition).map(|sent| &sent.key)
    }

    /// Notes that a record is sent.
    pub fn send(&mut self, topic_partition: &TopicPartition, offset: i64) {
        let Some(sent) = self.partitions.get_mut(topic_partition) else {
            return;
        };
        match sent.runs.back_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ => sent.runs.push_back((offset, offset)),
        }
        sent.count += 1;
        self.count += 1;
        sent.last = Some(offset);
        sent.end = None;
    }

    /// Notes that between what was sent and `position` there are no records: markers of transactions, say.
    pub fn pass(&mut self, topic_partition: &TopicPartition, position: i64) {
        if let Some(sent) = self.partitions.get_mut(topic_partition) {
            sent.end = Some(position);
        }
    }

    /// Handles an acknowledgement; returns false if it is old or of an earlier session.
    ///
    /// # Errors
    /// What was never sent can't be acknowledged.
    pub fn acknowledge(&mut self, position: &Position) -> Result<bool, AckError> {
        let topic_partition = (position.key.topic.clone(), position.key.partition);
        let Some(sent) = self.partitions.get_mut(&topic_partition) else {
            return Ok(false);
        };
        if sent.key.session != position.key.session {
            return Ok(false);
        }
        if sent.last.is_none_or(|last| position.offset > last) {
            return Err(AckError::Protocol(format!(
                "it acknowledges {position}, which was never sent"
            )));
        }
        if sent
            .acknowledged
            .is_some_and(|before| position.offset <= before)
        {
            return Ok(false);
        }
        sent.acknowledged = Some(position.offset);
        if self.sink_commits {
            self.count -= sent.shrink(position.offset + 1);
            sent.committed = Some(position.offset + 1);
        }
        Ok(true)
    }

    /// The positions that are acknowledged and not committed.
    ///
    /// Where the sink commits, only what it can't know of: positions behind
    /// its last record.
    pub fn to_commit(&self) -> BTreeMap<TopicPartition, i64> {
        let position = |sent: &PartitionInFlight| {
            let position = sent.position()?;
            (sent.committed != Some(position)).then_some(position)
        };
        let rows = self.partitions.iter();
        rows.filter_map(|(topic_partition, sent)| Some((topic_partition.clone(), position(sent)?)))
            .collect()
    }

    /// How many records would be committed with [`InFlight::to_commit`].
    pub fn acknowledged(&self) -> u64 {
        let before = |sent: &PartitionInFlight| {
            let position = sent.position().unwrap_or(0);
            let runs = sent.runs.iter();
            runs.map(|(first, last)| (position.min(last + 1) - first).max(0) as u64)
                .sum::<u64>()
        };
        self.partitions.values().map(before).sum()
    }

    /// Records that a commit of these positions was sent.
    pub fn begin_commit(&mut self, positions: &BTreeMap<TopicPartition, i64>) {
        for (topic_partition, position) in positions {
            if let Some(sent) = self.partitions.get_mut(topic_partition) {
                sent.committing = Some(*position);
            }
        }
    }

    /// Records the result of that commit.
    pub fn finish_commit(&mut self, is_committed: bool) {
        for sent in self.partitions.values_mut() {
            if let Some(position) = sent.committing.take()
                && is_committed
            {
                self.count -= sent.shrink(position);
                sent.committed = Some(position);
            }
        }
    }

    /// These partitions, or all.
    fn select(
        &self,
        topic_partitions: Option<&[TopicPartition]>,
    ) -> impl Iterator<Item = &PartitionInFlight> {
        let all = self.partitions.iter();
        all.filter(move |(known, _)| topic_partitions.is_none_or(|them| them.contains(known)))
            .map(|(_, sent)| sent)
    }

    /// Up to where these partitions, or all, were read, where that is behind the last record.
    pub fn passed(&self, topic_partitions: Option<&[TopicPartition]>) -> Vec<Position> {
        let position = |sent: &PartitionInFlight| {
            Some(Position {
                key: sent.key.clone(),
                offset: sent.end?,
            })
        };
        self.select(topic_partitions).filter_map(position).collect()
    }

    /// Removes revoked partitions; returns their streams.
    pub fn forget(&mut self, topic_partitions: &[TopicPartition]) -> Vec<StreamKey> {
        let forgotten = topic_partitions
            .iter()
            .filter_map(|topic_partition| self.partitions.remove(topic_partition));
        let forgotten: Vec<PartitionInFlight> = forgotten.collect();
        self.count -= forgotten.iter().map(|sent| sent.count).sum::<u64>();
        forgotten.into_iter().map(|sent| sent.key).collect()
    }

    /// The partitions of these sessions, each with the first offset that is sent and not yet committed.
    pub fn of_sessions(&self, sessions: &[String]) -> Vec<(TopicPartition, Option<i64>)> {
        let partitions = self.partitions.iter();
        let of_them = partitions.filter(|(_, sent)| sessions.contains(&sent.key.session));
        let first = |sent: &PartitionInFlight| sent.runs.front().map(|(first, _)| *first);
        of_them
            .map(|(topic_partition, sent)| (topic_partition.clone(), first(sent)))
            .collect()
    }

    /// How many records are in flight: sent and not yet committed.
    pub fn records(&self) -> u64 {
        self.count
    }

    /// How many records are sent and not yet acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        self.records() - self.acknowledged()
    }

    /// Records in flight of these partitions.
    pub fn records_of(&self, topic_partitions: &[TopicPartition]) -> u64 {
        let sent = self.select(Some(topic_partitions));
        sent.map(|sent| sent.count).sum()
    }

    /// Whether no more may be sent just now.
    pub fn is_full(&self) -> bool {
        self.records() >= self.limit
    }

    /// Whether all that was sent of these partitions, or of all, is acknowledged.
    pub fn is_drained(&self, topic_partitions: Option<&[TopicPartition]>) -> bool {
        self.select(topic_partitions)
            .all(PartitionInFlight::is_acknowledged)
    }

    /// The offset behind everything that was sent of a partition, or behind which there was nothing to send.
    pub fn reached(&self, topic_partition: &TopicPartition) -> Option<i64> {
        let sent = self.partitions.get(topic_partition)?;
        sent.end.or(sent.last.map(|last| last + 1))
    }

    /// The partitions that the source has.
    pub fn topic_partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    /// How many records may be sent and not yet committed.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}
