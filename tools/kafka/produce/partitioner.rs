//! The partition of a record: that of its key, or a random one for a while (KIP-480, KIP-794).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::num::NonZeroU32;
use std::time::Instant;

use super::settings::ProduceSettings;
use crate::partition::{KafkaPartitioner, Partition};

/// Chooses the partitions of one topic.
pub(super) struct TopicPartitioner {
    /// Without one every record's partition is random.
    keyed: Option<KafkaPartitioner>,
    count: u32,
    /// The partition of records without a key.
    sticky: Option<u32>,
    /// When another one is chosen; `None`: at the next record.
    sticky_until: Option<Instant>,
    random: u64,
}

impl TopicPartitioner {
    pub(super) fn new(settings: &ProduceSettings) -> TopicPartitioner {
        TopicPartitioner {
            keyed: settings.partitioner,
            count: 0,
            sticky: None,
            sticky_until: None,
            random: RandomState::new().build_hasher().finish() | 1,
        }
    }

    /// The number of partitions, 0 before it is known.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn set_count(&mut self, count: u32) {
        if self.count != count {
            self.count = count;
            self.sticky = None;
        }
    }

    /// The partition of a key; `None` if it is to be random.
    #[inline]
    pub(super) fn of_key(&self, key: Option<&[u8]>) -> Option<u32> {
        let count = NonZeroU32::new(self.count)?;
        match self.keyed?.partition(key, count) {
            Partition::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The random partition of the moment.
    #[inline]
    pub(super) fn sticky(&self, now: Instant) -> Option<u32> {
        self.sticky
            .filter(|_| self.sticky_until.is_some_and(|until| now < until))
    }

    /// Takes another random partition, one with a leader if there is any.
    pub(super) fn choose(
        &mut self,
        settings: &ProduceSettings,
        now: Instant,
        has_leader: impl Fn(u32) -> bool,
    ) -> u32 {
        let last = self.sticky;
        let is_good = |n: &u32| Some(*n) != last && has_leader(*n);
        let start = self.next_random() % self.count.max(1);
        let candidates = (start..self.count).chain(0..start);
        let found = candidates
            .clone()
            .find(is_good)
            .or_else(|| candidates.clone().find(|n| has_leader(*n)));
        let partition = found.unwrap_or(start);
        self.sticky = Some(partition);
        self.sticky_until = Some(now + settings.sticky_linger);
        partition
    }

    /// A batch of this partition is complete: the next record without a key goes elsewhere.
    pub(super) fn end_batch(&mut self, partition: i32) {
        if self.sticky == u32::try_from(partition).ok() {
            self.sticky_until = None;
        }
    }

    /// xorshift64.
    fn next_random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as u32
    }
}
