//! From the batches of one partition to the records that its reader sees.

use std::ops::ControlFlow;

use kafka_protocol::messages::fetch_response::PartitionData;

use super::super::peek::aborted;
use super::leaders::Pending;
use super::{Answer, FirstRecord};
use crate::kafka::admin::offsets::Isolation;
use crate::kafka::batch::{
    AbortedTransactions, Batch, BatchDecoder, BatchError, Batches, RawRecord,
};

#[derive(Clone, Copy, Debug)]
pub(super) struct RecordFilter {
    pub(super) isolation: Isolation,
    /// None that is dated later.
    pub(super) not_after_ms: Option<i64>,
}

/// Answers what `data` answers of `pending` and takes it out; the offset up to which everything was seen comes back.
pub(super) fn scan(
    data: &PartitionData,
    filter: RecordFilter,
    pending: &mut Vec<Pending>,
    decoder: &mut BatchDecoder,
    answers: &mut [Option<Answer>],
) -> Result<i64, BatchError> {
    let mut covered = pending.first().map_or(0, |pending| pending.offset);
    let mut aborted = match filter.isolation {
        Isolation::ReadCommitted => aborted(data),
        Isolation::ReadUncommitted => AbortedTransactions::default(),
    };
    let bytes = data.records.as_deref().unwrap_or(&[]);
    for batch in Batches::new(bytes) {
        let batch = batch?;
        let is_hidden = aborted.hides(&batch)?;
        let is_wanted = pending
            .first()
            .is_some_and(|p| p.offset <= batch.last_offset);
        if !is_hidden && is_wanted {
            batch.check()?;
            let latest_ms = filter.not_after_ms.unwrap_or(i64::MAX);
            let _ = decoder.records(&batch, |record| {
                if record.timestamp_ms > latest_ms {
                    return ControlFlow::Continue(());
                }
                answer(record, &batch, pending, answers)
            })?;
        }
        covered = covered.max(batch.next_offset());
        advance_to(pending, covered, answers);
        if pending.is_empty() {
            break;
        }
    }
    Ok(covered)
}

/// The record answers all that lies between it and the one before it.
fn answer(
    record: RawRecord<'_>,
    batch: &Batch<'_>,
    pending: &mut Vec<Pending>,
    answers: &mut [Option<Answer>],
) -> ControlFlow<()> {
    let count = pending.partition_point(|pending| pending.offset <= record.offset);
    for pending in pending.drain(..count) {
        let found = FirstRecord {
            offset: record.offset,
            timestamp_ms: (record.timestamp_ms >= 0).then_some(record.timestamp_ms),
        };
        let found = (record.offset < pending.until).then_some(found);
        for question in pending.questions {
            answers[question] = Some(Ok(found));
        }
    }
    match pending.first() {
        Some(next) if next.offset <= batch.last_offset => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

/// Nothing before `covered` was for this reader: what asked for it goes on there, or has its answer.
pub(super) fn advance_to(pending: &mut Vec<Pending>, covered: i64, answers: &mut [Option<Answer>]) {
    pending.retain_mut(|pending| {
        pending.offset = pending.offset.max(covered);
        if pending.offset < pending.until {
            return true;
        }
        for &question in &pending.questions {
            answers[question] = Some(Ok(None));
        }
        false
    });
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ProducerId;
    use kafka_protocol::messages::fetch_response::AbortedTransaction;

    use super::*;
    use crate::kafka::batch::build::BatchBuilder;

    const COMMITTED: Isolation = Isolation::ReadCommitted;
    /// Later than all but what the tests make so.
    const LATEST_MS: i64 = i64::MAX - 1;
    const ALL: Isolation = Isolation::ReadUncommitted;

    fn data(batches: &[BatchBuilder], aborted: &[(i64, i64)]) -> PartitionData {
        let bytes: Vec<u8> = batches.iter().flat_map(BatchBuilder::bytes).collect();
        let aborted = aborted.iter().map(|&(producer_id, first_offset)| {
            AbortedTransaction::default()
                .with_producer_id(ProducerId(producer_id))
                .with_first_offset(first_offset)
        });
        PartitionData::default()
            .with_records(Some(bytes.into()))
            .with_aborted_transactions(Some(aborted.collect()))
    }

    /// Asks for each offset until `until`: how far was seen, and the offset found, `Some(-1)` for nothing.
    fn ask(
        data: &PartitionData,
        isolation: Isolation,
        offsets: &[i64],
        until: i64,
    ) -> (i64, Vec<Option<i64>>) {
        let pending = offsets.iter().enumerate().map(|(index, &offset)| Pending {
            offset,
            until,
            questions: vec![index],
        });
        let mut pending: Vec<Pending> = pending.collect();
        let mut answers: Vec<Option<Answer>> = offsets.iter().map(|_| None).collect();
        let mut decoder = BatchDecoder::new(1 << 20);
        let filter = RecordFilter {
            isolation,
            not_after_ms: Some(LATEST_MS),
        };
        let covered = scan(data, filter, &mut pending, &mut decoder, &mut answers).unwrap();
        let found = |answer: Option<Answer>| {
            answer.map(|answer| answer.unwrap().map_or(-1, |record| record.offset))
        };
        assert_eq!(
            answers.iter().filter(|answer| answer.is_none()).count(),
            pending.len()
        );
        (covered, answers.into_iter().map(found).collect())
    }

    #[test]
    fn one_batch_answers_many_offsets() {
        let data = data(
            &[
                BatchBuilder::of(10, &["a", "b", "c"]),
                BatchBuilder::of(13, &["d"]),
            ],
            &[],
        );
        assert_eq!(
            ask(&data, COMMITTED, &[10, 11, 13, 14], 20),
            (14, vec![Some(10), Some(11), Some(13), None])
        );
    }

    #[test]
    fn what_compaction_took_is_read_over() {
        let mut gaps = BatchBuilder::of(100, &["a", "b"]);
        gaps.records[1].offset_delta = 7;
        gaps.last_offset_delta = Some(9);
        let data = data(&[gaps, BatchBuilder::of(150, &["c"])], &[]);
        assert_eq!(
            ask(&data, COMMITTED, &[5, 101, 108, 120], 200),
            (151, vec![Some(100), Some(107), Some(150), Some(150)])
        );
    }

    #[test]
    fn an_empty_batch_moves_the_search_on() {
        let mut empty = BatchBuilder::of(0, &[]);
        empty.last_offset_delta = Some(49);
        let data = data(&[empty], &[]);
        assert_eq!(ask(&data, COMMITTED, &[3, 60], 100), (50, vec![None, None]));
        assert_eq!(ask(&data, COMMITTED, &[3], 50), (50, vec![Some(-1)]));
    }

    #[test]
    fn markers_and_aborted_records_are_not_for_a_reader_of_committed_ones() {
        let batches = [
            BatchBuilder::of(0, &["x", "x"]).transactional(7),
            BatchBuilder::marker(2, 7, false),
            BatchBuilder::of(3, &["y"]).transactional(7),
            BatchBuilder::marker(4, 7, true),
            BatchBuilder::of(5, &["x"]).transactional(8),
            BatchBuilder::marker(6, 8, false),
        ];
        let data = data(&batches, &[(7, 0), (8, 5)]);
        assert_eq!(
            ask(&data, COMMITTED, &[0, 1, 3, 4, 6], 7),
            (7, vec![Some(3), Some(3), Some(3), Some(-1), Some(-1)])
        );
        assert_eq!(
            ask(&data, ALL, &[0, 2, 4, 6], 7),
            (7, vec![Some(0), Some(3), Some(5), Some(-1)])
        );
    }

    #[test]
    fn a_search_ends_where_its_reader_does() {
        let data = data(
            &[BatchBuilder::of(10, &["a"]), BatchBuilder::of(20, &["b"])],
            &[],
        );
        assert_eq!(ask(&data, COMMITTED, &[11], 20), (21, vec![Some(-1)]));
        assert_eq!(ask(&data, COMMITTED, &[11], 21), (21, vec![Some(20)]));
    }

    #[test]
    fn no_records_leave_everything_open() {
        let nothing = PartitionData::default();
        assert_eq!(ask(&nothing, COMMITTED, &[5], 20), (5, vec![None]));
    }
}
