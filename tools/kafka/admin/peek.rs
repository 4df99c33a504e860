//! A few bytes of many partitions at once: what lies at an offset (Kafka's `Fetch`).
//!
//! A broker sends nothing of a partition whose next batch is larger than its
//! limit (but for the first partition of an answer). So a limit that holds a
//! marker of a transaction and little else tells, for next to nothing,
//! whether there is a marker.

use std::collections::HashMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::offsets::Isolation;
use super::query_budget::QueryBudget;
use crate::kafka::batch::{AbortedTransactions, BatchDecoder, BatchError, Batches, RawRecord};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::wire::Wire;

/// Where to read in a partition, and how much at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeekPosition<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// The most bytes, where they are not the first of the answer.
    pub limit_bytes: i32,
}

/// What a partition has at an offset: batches as they are, from the one that the offset is in, up to the last stable offset.
#[derive(Clone, Debug)]
pub struct PartitionBatches {
    batches: Bytes,
    aborted: AbortedTransactions,
}

/// What was met in a [`PartitionBatches`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanSummary {
    /// Where to read on; none where there was no whole batch.
    pub next_offset: Option<i64>,
    /// Whether there was a batch of a transaction, or a marker of one.
    pub transactions: bool,
}

/// The versions that name topics by their names; from 13 on it is their ids.
pub(super) const VERSIONS: std::ops::RangeInclusive<i16> = 4..=12;
/// The most bytes of one answer, far below librdkafka's `receive.message.max.bytes`.
const ANSWER_BYTES: i32 = 32 * 1024 * 1024;

/// Reads at several lists of positions, each with the broker that leads them: one request a list, all under way at once.
///
/// A position for which the broker sent nothing gets an empty `PartitionBatches`. Requires READ on the topics.
pub fn peek(
    wire: &mut Wire<'_>,
    lists: &[(i32, Vec<PeekPosition<'_>>)],
    isolation: Isolation,
    budget: &mut QueryBudget<'_>,
) -> Vec<Vec<Result<PartitionBatches, KafkaError>>> {
    let requests = lists.iter().map(|(broker, positions)| {
        let request = fetch_request(positions.iter().copied(), isolation, ANSWER_BYTES);
        let build = move |_version: i16| request;
        (*broker, build)
    });
    let answers = budget.fan_out(wire, &VERSIONS, requests.collect());
    lists
        .iter()
        .zip(answers)
        .map(|((_, positions), answer)| {
            let failed = |error: KafkaError| positions.iter().map(|_| Err(error.clone())).collect();
            let checked = answer.and_then(|response| {
                KafkaError::check(response.error_code).map(|()| response.responses)
            });
            let topics = match checked {
                Ok(topics) => topics,
                Err(error) => return failed(error),
            };
            let mut found: HashMap<(StrBytes, i32), PartitionData> = HashMap::new();
            for topic in topics {
                for data in topic.partitions {
                    found.insert((topic.topic.0.clone(), data.partition_index), data);
                }
            }
            let take = |position: &PeekPosition<'_>| {
                let name = StrBytes::from_string(position.topic.to_owned());
                found.remove(&(name, position.partition))
            };
            let missing = || Err(KafkaError::of(code::UNKNOWN_PARTITION));
            positions
                .iter()
                .map(take)
                .map(|data| data.map_or_else(missing, batches))
                .collect()
        })
        .collect()
}

/// Asks for records at these positions, without a session (KIP-227) and without waiting; at most about `max_bytes`.
///
/// Positions of one topic that stand together share a row. Where only committed records are read, the broker names
/// the aborted transactions.
pub(super) fn fetch_request<'a>(
    positions: impl IntoIterator<Item = PeekPosition<'a>>,
    isolation: Isolation,
    max_bytes: i32,
) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for position in positions {
        let partition = FetchPartition::default()
            .with_partition(position.partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(position.offset)
            .with_partition_max_bytes(position.limit_bytes);
        match topics.last_mut() {
            Some(last) if last.topic.as_str() == position.topic => last.partitions.push(partition),
            _ => {
                let name = TopicName(StrBytes::from_string(position.topic.to_owned()));
                let topic = FetchTopic::default().with_topic(name);
                topics.push(topic.with_partitions(vec![partition]));
            }
        }
    }
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(max_bytes)
        .with_isolation_level(isolation.level())
        .with_session_epoch(-1)
        .with_topics(topics)
}

fn batches(data: PartitionData) -> Result<PartitionBatches, KafkaError> {
    KafkaError::check(data.error_code)?;
    let aborted = aborted(&data);
    Ok(PartitionBatches {
        batches: data.records.unwrap_or_default(),
        aborted,
    })
}

/// The aborted transactions that the broker lists.
pub(super) fn aborted(data: &PartitionData) -> AbortedTransactions {
    let listed = data.aborted_transactions.iter().flatten();
    AbortedTransactions::new(listed.map(|t| (t.producer_id.0, t.first_offset)).collect())
}

impl PartitionBatches {
    /// Calls `take` with every message from `offset` on, until it says `Break`: no markers, nothing of aborted transactions.
    pub fn messages(
        &self,
        offset: i64,
        decoder: &mut BatchDecoder,
        mut take: impl FnMut(&RawRecord<'_>) -> ControlFlow<()>,
    ) -> Result<ScanSummary, BatchError> {
        let mut summary = ScanSummary::default();
        let mut aborted = self.aborted.clone();
        for batch in Batches::new(&self.batches) {
            let batch = batch?;
            summary.next_offset = Some(batch.next_offset());
            summary.transactions |= batch.is_transactional() || batch.is_control();
            if aborted.hides(&batch)? {
                continue;
            }
            batch.check()?;
            let flow = decoder.records(&batch, |record| {
                if record.offset < offset {
                    // The batch begins below the log start, or below what was asked for.
                    return ControlFlow::Continue(());
                }
                take(&record)
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(summary)
    }

    /// Whether the broker sent no batch, because there is none or because it is larger than the limit.
    pub fn is_empty(&self) -> bool {
        Batches::new(&self.batches).next().is_none()
    }
}
