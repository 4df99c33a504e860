//! The end of the whole group's work: where every partition ended as the member joined, and what is still before it.
#![allow(unsafe_code)]

use std::collections::BTreeMap;

use super::{GroupError, Member};
use crate::kafka::cluster::Spec;
use crate::kafka::consume::span::list_offsets;
use crate::kafka::consume::{Place, topics};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;
use crate::kafka::partitions::{PartitionList, entries};

/// How long the group's coordinator may take to say what is committed.
const ASK_MS: i32 = 5000;

impl Member {
    /// Notes where every partition of the topics ends.
    pub(super) fn note_ends(&mut self, interrupted: &dyn Fn() -> bool) -> Result<(), GroupError> {
        let found = topics::find(&self.client, &self.membership.topics, interrupted)?;
        let places = found.iter().flat_map(|topic| {
            let of_topic = topic.partitions.iter();
            of_topic.map(|partition| (topic.name.clone(), *partition))
        });
        let places: Vec<Place> = places.collect();
        let isolation = self.membership.isolation;
        let ends = list_offsets(&self.client, &places, Spec::Latest, isolation, interrupted)?;
        self.ends = ends
            .into_iter()
            .filter_map(|(place, end)| Some((place, end?)))
            .filter(|(_, end)| *end > 0)
            .collect();
        Ok(())
    }

    /// The ends that were noted at the start, of those partitions that held something then.
    pub fn ends(&self) -> &BTreeMap<Place, i64> {
        &self.ends
    }

    /// Whether all that is assigned was read to the end that was noted at the start; so too where nothing is assigned.
    pub fn has_read_its_share(&self) -> bool {
        self.states().all(|state| state.is_done)
    }

    /// Those of the ends that the group, as far as it has committed, has not reached.
    ///
    /// Waits for the coordinator. `Ok(None)`: it can't say now.
    pub fn behind(&self) -> Result<Option<BTreeMap<Place, i64>>, GroupError> {
        if self.ends.is_empty() {
            return Ok(Some(BTreeMap::new()));
        }
        let mut list = PartitionList::new();
        for (topic, partition) in self.ends.keys() {
            list.add(topic, *partition, 0)
                .map_err(|e| self.refused(e))?;
        }
        // SAFETY: handle and list are live; the answer is written into the list.
        let (error, answers) = unsafe {
            let error = ffi::committed(self.client.as_ptr(), list.as_ptr(), ASK_MS);
            (error, entries(list.as_ptr()))
        };
        match error {
            code::NONE => {}
            code::GROUP_AUTHORIZATION_FAILED => return Err(self.refused(KafkaError::of(error))),
            _ => return Ok(None),
        }
        if answers.iter().any(|answer| answer.error != code::NONE) {
            return Ok(None);
        }
        let behind = answers.into_iter().filter_map(|answer| {
            let place = (answer.topic, answer.partition);
            let end = *self.ends.get(&place)?;
            (answer.offset < end).then_some((place, end))
        });
        Ok(Some(behind.collect()))
    }
}
