//! What a source has sent, what of it was acknowledged, what is to be committed. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::AckError;
use super::position::{Position, StreamKey};

/// Topic and partition.
type Place = (String, i32);

/// Everything that is sent and not yet committed, for each partition that the source has.
#[derive(Debug)]
pub struct Window {
    /// How many records may be sent and not yet committed.
    limit: u64,
    /// Whether what is acknowledged is committed: by the sink, in its transaction.
    sink_commits: bool,
    partitions: BTreeMap<Place, Sent>,
}

#[derive(Debug)]
struct Sent {
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

impl Sent {
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

    /// Takes away what is before `position`.
    fn shrink(&mut self, position: i64) {
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
    }
}

impl Window {
    /// `limit` records may be sent and not yet committed; `sink_commits` with what it acknowledges.
    pub fn new(limit: u64, sink_commits: bool) -> Window {
        Window {
            limit,
            sink_commits,
            partitions: BTreeMap::new(),
        }
    }

    /// Records of this partition are sent under this session from now on.
    ///
    /// A partition that had another session keeps nothing of it: call this only when all of it is acknowledged or given up.
    pub fn begin(&mut self, session: &str, topic: &str, partition: i32) {
        let sent = Sent {
            key: StreamKey {
                session: session.to_owned(),
                topic: topic.to_owned(),
                partition,
            },
            runs: VecDeque::new(),
            count: 0,
            last: None,
            acknowledged: None,
            end: None,
            committing: None,
            committed: None,
        };
        self.partitions.insert((topic.to_owned(), partition), sent);
    }

    /// The stream of a partition; `None` if the source does not have it.
    pub fn key(&self, place: &Place) -> Option<&StreamKey> {
        self.partitions.get(place).map(|sent| &sent.key)
    }

    /// Notes that a record is sent.
    pub fn send(&mut self, place: &Place, offset: i64) {
        let Some(sent) = self.partitions.get_mut(place) else {
            return;
        };
        match sent.runs.back_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ => sent.runs.push_back((offset, offset)),
        }
        sent.count += 1;
        sent.last = Some(offset);
        sent.end = None;
    }

    /// Notes that between what was sent and `position` there are no records: markers of transactions, say.
    pub fn pass(&mut self, place: &Place, position: i64) {
        if let Some(sent) = self.partitions.get_mut(place) {
            sent.end = Some(position);
        }
    }

    /// Takes an acknowledgement; says whether it was news. One of a session that has passed is not.
    ///
    /// # Errors
    /// What was never sent can't be acknowledged.
    pub fn acknowledge(&mut self, position: &Position) -> Result<bool, AckError> {
        let place = (position.key.topic.clone(), position.key.partition);
        let Some(sent) = self.partitions.get_mut(&place) else {
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
            sent.shrink(position.offset + 1);
            sent.committed = Some(position.offset + 1);
        }
        Ok(true)
    }

    /// The positions that are acknowledged and not committed.
    ///
    /// Where the sink commits, only what it can't know of: positions behind
    /// its last record.
    pub fn to_commit(&self) -> BTreeMap<Place, i64> {
        let position = |sent: &Sent| {
            let position = sent.position()?;
            (sent.committed != Some(position)).then_some(position)
        };
        let rows = self.partitions.iter();
        rows.filter_map(|(place, sent)| Some((place.clone(), position(sent)?)))
            .collect()
    }

    /// How many records would be committed with [`Window::to_commit`].
    pub fn acknowledged(&self) -> u64 {
        let before = |sent: &Sent| {
            let position = sent.position().unwrap_or(0);
            let runs = sent.runs.iter();
            runs.map(|(first, last)| (position.min(last + 1) - first).max(0) as u64)
                .sum::<u64>()
        };
        self.partitions.values().map(before).sum()
    }

    /// Notes that these positions are on their way to be committed.
    pub fn committing(&mut self, positions: &BTreeMap<Place, i64>) {
        for (place, position) in positions {
            if let Some(sent) = self.partitions.get_mut(place) {
                sent.committing = Some(*position);
            }
        }
    }

    /// Notes that what was on its way is committed, or is not.
    pub fn settle_commit(&mut self, is_committed: bool) {
        for sent in self.partitions.values_mut() {
            if let Some(position) = sent.committing.take()
                && is_committed
            {
                sent.shrink(position);
                sent.committed = Some(position);
            }
        }
    }

    /// Up to where these partitions, or all, were read, where that is behind the last record.
    pub fn passed(&self, places: Option<&[Place]>) -> Vec<Position> {
        let matters = |place: &Place| places.is_none_or(|places| places.contains(place));
        let partitions = self.partitions.iter().filter(|(place, _)| matters(place));
        let passed = partitions.filter_map(|(_, sent)| {
            Some(Position {
                key: sent.key.clone(),
                offset: sent.end?,
            })
        });
        passed.collect()
    }

    /// Forgets partitions that the source has no more; returns what they were.
    pub fn forget(&mut self, places: &[Place]) -> Vec<StreamKey> {
        let forgotten = places
            .iter()
            .filter_map(|place| self.partitions.remove(place));
        forgotten.map(|sent| sent.key).collect()
    }

    /// How many records are sent and not yet committed.
    pub fn in_flight(&self) -> u64 {
        self.partitions.values().map(|sent| sent.count).sum()
    }

    /// How many records are sent and not yet acknowledged.
    pub fn unacknowledged(&self) -> u64 {
        self.in_flight() - self.acknowledged()
    }

    /// The same, of these partitions.
    pub fn in_flight_of(&self, places: &[Place]) -> u64 {
        let sent = places.iter().filter_map(|place| self.partitions.get(place));
        sent.map(|sent| sent.count).sum()
    }

    /// Whether no more may be sent just now.
    pub fn is_full(&self) -> bool {
        self.in_flight() >= self.limit
    }

    /// How many more may be sent.
    pub fn room(&self) -> u64 {
        self.limit.saturating_sub(self.in_flight())
    }

    /// Whether all that was sent of these partitions, or of all, is acknowledged.
    pub fn is_drained(&self, places: Option<&[Place]>) -> bool {
        let matters = |place: &Place| places.is_none_or(|places| places.contains(place));
        let partitions = self.partitions.iter().filter(|(place, _)| matters(place));
        partitions
            .into_iter()
            .all(|(_, sent)| sent.is_acknowledged())
    }

    /// The offset behind everything that was sent of a partition, or behind which there was nothing to send.
    pub fn reached(&self, place: &Place) -> Option<i64> {
        let sent = self.partitions.get(place)?;
        sent.end.or(sent.last.map(|last| last + 1))
    }

    /// The partitions that the source has.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.partitions.keys()
    }

    /// How many records may be sent and not yet committed.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}
