//! Offsets of many partitions at once: earliest, latest, by time (Kafka's `ListOffsets`).
//!
//! Every leader is asked once, all side by side. A partition whose leader has
//! just moved is asked again; every other error stays with its partition.

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest, ListOffsetsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

use super::metadata::{Metadata, metadata_of};
use super::query_budget::QueryBudget;
use crate::kafka::client::{Client, ContactError};
use crate::kafka::error::{KafkaError, code, is_leader_change};
use crate::kafka::options::Options;
use crate::kafka::types::TopicPartition;
use crate::kafka::wire::Wire;

/// What to look for in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetSpec {
    /// The log start: the first offset that is kept.
    Earliest,
    /// The end: the high watermark, or the last stable offset, by [`Isolation`].
    Latest,
    /// The high watermark: the end of all that is replicated.
    HighWatermark,
    /// The last stable offset: the first of an open transaction, else the high watermark.
    LastStable,
    /// The record with the largest timestamp (KIP-734, Kafka 3.0).
    MaxTimestamp,
    /// The first record at or after this time, milliseconds since 1970, not negative.
    Time(i64),
}

impl OffsetSpec {
    /// The field `timestamp` of the request (ListOffsetsRequest.json).
    fn timestamp(self) -> i64 {
        match self {
            OffsetSpec::Latest | OffsetSpec::HighWatermark | OffsetSpec::LastStable => -1,
            OffsetSpec::Earliest => -2,
            OffsetSpec::MaxTimestamp => -3,
            OffsetSpec::Time(time_ms) => time_ms,
        }
    }

    fn isolation(self, usual: Isolation) -> Isolation {
        match self {
            OffsetSpec::HighWatermark => Isolation::ReadUncommitted,
            OffsetSpec::LastStable => Isolation::ReadCommitted,
            _ => usual,
        }
    }

    /// The first version of the request that knows it; in v0 an answer was a list.
    fn first_version(self) -> i16 {
        match self {
            OffsetSpec::MaxTimestamp => 7,
            OffsetSpec::LastStable => 2,
            _ => 1,
        }
    }
}

/// What counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isolation {
    /// All that is replicated: up to the high watermark.
    ReadUncommitted,
    /// No record of an open transaction: up to the last stable offset.
    ReadCommitted,
}

impl Isolation {
    /// As the user says by `isolation.level`; committed, librdkafka's default, where nothing is said.
    pub fn of(options: &Options) -> Isolation {
        match options.get("isolation.level") {
            Some("read_uncommitted") => Isolation::ReadUncommitted,
            _ => Isolation::ReadCommitted,
        }
    }

    /// The field `isolation_level` of a request.
    pub(crate) fn level(self) -> i8 {
        match self {
            Isolation::ReadUncommitted => 0,
            Isolation::ReadCommitted => 1,
        }
    }
}

/// One partition asked for one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetQuery {
    pub topic: String,
    pub partition: i32,
    pub spec: OffsetSpec,
}

impl OffsetQuery {
    pub fn new((topic, partition): &TopicPartition, spec: OffsetSpec) -> OffsetQuery {
        OffsetQuery {
            topic: topic.clone(),
            partition: *partition,
            spec,
        }
    }
}

/// What a partition answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; none where no record is at or after the time.
    pub offset: Option<i64>,
    /// The time of the record there, milliseconds since 1970; only a look-up by time returns it.
    pub timestamp_ms: Option<i64>,
}

type Answers = Vec<Option<Result<ListedOffset, KafkaError>>>;

/// Asks for `questions` and gives an answer for each, in their order.
///
/// Errors of single partitions are in their answers; `Err` means that nobody was asked.
pub fn offsets(
    client: &Client,
    questions: &[OffsetQuery],
    isolation: Isolation,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Result<ListedOffset, KafkaError>>, ContactError> {
    let mut wire = Wire::new(client);
    let topics = questions.iter().map(|question| question.topic.clone());
    let metadata = metadata_of(&mut wire, topics, interrupted)?;
    let mut budget = QueryBudget::new(client.first_contact(), interrupted);
    offsets_over(&mut wire, &metadata, questions, isolation, &mut budget)
}

/// As [`offsets`], over requests that go on after it, of leaders that are known.
pub fn offsets_over(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    questions: &[OffsetQuery],
    isolation: Isolation,
    budget: &mut QueryBudget<'_>,
) -> Result<Vec<Result<ListedOffset, KafkaError>>, ContactError> {
    let mut answers: Answers = vec![None; questions.len()];
    if metadata.is_mock() {
        refuse_times(questions, &mut answers);
    }
    let mut newer = None;
    for attempt in 0u32.. {
        let wants_asking = |index: &usize| wants_asking(answers[*index].as_ref());
        let open: Vec<usize> = (0..questions.len()).filter(wants_asking).collect();
        if open.is_empty() {
            break;
        }
        if attempt > 0 {
            if !budget.pause(attempt - 1) {
                break;
            }
            let topics = open.iter().map(|&index| questions[index].topic.clone());
            newer = Some(metadata_of(wire, topics, budget.interrupted())?);
        }
        let metadata = newer.as_ref().unwrap_or(metadata);
        let leader = |question: &OffsetQuery| metadata.leader(&question.topic, question.partition);
        let calls = split_into_calls(questions, &open, isolation, leader, &mut answers);
        ask(wire, questions, &calls, budget, &mut answers);
        if (budget.interrupted())() {
            return Err(ContactError::Interrupted);
        }
    }
    let unanswered = || Err(KafkaError::of(code::TIMED_OUT));
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(unanswered))
        .collect())
}

/// The mock cluster says "nothing so late" to every time, which is not true.
fn refuse_times(questions: &[OffsetQuery], answers: &mut Answers) {
    for (question, answer) in questions.iter().zip(answers) {
        if matches!(
            question.spec,
            OffsetSpec::Time(_) | OffsetSpec::MaxTimestamp
        ) {
            *answer = Some(Err(KafkaError::new(
                code::UNSUPPORTED_FEATURE,
                "the mock cluster does not look up offsets by time",
            )));
        }
    }
}

/// Not yet asked, or asked in the moment in which a leader moved.
fn wants_asking(answer: Option<&Result<ListedOffset, KafkaError>>) -> bool {
    match answer {
        None => true,
        Some(Ok(_)) => false,
        Some(Err(error)) => is_leader_change(error.code),
    }
}

/// What goes into one request: its broker, its isolation, and how often a partition of it was met before,
/// because no request may name one twice.
type Call = (i32, Isolation, i16, usize);

/// Which question goes into which request; what has no leader is answered at once.
fn split_into_calls(
    questions: &[OffsetQuery],
    open: &[usize],
    isolation: Isolation,
    mut leader: impl FnMut(&OffsetQuery) -> Result<i32, KafkaError>,
    answers: &mut Answers,
) -> BTreeMap<Call, Vec<usize>> {
    let mut calls: BTreeMap<Call, Vec<usize>> = BTreeMap::new();
    let mut met = std::collections::HashMap::new();
    for &index in open {
        let question = &questions[index];
        match leader(question) {
            Ok(broker) => {
                let spec = question.spec;
                let key = (question.topic.as_str(), question.partition, broker);
                let times = met.entry(key).or_insert(0usize);
                let call = (
                    broker,
                    spec.isolation(isolation),
                    spec.first_version(),
                    *times,
                );
                *times += 1;
                calls.entry(call).or_default().push(index);
            }
            Err(error) => answers[index] = Some(Err(error)),
        }
    }
    calls
}

/// Sends the requests, all side by side.
fn ask(
    wire: &mut Wire<'_>,
    questions: &[OffsetQuery],
    calls: &BTreeMap<Call, Vec<usize>>,
    budget: &mut QueryBudget<'_>,
    answers: &mut Answers,
) {
    let requests = calls.iter().map(|(call, indices)| {
        let (broker, isolation, first_version, _) = *call;
        let request = request(questions, indices, isolation);
        // A broker that does not know what is asked for must not answer something else.
        let versions = first_version..=i16::MAX;
        (broker, versions, move |_: i16| request)
    });
    let requests = requests.collect();
    let responses = budget.fan_out_versions::<ListOffsetsRequest, _>(wire, requests);
    for (indices, response) in calls.values().zip(responses) {
        match response {
            Ok(response) => take(&response, questions, indices, answers),
            Err(error) => {
                for &index in indices {
                    answers[index] = Some(Err(error.clone()));
                }
            }
        }
    }
}

/// The request to one leader for questions of one [`OffsetSpec`].
pub(crate) fn request_of(questions: &[OffsetQuery], usual: Isolation) -> ListOffsetsRequest {
    let isolation = questions.first().map_or(usual, |q| q.spec.isolation(usual));
    let all: Vec<usize> = (0..questions.len()).collect();
    request(questions, &all, isolation)
}

/// The answers to [`request_of`], in the order of the questions.
pub(crate) fn answers_of(
    questions: &[OffsetQuery],
    response: &ListOffsetsResponse,
) -> Vec<Result<ListedOffset, KafkaError>> {
    let all: Vec<usize> = (0..questions.len()).collect();
    let mut answers: Answers = vec![None; questions.len()];
    take(response, questions, &all, &mut answers);
    answers.into_iter().flatten().collect()
}

fn request(
    questions: &[OffsetQuery],
    indices: &[usize],
    isolation: Isolation,
) -> ListOffsetsRequest {
    let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for &index in indices {
        let question = &questions[index];
        let partition = ListOffsetsPartition::default()
            .with_partition_index(question.partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(question.spec.timestamp());
        topics.entry(&question.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.to_owned())))
            .with_partitions(partitions)
    });
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation.level())
        .with_topics(topics.collect())
}

/// Puts the rows of a response in their places.
fn take(
    response: &ListOffsetsResponse,
    questions: &[OffsetQuery],
    indices: &[usize],
    answers: &mut Answers,
) {
    let mut places = std::collections::HashMap::new();
    for &index in indices {
        let question = &questions[index];
        places.insert((question.topic.as_str(), question.partition), index);
        answers[index] = Some(Err(not_known(question)));
    }
    for topic in &response.topics {
        for row in &topic.partitions {
            let Some(&index) = places.get(&(topic.name.as_str(), row.partition_index)) else {
                continue;
            };
            let listed = KafkaError::check(row.error_code).map(|()| ListedOffset {
                offset: (row.offset >= 0).then_some(row.offset),
                timestamp_ms: (row.timestamp >= 0).then_some(row.timestamp),
            });
            answers[index] = Some(listed);
        }
    }
}

/// An answer without the row that was asked for.
fn not_known(question: &OffsetQuery) -> KafkaError {
    let (topic, partition) = (&question.topic, question.partition);
    let reason = format!("the broker's answer has no row for {topic}:{partition}");
    KafkaError::new(code::BAD_MESSAGE, reason)
}

#[cfg(test)]
mod tests {
    use super::{Isolation, KafkaError, OffsetQuery, OffsetSpec, code, split_into_calls};

    fn question(topic: &str, partition: i32, spec: OffsetSpec) -> OffsetQuery {
        OffsetQuery {
            topic: topic.to_owned(),
            partition,
            spec,
        }
    }

    #[test]
    fn no_request_names_a_partition_twice_or_mixes_isolations() {
        let questions = [
            question("a", 0, OffsetSpec::Earliest),
            question("a", 0, OffsetSpec::Latest),
            question("b", 0, OffsetSpec::HighWatermark),
            question("b", 1, OffsetSpec::Latest),
        ];
        let mut answers = vec![None; 4];
        let calls = split_into_calls(
            &questions,
            &[0, 1, 2, 3],
            Isolation::ReadCommitted,
            |question| Ok(question.partition),
            &mut answers,
        );
        let calls: Vec<_> = calls.into_values().collect();
        assert_eq!(calls, [vec![2], vec![0], vec![1], vec![3]]);
    }

    #[test]
    fn a_partition_without_a_leader_is_answered_without_asking() {
        let questions = [question("a", 0, OffsetSpec::Earliest)];
        let mut answers = vec![None];
        let none = KafkaError::new(code::LEADER_NOT_AVAILABLE, "no leader");
        let calls = split_into_calls(
            &questions,
            &[0],
            Isolation::ReadCommitted,
            |_| Err(none.clone()),
            &mut answers,
        );
        assert!(calls.is_empty());
        assert_eq!(answers, [Some(Err(none))]);
    }
}
