//! What became of the records: totals, the first failures, ranges of delivered records.

use super::batch::{Batch, Opaques};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::produce::{FAILURES_KEPT, Failure, Totals, Undelivered};

#[derive(Default)]
pub(in crate::kafka::produce) struct Report {
    pub(in crate::kafka::produce) totals: Totals,
    pub(in crate::kafka::produce) failures: Vec<Failure>,
    /// The records delivered since they were taken last, if they are wanted.
    pub(in crate::kafka::produce) delivered: Option<Vec<Opaques>>,
    /// The records failed since they were taken last, if they are wanted.
    pub(in crate::kafka::produce) undelivered: Option<Vec<Undelivered>>,
}

impl Report {
    pub(super) fn delivered(&mut self, batch: &mut Batch) {
        self.totals.delivered += u64::from(batch.count);
        if let Some(delivered) = &mut self.delivered {
            delivered.push(std::mem::take(&mut batch.opaques));
        }
    }

    pub(super) fn failed(
        &mut self,
        mut batch: Batch,
        topic: &str,
        partition: i32,
        error: &KafkaError,
    ) {
        self.count(batch.opaques.iter(), batch.count, topic, error);
        if let Some(undelivered) = &mut self.undelivered {
            undelivered.extend(batch.decode(topic, partition, error));
        }
    }

    /// A record failed that is in no batch.
    pub(super) fn failed_alone(&mut self, record: Undelivered) {
        let opaque = std::iter::once(record.opaque);
        self.count(opaque, 1, &record.topic, &record.error);
        if let Some(undelivered) = &mut self.undelivered {
            undelivered.push(record);
        }
    }

    fn count(
        &mut self,
        opaques: impl Iterator<Item = u64>,
        count: u32,
        topic: &str,
        error: &KafkaError,
    ) {
        self.totals.failed += u64::from(count);
        if is_purged(error) {
            return;
        }
        let failure = |opaque| Failure {
            opaque,
            topic: topic.to_owned(),
            error: error.clone(),
        };
        let kept = FAILURES_KEPT - self.failures.len();
        self.failures.extend(opaques.take(kept).map(failure));
    }
}

/// Purged records failed for a reason that is reported separately.
fn is_purged(error: &KafkaError) -> bool {
    matches!(error.code, code::PURGE_QUEUE | code::PURGE_INFLIGHT)
}
