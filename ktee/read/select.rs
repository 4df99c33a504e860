//! Which records of a backup are wanted, and all of them one after the other.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::merge::{Known, Take, merge};
use super::{Inventory, PartitionSegments, inventory};
use crate::segment::{Name, Place};
use crate::store::Store;

/// `-t`, `-p`, `--from`, `--to`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// These topics; none means all.
    pub(crate) topics: Vec<String>,
    /// These partitions; none means all.
    pub(crate) partitions: Vec<i32>,
    /// Records of this time or later, milliseconds since 1970.
    pub(crate) from_ms: Option<i64>,
    /// Records before this time.
    pub(crate) to_ms: Option<i64>,
}

impl Selection {
    /// What of `inventory` may hold wanted records.
    ///
    /// # Errors
    /// A topic that the backup does not have.
    pub(crate) fn places(
        &self,
        inventory: Inventory,
    ) -> Result<BTreeMap<Place, PartitionSegments>> {
        for topic in &self.topics {
            let is_known = |place: &Place| matches!(place, Place::Partition(t, _) if t == topic);
            ensure!(
                inventory.partitions.keys().any(is_known),
                "there is no topic {topic} in the backup"
            );
        }
        let partitions = inventory.partitions.into_iter();
        Ok(partitions.filter(|(place, _)| self.wants(place)).collect())
    }

    fn wants(&self, place: &Place) -> bool {
        match place {
            Place::Lines => self.topics.is_empty() && self.partitions.is_empty(),
            Place::Partition(topic, partition) => {
                (self.topics.is_empty() || self.topics.contains(topic))
                    && (self.partitions.is_empty() || self.partitions.contains(partition))
            }
        }
    }

    /// Whether a record of this time is wanted; one without a time is, unless a time is asked for.
    pub(crate) fn wants_time(&self, time_ms: Option<i64>) -> bool {
        match time_ms {
            None => self.from_ms.is_none() && self.to_ms.is_none(),
            Some(ms) => {
                self.from_ms.is_none_or(|from_ms| ms >= from_ms)
                    && self.to_ms.is_none_or(|to_ms| ms < to_ms)
            }
        }
    }

    /// Hands over the wanted records of one place, in order.
    pub(crate) fn read(
        &self,
        store: &dyn Store,
        place: &Place,
        segments: &[Name],
        take: &mut Take<'_>,
    ) -> Result<()> {
        let mut wanted = Vec::new();
        for (at, name) in segments.iter().enumerate() {
            let facts = inventory::facts(store, place, name)?;
            let next_ms = segments.get(at + 1).and_then(|next| next.time_ms);
            // Of lines it is only known when the first and the next segment's first came.
            let times_ms = match place {
                Place::Lines => name.time_ms.map(|ms| (ms, next_ms.unwrap_or(i64::MAX))),
                Place::Partition(..) => facts.times_ms,
            };
            if self.wants_any(times_ms) {
                let name = name.clone();
                wanted.push(Known { name, facts });
            }
        }
        let is_lines = *place == Place::Lines;
        merge(store, place, &wanted, &mut |record, line, layout| {
            if is_lines || self.wants_time(record.timestamp_ms) {
                take(record, line, layout)?;
            }
            Ok(())
        })
    }

    fn wants_any(&self, times_ms: Option<(i64, i64)>) -> bool {
        match times_ms {
            None => self.wants_time(None),
            Some((earliest_ms, latest_ms)) => {
                self.from_ms.is_none_or(|from_ms| latest_ms >= from_ms)
                    && self.to_ms.is_none_or(|to_ms| earliest_ms < to_ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_wanted_and_the_end_is_not() {
        let selection = Selection {
            from_ms: Some(10),
            to_ms: Some(20),
            ..Selection::default()
        };
        let wanted: Vec<i64> = [9, 10, 19, 20]
            .into_iter()
            .filter(|ms| selection.wants_time(Some(*ms)))
            .collect();
        assert_eq!(wanted, [10, 19]);
        assert!(!selection.wants_time(None));
        assert!(Selection::default().wants_time(None));
        assert!(selection.wants_any(Some((0, 10))));
        assert!(!selection.wants_any(Some((0, 9))));
        assert!(!selection.wants_any(Some((20, 30))));
    }
}
