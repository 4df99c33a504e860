//! An owned copy of a record that was not delivered, to send it again or to store it.

use crate::kafka::error::KafkaError;
use crate::record::{Header, Record, TimestampType};

/// A record that failed, or that the producer is about to retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// What the caller passed to `send`.
    pub opaque: u64,
    /// The topic that it was for.
    pub topic: String,
    /// Why it was not delivered.
    pub error: KafkaError,
    /// Whether a broker may have stored it all the same: it was in flight, and no response came.
    pub may_be_stored: bool,
    /// The requested partition or the partitioner's; none if it failed before that.
    pub(super) partition: Option<i32>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Undelivered {
    /// A record that was not put into the queue.
    pub(super) fn refused(
        record: &Record<'_>,
        opaque: u64,
        topic: String,
        partition: Option<i32>,
        error: KafkaError,
    ) -> Undelivered {
        let headers = record.headers.iter();
        Undelivered {
            opaque,
            topic,
            error,
            may_be_stored: false,
            partition,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    /// About its size in memory.
    pub(super) fn size(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter();
        let headers =
            headers.map(|(name, value)| 2 * size_of::<Vec<u8>>() + name.len() + length(value));
        size_of::<Undelivered>() + length(&self.key) + length(&self.value) + headers.sum::<usize>()
    }

    /// Its headers, for [`Undelivered::record`].
    pub fn headers(&self) -> Vec<Header<'_>> {
        self.headers
            .iter()
            .map(|(name, value)| Header {
                name,
                value: value.as_deref(),
            })
            .collect()
    }

    /// The record, with its topic and partition and without an offset.
    pub fn record<'a>(&'a self, headers: &'a [Header<'a>]) -> Record<'a> {
        Record {
            topic: Some(&self.topic),
            partition: self.partition,
            timestamp_ms: self.timestamp_ms,
            timestamp_type: match self.timestamp_ms {
                Some(_) => TimestampType::CreateTime,
                None => TimestampType::None,
            },
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
            ..Record::default()
        }
    }
}
