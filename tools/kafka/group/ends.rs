//! What the group has committed, and the end of the whole group's work: where every partition ended as the member
//! joined, and what is still before it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::begin::TopicAtJoin;
use super::handle::Committed;
use super::{GroupError, Member, is_outage};
use crate::kafka::admin::{OffsetSpec, QueryBudget, coordinators};
use crate::kafka::client::ContactError;
use crate::kafka::consume::offset_range::list_offsets;
use crate::kafka::consume::{ConsumeError, topics};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::types::TopicPartition;
use crate::kafka::wire::Wire;

/// How long one question to the group's coordinator may take: a signal is heard between two.
const ASK: Duration = Duration::from_secs(1);
/// The first question is short: one that waits for a connection is answered late.
const FIRST_ASK: Duration = Duration::from_millis(250);
/// The first contact with the coordinator may take so many times that with the cluster: its topic may have to be made.
const COORDINATOR_TIMES: u32 = 3;

impl Member {
    /// What is committed, asked for until it is answered or `begun` is longer ago than `limit`; `None` after a signal.
    pub(super) fn ask_committed(
        &self,
        topic_partitions: &[TopicPartition],
        limit: Option<Duration>,
    ) -> Result<Option<Committed>, GroupError> {
        let begun = Instant::now();
        let mut within = FIRST_ASK;
        loop {
            let answer = match self.handle.committed(topic_partitions, within) {
                // librdkafka goes on looking for a coordinator that the group's rights hide.
                Err(error) if is_outage(error.code) => {
                    Err(self.coordinator_refusal().unwrap_or(error))
                }
                answer => answer,
            };
            match answer {
                Ok(committed) => return Ok(Some(committed)),
                Err(_) if (self.interrupted)() => return Ok(None),
                Err(error) if !is_outage(error.code) && error.code != code::UNSTABLE_OFFSET => {
                    return Err(self.refused(error));
                }
                Err(_) if limit.is_some_and(|limit| begun.elapsed() >= limit) => {
                    return Err(GroupError::NoCoordinator {
                        group: self.membership.group.clone(),
                        seconds: begun.elapsed().as_secs(),
                        cause: self.known_cause(),
                    });
                }
                Err(_) if !self.may_retry(begun) => return Err(self.gave_up(begun.elapsed())),
                // An answer may come at once, and be "not yet".
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
            within = (within * 2).min(ASK);
        }
    }

    /// Why this client may not know the group's coordinator, if that is so.
    fn coordinator_refusal(&self) -> Option<KafkaError> {
        let is_over = || (self.interrupted)();
        let mut wire = Wire::new(&self.handle.client);
        let mut budget = QueryBudget::new(ASK, &is_over);
        let groups = [self.membership.group.clone()];
        let found = coordinators(&mut wire, &groups, &mut budget);
        let error = found.into_iter().next()?.err()?;
        (error.code == code::GROUP_AUTHORIZATION_FAILED).then_some(error)
    }

    /// Looks at what there is before this member joins: the topics' partitions, and what the group has committed.
    pub(super) fn check_topics(&mut self) -> Result<(), GroupError> {
        let interrupted = || (self.interrupted)();
        let client = &self.handle.client;
        let found = match topics::find(client, &self.membership.topics, &interrupted) {
            // A topic that matches may be made later.
            Err(ConsumeError::NothingMatches(_)) => Vec::new(),
            other => other?,
        };
        let mut topic_partitions: Vec<TopicPartition> = Vec::new();
        for topic in &found {
            let partitions = topic.partitions.iter().max().map_or(0, |last| last + 1);
            let known = TopicAtJoin {
                partitions,
                has_commits: false,
            };
            self.at_join.insert(topic.name.clone(), known);
            let own = topic.partitions.iter();
            topic_partitions.extend(own.map(|partition| (topic.name.clone(), *partition)));
        }
        if self.membership.is_reset_set {
            // The coordinator is met all the same.
            topic_partitions.truncate(1);
        }
        let limit = client.first_contact().saturating_mul(COORDINATOR_TIMES);
        let committed = self.ask_committed(&topic_partitions, Some(limit))?;
        let committed = committed.ok_or(ContactError::Interrupted)?;
        for ((topic, _), offset) in committed {
            if let Some(known) = self.at_join.get_mut(&topic) {
                known.has_commits |= offset.is_some();
            }
        }
        Ok(())
    }

    /// Notes where every partition of the topics ends.
    pub(super) fn fetch_ends(&mut self) -> Result<(), GroupError> {
        let topic_partitions = self.at_join.iter().flat_map(|(topic, known)| {
            (0..known.partitions).map(move |partition| (topic.clone(), partition))
        });
        let topic_partitions: Vec<TopicPartition> = topic_partitions.collect();
        let isolation = self.membership.isolation;
        let interrupted = || (self.interrupted)();
        let client = &self.handle.client;
        let ends = list_offsets(
            client,
            &topic_partitions,
            OffsetSpec::Latest,
            isolation,
            &interrupted,
        )?;
        self.ends = ends
            .into_iter()
            .filter_map(|(topic_partition, end)| Some((topic_partition, end?)))
            .filter(|(_, end)| *end > 0)
            .collect();
        Ok(())
    }

    /// The ends that were noted at the start, of those partitions that held something then.
    pub fn ends(&self) -> &BTreeMap<TopicPartition, i64> {
        &self.ends
    }

    /// Whether all that is assigned was read to the end that was noted at the start; so too where nothing is assigned.
    pub fn has_read_all(&self) -> bool {
        self.reader.is_done()
    }

    /// Those of the ends that the group, as far as it has committed, has not reached.
    ///
    /// Waits a moment for the coordinator. `Ok(None)`: it can't say now.
    pub fn behind(&self) -> Result<Option<BTreeMap<TopicPartition, i64>>, GroupError> {
        let topic_partitions: Vec<TopicPartition> = self.ends.keys().cloned().collect();
        if topic_partitions.is_empty() {
            return Ok(Some(BTreeMap::new()));
        }
        let committed = match self.handle.committed(&topic_partitions, ASK) {
            Ok(committed) => committed,
            Err(error) if error.code == code::GROUP_AUTHORIZATION_FAILED => {
                return Err(self.refused(error));
            }
            Err(_) => return Ok(None),
        };
        let is_behind = |topic_partition: &TopicPartition, end: i64| {
            let offset = committed.get(topic_partition).copied().flatten();
            offset.is_none_or(|offset| offset < end)
        };
        let behind = self
            .ends
            .iter()
            .filter(|(topic_partition, end)| is_behind(topic_partition, **end));
        Ok(Some(
            behind
                .map(|(topic_partition, end)| (topic_partition.clone(), *end))
                .collect(),
        ))
    }
}
