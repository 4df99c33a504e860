//! The topics of a share group's member: their ids, names and leaders, and when to look them up again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::request::PartitionId;
use crate::kafka::admin::metadata::Metadata;
use crate::kafka::consume::ConsumeError;
use crate::kafka::consume::topics::TopicPatterns;

/// How often the metadata are refreshed although nothing is missing.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Topics {
    /// As they were asked for.
    names: Vec<String>,
    patterns: TopicPatterns,
    by_id: HashMap<Uuid, Arc<str>>,
    leaders: HashMap<PartitionId, i32>,
    refresh_at: Instant,
}

impl Topics {
    pub(super) fn new(names: Vec<String>, now: Instant) -> Result<Topics, ConsumeError> {
        Ok(Topics {
            patterns: TopicPatterns::new(&names)?,
            names,
            by_id: HashMap::new(),
            leaders: HashMap::new(),
            refresh_at: now,
        })
    }

    /// Whether topics that appear later may belong to them.
    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    pub(super) fn name(&self, id: Uuid) -> Arc<str> {
        let name = self.by_id.get(&id).map(Arc::clone);
        name.unwrap_or_else(|| id.to_string().into())
    }

    pub(super) fn leader(&self, id: PartitionId) -> Option<i32> {
        self.leaders.get(&id).copied()
    }

    pub(super) fn refresh_at(&self) -> Instant {
        self.refresh_at
    }

    /// The metadata were requested.
    pub(super) fn refresh_requested(&mut self, now: Instant) {
        self.refresh_at = now + REFRESH_INTERVAL;
    }

    /// Something is missing, or has changed.
    pub(super) fn refresh_soon(&mut self, now: Instant) {
        self.refresh_at = self.refresh_at.min(now + RETRY_INTERVAL);
    }

    /// Returns the names of the topics that match.
    pub(super) fn update(&mut self, metadata: &Metadata) -> Vec<String> {
        let mut names = Vec::new();
        for topic in &metadata.topics {
            if !self.names.contains(&topic.name) && !self.patterns.matches(&topic.name) {
                continue;
            }
            names.push(topic.name.clone());
            self.by_id.insert(topic.id, topic.name.as_str().into());
            for partition in &topic.partitions {
                let id = (topic.id, partition.id);
                match partition.leader {
                    Some(leader) => self.leaders.insert(id, leader),
                    None => self.leaders.remove(&id),
                };
            }
        }
        names
    }
}
