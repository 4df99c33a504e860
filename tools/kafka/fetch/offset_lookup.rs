//! Looks up the log offsets of partitions whose position is to be reset: three requests to their leader, side by side. Pure.

use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::fetcher::{LogOffsets, ResetPlan};
use crate::kafka::admin::offsets::{answers_of, request_of};
use crate::kafka::admin::{Isolation, OffsetQuery, OffsetSpec};
use crate::kafka::error::{KafkaError, code};

/// One request for each, in the order of the fields of [`LogOffsets`].
const SPECS: [OffsetSpec; 3] = [
    OffsetSpec::Earliest,
    OffsetSpec::Latest,
    OffsetSpec::HighWatermark,
];

/// The requests to one leader, and the responses so far.
pub(super) struct OffsetLookup {
    plan: ResetPlan,
    questions: [Vec<OffsetQuery>; 3],
    offsets: [Option<Vec<Result<i64, KafkaError>>>; 3],
}

impl OffsetLookup {
    /// `topic_partition` names the partition of an index.
    pub(super) fn new(
        plan: ResetPlan,
        topic_partition: impl Fn(usize) -> (String, i32),
    ) -> OffsetLookup {
        let questions = SPECS.map(|spec| {
            let question = |&index: &usize| {
                let (topic, partition) = topic_partition(index);
                OffsetQuery {
                    topic,
                    partition,
                    spec,
                }
            };
            plan.partitions.iter().map(question).collect()
        });
        OffsetLookup {
            plan,
            questions,
            offsets: [const { None }; 3],
        }
    }

    /// The requests; each response goes to [`OffsetLookup::handle_response`] with its number.
    pub(super) fn requests(&self, isolation: Isolation) -> [ListOffsetsRequest; 3] {
        [0, 1, 2].map(|number| request_of(&self.questions[number], isolation))
    }

    /// True if this was the last response.
    pub(super) fn handle_response(
        &mut self,
        number: usize,
        response: Result<ListOffsetsResponse, KafkaError>,
    ) -> bool {
        let questions = &self.questions[number];
        let answers = match response {
            Ok(response) => answers_of(questions, &response),
            Err(error) => vec![Err(error); questions.len()],
        };
        let offsets = answers
            .into_iter()
            .map(|found| Ok(found?.offset.unwrap_or(0)));
        self.offsets[number] = Some(offsets.collect());
        self.offsets.iter().all(Option::is_some)
    }

    /// The result of each partition of the plan.
    pub(super) fn finish(self) -> (ResetPlan, Vec<Result<LogOffsets, KafkaError>>) {
        let [mut log_starts, mut ends, mut high_watermarks] = self
            .offsets
            .map(|offsets| offsets.unwrap_or_default().into_iter());
        let mut log = || {
            let next = |offsets: &mut std::vec::IntoIter<_>| {
                let missing = || Err(KafkaError::of(code::TIMED_OUT));
                offsets.next().unwrap_or_else(missing)
            };
            let log_start = next(&mut log_starts);
            let end = next(&mut ends);
            let high_watermark = next(&mut high_watermarks);
            Ok(LogOffsets {
                log_start: log_start?,
                end: end?,
                high_watermark: high_watermark?,
            })
        };
        let logs = self.plan.partitions.iter().map(|_| log()).collect();
        (self.plan, logs)
    }
}
