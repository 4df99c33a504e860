//! Which records of a backup are wanted, and all of them one after the other.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use tools::record::Record;
use tools::units::{count, format_time_ms};

use super::inventory::{Inventory, ListedLog, Segment, StoredLog};
use super::merge::{Take, TakeDamage, merge};
use crate::segment::manifest::join_times;
use crate::segment::{Layout, LogId};
use crate::store::Store;

/// What there is to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordStats {
    pub(crate) records: u64,
    /// The earliest and the latest time of a record.
    pub(crate) times_ms: Option<(i64, i64)>,
}

impl RecordStats {
    pub(crate) fn add(&mut self, records: u64, times_ms: Option<(i64, i64)>) {
        self.records += records;
        self.times_ms = join_times(self.times_ms, times_ms);
    }
}

impl std::fmt::Display for RecordStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "no record is in this time range, of {}",
            count(self.records, "record")
        )?;
        match self.times_ms {
            None => Ok(()),
            Some((earliest, latest)) => {
                write!(
                    f,
                    " from {} to {}",
                    format_time_ms(earliest),
                    format_time_ms(latest)
                )
            }
        }
    }
}

/// `-t`, `-p`, `--from`, `--to`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// These topics; none means all.
    pub(crate) topics: Vec<String>,
    /// These partitions; none means all.
    pub(crate) partitions: Vec<i32>,
    /// Records of this time or later, milliseconds since 1970.
    pub(crate) from_ms: Option<i64>,
    pub(crate) to_ms: Option<i64>,
}

impl Selection {
    /// What of `inventory` may hold wanted records.
    ///
    /// # Errors
    /// A topic or a partition that the backup does not have.
    pub(crate) fn logs(&self, inventory: &Inventory) -> Result<BTreeMap<LogId, ListedLog>> {
        let known = || inventory.partitions.keys();
        let is_of = |log: &LogId, topic: &str| matches!(log, LogId::Partition(t, _) if t == topic);
        for topic in &self.topics {
            ensure!(
                known().any(|log| is_of(log, topic)),
                "there is no topic {topic} in the backup"
            );
        }
        for partition in &self.partitions {
            for topic in &self.topics {
                ensure!(
                    known().any(|log| *log == LogId::Partition(topic.clone(), *partition)),
                    "there is no partition {partition} of topic {topic} in the backup"
                );
            }
            ensure!(
                known().any(|log| matches!(log, LogId::Partition(_, p) if p == partition)),
                "there is no partition {partition} in the backup"
            );
        }
        let wanted = inventory
            .partitions
            .iter()
            .filter(|(log, _)| self.wants(log));
        Ok(wanted
            .map(|(log, stored)| (log.clone(), stored.clone()))
            .collect())
    }

    fn wants(&self, log: &LogId) -> bool {
        match log {
            LogId::Lines => self.topics.is_empty() && self.partitions.is_empty(),
            LogId::Partition(topic, partition) => {
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

    pub(crate) fn has_range(&self) -> bool {
        self.from_ms.is_some() || self.to_ms.is_some()
    }

    /// Hands over the wanted records of one log, in order.
    pub(crate) fn read(
        &self,
        store: &dyn Store,
        stored: &StoredLog,
        take: &mut Take<'_>,
        damaged: &mut TakeDamage<'_>,
    ) -> Result<()> {
        let wanted = times(stored).filter(|(segment, times_ms)| {
            // What can't be counted is read as far as it goes, and found to be damaged then.
            segment.content.is_err() || self.wants_any(*times_ms)
        });
        let wanted: Vec<&Segment> = wanted.map(|(segment, _)| segment).collect();
        let is_lines = stored.log == LogId::Lines;
        let mut choose = |record: &Record<'_>, line: &[u8], layout: Layout| {
            if is_lines || self.wants_time(record.timestamp_ms) {
                take(record, line, layout)?;
            }
            Ok(())
        };
        merge(store, &stored.log, &wanted, &mut choose, damaged)
    }

    /// Whether a segment may have a record of a wanted time; adds to `stats` what there is.
    pub(crate) fn may_want(&self, stored: &StoredLog, stats: &mut RecordStats) -> bool {
        let mut may_want = false;
        for (segment, times_ms) in times(stored) {
            match &segment.content {
                Ok(content) => {
                    stats.add(content.records, times_ms);
                    may_want |= self.wants_any(times_ms);
                }
                // It is named when its turn comes.
                Err(_) => may_want = true,
            }
        }
        may_want
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

/// Each segment with the earliest and the latest time of its records.
fn times(stored: &StoredLog) -> impl Iterator<Item = (&Segment, Option<(i64, i64)>)> {
    let segments = stored.segments.iter().enumerate();
    segments.map(|(at, segment)| {
        // Of lines it is only known when the first and the next segment's first came.
        let next_ms = stored.segments.get(at + 1).and_then(|it| it.name.time_ms);
        let lines_ms = segment
            .name
            .time_ms
            .map(|ms| (ms, next_ms.unwrap_or(i64::MAX)));
        let content = segment.content.as_ref().ok();
        (segment, lines_ms.or(content.and_then(|it| it.times_ms)))
    })
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

    #[test]
    fn what_the_backup_does_not_have_is_refused_by_name() {
        let inventory = || {
            let mut inventory = Inventory::default();
            for (topic, partition) in [("a", 0), ("a", 1), ("b", 0)] {
                let log = LogId::partition(topic, partition).expect("a legal name");
                inventory.partitions.entry(log).or_default();
            }
            inventory
        };
        let logs = |topics: &[&str], partitions: &[i32]| {
            let selection = Selection {
                topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
                partitions: partitions.to_vec(),
                ..Selection::default()
            };
            selection.logs(&inventory()).map(|logs| logs.len())
        };
        assert_eq!(logs(&[], &[]).ok(), Some(3));
        assert_eq!(logs(&["a"], &[1]).ok(), Some(1));
        assert_eq!(logs(&[], &[1]).ok(), Some(1));
        let refused = |topics: &[&str], partitions: &[i32]| {
            logs(topics, partitions).expect_err("refused").to_string()
        };
        assert_eq!(refused(&["c"], &[]), "there is no topic c in the backup");
        assert_eq!(refused(&[], &[7]), "there is no partition 7 in the backup");
        assert_eq!(
            refused(&["a", "b"], &[1]),
            "there is no partition 1 of topic b in the backup"
        );
    }

    #[test]
    fn what_was_offered_is_told_with_its_times() {
        let mut stats = RecordStats::default();
        stats.add(1, Some((5, 7)));
        stats.add(2, Some((0, 6)));
        assert_eq!(
            stats.to_string(),
            "no record is in this time range, of 3 records from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.007Z"
        );
    }
}
