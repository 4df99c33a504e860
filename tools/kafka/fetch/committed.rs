//! The committed offsets of a group, by librdkafka, which finds the coordinator.
#![allow(unsafe_code)]

use std::collections::HashMap;

use crate::kafka::client::ContactError;
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::{KafkaError, code};
use crate::kafka::partitions::{PartitionList, entries};
use crate::kafka::types::TopicPartition;
use crate::kafka::{Client, ffi};

/// The committed offsets of `group.id`; partitions without one are missing.
pub(super) fn committed(
    client: &Client,
    partitions: &[TopicPartition],
    interrupted: &dyn Fn() -> bool,
) -> Result<HashMap<TopicPartition, i64>, ConsumeError> {
    let mut list = PartitionList::new();
    for (topic, partition) in partitions {
        list.add(topic, *partition, ffi::RD_KAFKA_OFFSET_INVALID.into())
            .map_err(ConsumeError::Failed)?;
    }
    client
        .retry_until_contact(interrupted, |timeout_ms| {
            // SAFETY: handle and list are live.
            let failed = unsafe { ffi::committed(client.as_ptr(), list.as_ptr(), timeout_ms) };
            match failed {
                code::NONE => Ok(()),
                failed => Err(KafkaError::of(failed)),
            }
        })
        .map_err(|error| match error {
            ContactError::Answered(error) => ConsumeError::Failed(error),
            other => other.into(),
        })?;
    let mut found = HashMap::new();
    // SAFETY: the list is live.
    for entry in unsafe { entries(list.as_ptr()) } {
        let key = (entry.topic, entry.partition);
        if entry.error != code::NONE {
            return Err(ConsumeError::Partition {
                topic: key.0,
                partition: key.1,
                error: KafkaError::of(entry.error),
            });
        }
        if entry.offset >= 0 {
            found.insert(key, entry.offset);
        }
    }
    Ok(found)
}
