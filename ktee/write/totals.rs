//! What a run has stored: counts, records to acknowledge, and how far each partition has come.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::partition::Partition;
use super::publish::Published;
use crate::flow::count;
use crate::head::Head;
use crate::segment::LogId;
use crate::store::Store;

#[derive(Default)]
pub(super) struct Totals {
    /// Records that are durable by this run.
    records: u64,
    /// Records that the backup had already, and that are the same.
    known_records: u64,
    /// Records that are stored twice, because another writer was as quick.
    duplicate_records: u64,
    /// Tags of records that have become durable and were not handed over yet.
    pub(super) durable: Vec<(u64, u64)>,
    heads: BTreeMap<String, Head>,
}

impl Totals {
    pub(super) fn add(&mut self, published: Published) {
        self.durable.extend(published.tags);
        self.records += published.stored_records;
        self.known_records += published.known_records;
        self.duplicate_records += published.duplicate_records;
        if let LogId::Partition(topic, partition) = &*published.log {
            let (first, last) = published.span;
            let head = self.heads.entry(topic.clone()).or_default();
            head.extend(*partition, first, last, published.newest_ms);
        }
    }

    /// Notes how many partitions topics have.
    pub(super) fn note_partition_counts(&mut self, counts: &[(String, i32)]) {
        for (topic, count) in counts {
            if LogId::partition(topic, 0).is_ok() {
                let head = self.heads.entry(topic.clone()).or_default();
                head.partition_count = head.partition_count.max(Some(*count));
            }
        }
    }

    /// Stores how far topics have come, with what others have stored of `partitions`.
    pub(super) fn update_heads(
        &mut self,
        store: &dyn Store,
        partitions: &[Partition],
    ) -> Result<()> {
        for partition in partitions {
            if let LogId::Partition(topic, partition_id) = &*partition.target.log
                && let Some((first, last)) = partition.target.index().span()
            {
                let head = self.heads.entry(topic.clone()).or_default();
                head.extend(*partition_id, first, last, None);
            }
        }
        for (topic, head) in std::mem::take(&mut self.heads) {
            head.update(store, &topic)?;
        }
        Ok(())
    }

    /// # Errors
    /// There are records that are stored twice.
    pub(super) fn check_duplicates(&self) -> Result<()> {
        match self.duplicate_records {
            0 => Ok(()),
            n => bail!(
                "{} stored twice, because another ktee stored them at the same moment: they are the same, and --cat and \
                 --restore give each once",
                count(n, "record")
            ),
        }
    }

    pub(super) fn summary(&self) -> Option<String> {
        (self.known_records > 0).then(|| {
            format!(
                "{} already in the backup, {} added",
                count(self.known_records, "record"),
                self.records,
            )
        })
    }
}
