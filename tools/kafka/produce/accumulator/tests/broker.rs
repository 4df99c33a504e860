//! A model of a broker that checks sequence numbers as Kafka's does (`ProducerAppendInfo.java`).

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use super::super::{PartitionResult, ProducePlan, ProduceResult};
use crate::kafka::batch::{BatchDecoder, Batches, Codec, RecordBatch};
use crate::kafka::error::code;

#[derive(Default)]
struct Log {
    values: Vec<u64>,
    epoch: i16,
    /// First and last sequence number of the last five batches.
    last: VecDeque<(i32, i32)>,
}

/// Both brokers of the cluster: the logs move with their leaders.
pub(super) struct ModelBroker {
    logs: HashMap<usize, Log>,
    max_bytes: usize,
}

impl ModelBroker {
    pub(super) fn new(max_bytes: usize) -> ModelBroker {
        ModelBroker {
            logs: HashMap::new(),
            max_bytes,
        }
    }

    /// Whether a record of this number and size is small enough for a broker of this limit.
    pub(super) fn takes(number: usize, size: usize, max_bytes: usize) -> bool {
        let mut batch = RecordBatch::new(Vec::new());
        let value = format!("{number} {}", "x".repeat(size));
        batch.append(1, None, Some(value.as_bytes()), &[]);
        batch.size() <= max_bytes
    }

    /// The numbers of the stored records of the first partitions.
    pub(super) fn values(&self, partitions: usize) -> Vec<Vec<u64>> {
        let log = |partition| {
            let log = self.logs.get(&partition);
            log.map(|log| log.values.clone()).unwrap_or_default()
        };
        (0..partitions).map(log).collect()
    }

    pub(super) fn handle(&mut self, plan: &mut ProducePlan) -> ProduceResult {
        let mut result = ProduceResult::default();
        for planned in &mut plan.batches {
            let bytes = planned.batch.bytes(Codec::None, -1, false);
            let bytes = bytes.expect("nothing is compressed");
            result.partitions.push(PartitionResult {
                topic: "t".to_owned(),
                partition: planned.partition as i32,
                error: self.append(planned.partition, &bytes),
                ..PartitionResult::default()
            });
        }
        result
    }

    /// Says this error of what was stored.
    pub(super) fn say(mut result: ProduceResult, error: i32) -> ProduceResult {
        for partition in &mut result.partitions {
            if partition.error == code::NONE {
                partition.error = error;
            }
        }
        result
    }

    fn append(&mut self, partition: usize, bytes: &[u8]) -> i32 {
        if bytes.len() > self.max_bytes {
            return code::MESSAGE_TOO_LARGE;
        }
        let batch = Batches::new(bytes).next().expect("one").expect("valid");
        batch.check().expect("a correct checksum");
        let epoch = i16::from_be_bytes([bytes[51], bytes[52]]);
        let first = i32::from_be_bytes(bytes[53..57].try_into().expect("four bytes"));
        let mut values = Vec::new();
        let flow = BatchDecoder::new(1 << 20).records(&batch, |record| {
            let text = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            values.push(
                text.split(' ')
                    .next()
                    .and_then(|n| n.parse().ok())
                    .expect("a number"),
            );
            ControlFlow::Continue(())
        });
        assert!(flow.is_ok(), "valid records");
        let log = self.logs.entry(partition).or_default();
        if batch.producer_id >= 0 {
            let last = first + values.len() as i32 - 1;
            if let Some(&(_, before)) = log.last.back() {
                if epoch < log.epoch {
                    return code::INVALID_PRODUCER_EPOCH;
                }
                if epoch == log.epoch && log.last.contains(&(first, last)) {
                    return code::NONE;
                }
                let expected = if epoch == log.epoch { before + 1 } else { 0 };
                if first != expected {
                    return code::OUT_OF_ORDER_SEQUENCE_NUMBER;
                }
            }
            if epoch != log.epoch {
                log.last.clear();
            }
            log.epoch = epoch;
            log.last.push_back((first, last));
            if log.last.len() > 5 {
                log.last.pop_front();
            }
        }
        log.values.append(&mut values);
        code::NONE
    }
}
