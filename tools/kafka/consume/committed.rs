//! The committed offsets of the group that `group.id` names.

use std::collections::{HashMap, HashSet};

use crate::kafka::Client;
use crate::kafka::admin::metadata::metadata_of;
use crate::kafka::admin::{QueryBudget, committed, coordinators};
use crate::kafka::consume::ConsumeError;
use crate::kafka::error::KafkaError;
use crate::kafka::types::TopicPartition;
use crate::kafka::wire::Wire;

/// The committed offsets of `group.id`; partitions without one are missing.
pub(crate) fn committed_offsets(
    client: &Client,
    partitions: &[TopicPartition],
    interrupted: &dyn Fn() -> bool,
) -> Result<HashMap<TopicPartition, i64>, ConsumeError> {
    let group = client.property("group.id").unwrap_or_default();
    let failed = |error: KafkaError| {
        let reason = format!("group {group}: {error}");
        ConsumeError::Failed(KafkaError::new(error.code, reason))
    };
    let wanted: HashSet<(&str, i32)> = partitions.iter().map(|(t, p)| (t.as_str(), *p)).collect();
    let mut wire = Wire::new(client);
    let topics = partitions.iter().map(|(topic, _)| topic.clone());
    let metadata = metadata_of(&mut wire, topics, interrupted)?;
    let mut budget = QueryBudget::new(client.first_contact(), interrupted);
    budget = budget.among(metadata.broker_ids());
    let found = coordinators(&mut wire, std::slice::from_ref(&group), &mut budget);
    let coordinator = found.into_iter().next().transpose().map_err(failed)?;
    let groups = [(group.as_str(), coordinator.unwrap_or_default())];
    let answers = committed(&mut wire, &groups, &metadata, &mut budget);
    let mut offsets = HashMap::new();
    for topic in answers
        .into_iter()
        .next()
        .transpose()
        .map_err(failed)?
        .unwrap_or_default()
    {
        for (partition, offset) in topic.partitions {
            if !wanted.contains(&(&*topic.topic, partition)) {
                continue;
            }
            let key = (topic.topic.to_string(), partition);
            let offset = offset.map_err(|error| ConsumeError::Partition {
                topic: key.0.clone(),
                partition,
                error,
            })?;
            offsets.insert(key, offset);
        }
    }
    Ok(offsets)
}
