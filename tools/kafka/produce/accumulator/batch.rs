//! A batch on its way: its records, whose they are, and what is known of its delivery.

use std::io;
use std::ops::ControlFlow;
use std::time::Instant;

use bytes::Bytes;

use super::sequences::ProducerId;
use crate::kafka::batch::{BatchDecoder, Batches, Codec, ProducerStamp, RecordBatch, SealedBatch};
use crate::kafka::error::KafkaError;
use crate::kafka::produce::Undelivered;
use crate::record::Record;

/// The opaque numbers of records in their order, which are mostly consecutive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::kafka::produce) struct Opaques {
    ranges: Vec<(u64, u32)>,
}

impl Opaques {
    /// Returns by how much memory grows.
    #[inline]
    pub(super) fn push(&mut self, opaque: u64) -> usize {
        match self.ranges.last_mut() {
            Some((first, count)) if *first + u64::from(*count) == opaque => {
                *count += 1;
                0
            }
            _ => {
                self.ranges.push((opaque, 1));
                size_of::<(u64, u32)>()
            }
        }
    }

    pub(in crate::kafka::produce) fn iter(&self) -> impl Iterator<Item = u64> {
        let ranges = self.ranges.iter();
        ranges.flat_map(|&(first, count)| first..first + u64::from(count))
    }

    /// Bytes of memory besides the records.
    fn size(&self) -> usize {
        self.ranges.len() * size_of::<(u64, u32)>()
    }
}

#[derive(Debug)]
enum Records {
    Open(RecordBatch),
    Sealed(SealedBatch),
}

/// A batch that has no result yet.
#[derive(Debug)]
pub(in crate::kafka::produce) struct Batch {
    records: Records,
    pub(super) opaques: Opaques,
    pub(super) count: u32,
    /// The number of its first record among those of the partition, which orders the batches.
    pub(super) first: u64,
    /// When its first record was accepted.
    pub(super) created: Instant,
    /// The bytes that count towards the limit of the queue.
    pub(super) memory: usize,
    /// The producer id and sequence number with which it was sent.
    pub(super) stamp: Option<(ProducerId, i32)>,
    /// Whether a broker may have stored it: it was sent, and the response is lost or ambiguous.
    pub(super) may_be_stored: bool,
    pub(super) attempts: u32,
    /// Whether it is a part of a batch that was too large.
    pub(super) is_split: bool,
    pub(super) last_error: Option<KafkaError>,
}

/// An open batch of one partition.
pub(super) struct OpenBatch {
    pub(super) records: RecordBatch,
    pub(super) opaques: Opaques,
    pub(super) first: u64,
    pub(super) created: Instant,
}

impl OpenBatch {
    /// Takes no more records.
    pub(super) fn close(self) -> Batch {
        Batch {
            count: self.records.count(),
            memory: self.records.size() + self.opaques.size(),
            records: Records::Open(self.records),
            opaques: self.opaques,
            first: self.first,
            created: self.created,
            stamp: None,
            may_be_stored: false,
            attempts: 0,
            is_split: false,
            last_error: None,
        }
    }
}

impl Batch {
    /// The encoded size.
    pub(super) fn size(&self) -> usize {
        match &self.records {
            Records::Open(records) => records.size(),
            Records::Sealed(sealed) => sealed.bytes().len(),
        }
    }

    fn seal(&mut self, codec: Codec, level: i32) -> io::Result<&mut SealedBatch> {
        if let Records::Open(open) = &mut self.records {
            let open = std::mem::replace(open, RecordBatch::new(Vec::new()));
            self.records = Records::Sealed(open.seal(codec, level)?);
        }
        match &mut self.records {
            Records::Sealed(sealed) => Ok(sealed),
            Records::Open(_) => unreachable!("sealed above"),
        }
    }

    /// What is sent: compressed if that was not done yet, with its sequence number.
    pub(in crate::kafka::produce) fn bytes(
        &mut self,
        codec: Codec,
        level: i32,
        is_transactional: bool,
    ) -> io::Result<Bytes> {
        let stamp = match self.stamp {
            None => ProducerStamp::NONE,
            Some((producer, base_sequence)) => ProducerStamp {
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                base_sequence,
                is_transactional,
            },
        };
        let sealed = self.seal(codec, level)?;
        sealed.stamp(stamp);
        Ok(sealed.bytes().clone())
    }

    /// Its memory, to use it again.
    pub(super) fn into_memory(self) -> Vec<u8> {
        match self.records {
            Records::Sealed(mut sealed) => sealed.take_bytes(),
            Records::Open(_) => Vec::new(),
        }
    }

    /// Its records as owned copies.
    pub(super) fn decode(
        &mut self,
        topic: &str,
        partition: i32,
        error: &KafkaError,
    ) -> Vec<Undelivered> {
        let may_be_stored = self.may_be_stored;
        let opaques = self.opaques.clone();
        let mut opaques = opaques.iter();
        let mut records = Vec::with_capacity(self.count as usize);
        let Ok(sealed) = self.seal(Codec::None, -1) else {
            return records;
        };
        let mut decoder = BatchDecoder::new(usize::MAX);
        for batch in Batches::new(sealed.bytes()).flatten() {
            let flow = decoder.records(&batch, |record| {
                let mut headers = Vec::new();
                record.headers.read(&mut headers);
                let record = Record {
                    timestamp_ms: Some(record.timestamp_ms),
                    key: record.key,
                    value: record.value,
                    headers: &headers,
                    ..Record::default()
                };
                let opaque = opaques.next().unwrap_or_default();
                let (topic, error) = (topic.to_owned(), error.clone());
                let copy = Undelivered::refused(&record, opaque, topic, Some(partition), error);
                records.push(Undelivered {
                    may_be_stored,
                    ..copy
                });
                ControlFlow::Continue(())
            });
            debug_assert!(flow.is_ok(), "{flow:?}");
        }
        records
    }

    /// A batch of some of its records, which follow each other from number `first`.
    pub(super) fn part(&self, first: u64, records: &[Undelivered]) -> Batch {
        let bytes: usize = records.iter().map(Undelivered::size).sum();
        let mut open = OpenBatch {
            records: RecordBatch::new(Vec::with_capacity(bytes)),
            opaques: Opaques::default(),
            first,
            created: self.created,
        };
        for record in records {
            let headers = record.headers();
            let whole = record.record(&headers);
            let timestamp_ms = record.timestamp_ms.unwrap_or_default();
            open.records
                .append(timestamp_ms, whole.key, whole.value, whole.headers);
            open.opaques.push(record.opaque);
        }
        Batch {
            attempts: self.attempts,
            is_split: true,
            last_error: self.last_error.clone(),
            ..open.close()
        }
    }
}
