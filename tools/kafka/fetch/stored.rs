//! The offsets that a group has committed: librdkafka knows how to find whom to ask.
#![allow(unsafe_code)]

use std::collections::HashMap;

use crate::kafka::client::ContactError;
use crate::kafka::consume::{ConsumeError, Place};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::partitions::{PartitionList, entries};
use crate::kafka::{Client, ffi};

/// What `group.id` has committed of these partitions; those without a commit are left out.
pub(super) fn committed(
    client: &Client,
    places: &[Place],
    interrupted: &dyn Fn() -> bool,
) -> Result<HashMap<Place, i64>, ConsumeError> {
    let mut list = PartitionList::new();
    for (topic, partition) in places {
        list.add(topic, *partition, ffi::RD_KAFKA_OFFSET_INVALID.into())
            .map_err(ConsumeError::Failed)?;
    }
    client
        .ask_first(interrupted, |timeout_ms| {
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
        let place = (entry.topic, entry.partition);
        if entry.error != code::NONE {
            return Err(ConsumeError::Partition {
                topic: place.0,
                partition: place.1,
                error: KafkaError::of(entry.error),
            });
        }
        if entry.offset >= 0 {
            found.insert(place, entry.offset);
        }
    }
    Ok(found)
}
