//! A record that was not delivered, with all that it takes to send it again or to keep it.

use crate::kafka::error::KafkaError;
use crate::record::{Header, Record, TimestampType};

/// A record that the producer has given up, or is about to send once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The number that it was sent with.
    pub number: u64,
    /// The topic that it was for.
    pub topic: String,
    /// Why it was not delivered.
    pub error: KafkaError,
    /// Whether a broker may have it all the same: it was under way, and the answer is missing.
    pub may_be_stored: bool,
    /// The partition that it said or that the partitioner chose; none where it did not come so far.
    pub(super) partition: Option<i32>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Undelivered {
    /// One that did not get into the queue.
    pub(super) fn refused(
        record: &Record<'_>,
        number: u64,
        topic: String,
        partition: Option<i32>,
        error: KafkaError,
    ) -> Undelivered {
        let headers = record.headers.iter();
        Undelivered {
            number,
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
