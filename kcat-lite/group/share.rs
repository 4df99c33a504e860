//! `-e` of a group: whether all of its members together have reached the end.

use std::time::{Duration, Instant};

use tools::kafka::group::{GroupError, Member};
use tools::kafka::types::TopicPartition;

/// How often to fetch the group's committed offsets.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Checks whether the group's committed offsets have reached the end.
pub(super) struct GroupEnd {
    asked: Option<Instant>,
}

impl GroupEnd {
    pub(super) fn new() -> GroupEnd {
        GroupEnd { asked: None }
    }

    /// Whether everything up to the end noted at the start is committed, or in flight here as `is_mine` says.
    pub(super) fn is_reached(
        &mut self,
        member: &Member,
        is_mine: impl Fn(&TopicPartition, i64) -> bool,
    ) -> Result<bool, GroupError> {
        let is_mine =
            |(topic_partition, end): (&TopicPartition, &i64)| is_mine(topic_partition, *end);
        if member.ends().iter().all(is_mine) {
            return Ok(true);
        }
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return Ok(false);
        }
        let behind = member.behind()?;
        self.asked = Some(Instant::now());
        Ok(behind.is_some_and(|behind| behind.iter().all(is_mine)))
    }
}
