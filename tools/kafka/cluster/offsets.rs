//! Offsets of many partitions at once: earliest, latest, by time (librdkafka's `ListOffsets`).
//!
//! librdkafka asks every leader once and tells what came back. What it leaves
//! to its caller is done here: it merges answers in quadratic time, refuses a
//! partition named twice, does not ask again after a leader has moved, and
//! tells a broker that did not answer as offset -1001 without an error.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::CString;
use std::time::{Duration, Instant};

use super::metadata::is_mock;
use crate::kafka::client::{Client, ContactError, Event};
use crate::kafka::error::{KafkaError, code};
use crate::kafka::ffi;
use crate::kafka::options::Options;

/// What to look for in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spec {
    /// The log start: the first offset that is kept.
    Earliest,
    /// The end: the high watermark, or the last stable offset, by [`Isolation`].
    Latest,
    /// The first record at or after this time, milliseconds since 1970, not negative.
    Time(i64),
}

/// What counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// One partition asked for one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// What to look for.
    pub spec: Spec,
}

/// What a partition answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The offset; none where no record is at or after the time.
    pub offset: Option<i64>,
    /// The time of the record there, milliseconds since 1970; only a look-up by time tells it.
    pub timestamp_ms: Option<i64>,
}

/// The most partitions of one call: librdkafka's work grows with their square, and above 2000 it shows.
const CHUNK: usize = 1000;
/// How often a partition whose leader has just moved is asked again; the wait doubles from [`BACKOFF`].
const RETRIES: u32 = 4;
const BACKOFF: Duration = Duration::from_millis(100);
/// librdkafka's `RD_KAFKA_OFFSET_INVALID`.
const NO_OFFSET: i64 = -1001;

type Answers = Vec<Option<Result<Found, KafkaError>>>;

/// Asks for `questions` and gives an answer for each, in their order.
///
/// The contact should stand before ([`metadata`](super::metadata()) makes it):
/// a cold handle may lose 3 s to a timer of librdkafka's. Errors of single
/// partitions are in their answers; `Err` means that nobody was asked.
pub fn offsets(
    client: &Client,
    questions: &[Question],
    isolation: Isolation,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<Result<Found, KafkaError>>, ContactError> {
    let mut answers: Answers = vec![None; questions.len()];
    if is_mock(client) {
        refuse_times(questions, &mut answers);
    }
    let mut backoff = BACKOFF;
    for attempt in 0..=RETRIES {
        let open: Vec<usize> = (0..questions.len())
            .filter(|&index| wants_asking(answers[index].as_ref()))
            .collect();
        if open.is_empty() {
            break;
        }
        if attempt > 0 {
            std::thread::sleep(backoff);
            backoff *= 2;
        }
        for call in split_into_calls(questions, &open) {
            ask(
                client,
                questions,
                &call,
                isolation,
                interrupted,
                &mut answers,
            )?;
        }
    }
    let unanswered = || Err(KafkaError::of(code::TIMED_OUT));
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(unanswered))
        .collect())
}

/// The mock cluster says "nothing so late" to every time, which is not true.
fn refuse_times(questions: &[Question], answers: &mut Answers) {
    for (question, answer) in questions.iter().zip(answers) {
        if matches!(question.spec, Spec::Time(_)) {
            *answer = Some(Err(KafkaError::new(
                code::UNSUPPORTED_FEATURE,
                "the mock cluster does not look up offsets by time",
            )));
        }
    }
}

/// Not yet asked, or asked in the moment in which a leader moved.
fn wants_asking(answer: Option<&Result<Found, KafkaError>>) -> bool {
    match answer {
        None => true,
        Some(Ok(_)) => false,
        Some(Err(error)) => is_passing(error.code),
    }
}

/// Codes of a partition whose leader has moved or is about to (Kafka's protocol, "Error codes", retriable).
fn is_passing(code: i32) -> bool {
    matches!(
        code,
        code::LEADER_NOT_AVAILABLE
            | code::NOT_LEADER
            | code::REPLICA_NOT_AVAILABLE
            | code::FENCED_LEADER_EPOCH
            | code::UNKNOWN_LEADER_EPOCH
            | code::OFFSET_NOT_AVAILABLE
            | code::NO_ENTITY
    )
}

/// Indices of `open` questions, so that no call names a partition twice or is too long.
fn split_into_calls(questions: &[Question], open: &[usize]) -> Vec<Vec<usize>> {
    let mut times_seen: HashMap<(&str, i32), usize> = HashMap::new();
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for &index in open {
        let question = &questions[index];
        let seen = times_seen
            .entry((&question.topic, question.partition))
            .or_default();
        if rounds.len() == *seen {
            rounds.push(Vec::new());
        }
        rounds[*seen].push(index);
        *seen += 1;
    }
    let chunks = rounds.iter().flat_map(|round| round.chunks(CHUNK));
    chunks.map(<[usize]>::to_vec).collect()
}

/// One call of librdkafka's: the questions that `call` names, their answers put in their places.
fn ask(
    client: &Client,
    questions: &[Question],
    call: &[usize],
    isolation: Isolation,
    interrupted: &dyn Fn() -> bool,
    answers: &mut Answers,
) -> Result<(), ContactError> {
    let request = Request::new(client, questions, call, isolation)?;
    let event = request.wait(client, interrupted)?;
    // SAFETY: the event is live, and the result of a ListOffsets call or an error.
    let rows = unsafe {
        let failed = ffi::event_error(event.as_ptr());
        if failed == code::NONE {
            Ok(copy(&event))
        } else {
            let reason = ffi::text(ffi::rd_kafka_event_error_string(event.as_ptr()));
            Err(KafkaError::new(failed, reason))
        }
    };
    match rows {
        Ok(mut rows) => {
            for &index in call {
                let question = &questions[index];
                // librdkafka promises no order.
                let row = rows.remove(&(question.topic.clone(), question.partition));
                answers[index] = Some(row.unwrap_or_else(|| Err(KafkaError::of(code::TIMED_OUT))));
            }
        }
        Err(error) => {
            for &index in call {
                answers[index] = Some(Err(error.clone()));
            }
        }
    }
    Ok(())
}

/// A call under way, with the queue that its answer comes on.
struct Request {
    queue: *mut ffi::rd_kafka_queue_t,
    deadline: Instant,
}

impl Request {
    fn new(
        client: &Client,
        questions: &[Question],
        call: &[usize],
        isolation: Isolation,
    ) -> Result<Request, ContactError> {
        // librdkafka takes no longer time-out than an hour.
        let timeout = client.first_contact().min(Duration::from_secs(3600));
        let list = PartitionList::new(call.len());
        for &index in call {
            list.add(&questions[index])
                .map_err(ContactError::Answered)?;
        }
        let level = match isolation {
            Isolation::ReadUncommitted => {
                ffi::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
            }
            Isolation::ReadCommitted => {
                ffi::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
            }
        };
        let mut reason = [0u8; 512];
        // SAFETY: the client is live; list and settings are copied by the
        // call and destroyed after it; both settings are valid for it (their
        // results can only be "no error", destroying a NULL error is allowed).
        unsafe {
            let settings = ffi::rd_kafka_AdminOptions_new(
                client.as_ptr(),
                ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
            );
            ffi::rd_kafka_AdminOptions_set_request_timeout(
                settings,
                timeout.as_millis() as i32,
                reason.as_mut_ptr().cast(),
                reason.len(),
            );
            let refused = ffi::rd_kafka_AdminOptions_set_isolation_level(settings, level);
            if !refused.is_null() {
                ffi::rd_kafka_error_destroy(refused);
            }
            let queue = ffi::rd_kafka_queue_new(client.as_ptr());
            ffi::rd_kafka_ListOffsets(client.as_ptr(), list.ptr, settings, queue);
            ffi::rd_kafka_AdminOptions_destroy(settings);
            Ok(Request {
                queue,
                deadline: Instant::now() + timeout + Duration::from_secs(1),
            })
        }
    }

    /// Waits for the answer; librdkafka's time-out is one, a second behind the deadline nothing else can come.
    fn wait(&self, client: &Client, interrupted: &dyn Fn() -> bool) -> Result<Event, ContactError> {
        loop {
            // SAFETY: the queue lives as long as `self`.
            if let Some(event) = unsafe { Event::poll(self.queue, 100) } {
                return Ok(event);
            }
            client.drain_errors();
            if interrupted() {
                return Err(ContactError::Interrupted);
            }
            if Instant::now() > self.deadline {
                return Err(client.unreachable(client.first_contact()));
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // SAFETY: live and ours.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue) }
    }
}

/// librdkafka's list of partitions, an offset's specification beside each.
struct PartitionList {
    ptr: *mut ffi::rd_kafka_topic_partition_list_t,
}

impl PartitionList {
    fn new(capacity: usize) -> PartitionList {
        // SAFETY: allocates; librdkafka ends the process when it can't.
        let ptr = unsafe { ffi::rd_kafka_topic_partition_list_new(capacity as i32) };
        PartitionList { ptr }
    }

    fn add(&self, question: &Question) -> Result<(), KafkaError> {
        let topic = CString::new(question.topic.as_str())
            .map_err(|_| KafkaError::new(code::INVALID_TOPIC, "a topic's name holds no NUL"))?;
        let offset = match question.spec {
            Spec::Latest => -1,
            Spec::Earliest => -2,
            Spec::Time(time_ms) => time_ms,
        };
        // SAFETY: the list is live; the element that comes back is too, until the next one is added.
        unsafe {
            let element = ffi::rd_kafka_topic_partition_list_add(
                self.ptr,
                topic.as_ptr(),
                question.partition,
            );
            (*element).offset = offset;
        }
        Ok(())
    }
}

impl Drop for PartitionList {
    fn drop(&mut self) {
        // SAFETY: live and ours.
        unsafe { ffi::rd_kafka_topic_partition_list_destroy(self.ptr) }
    }
}

type Rows = HashMap<(String, i32), Result<Found, KafkaError>>;

/// # Safety
/// `event` is the result of a ListOffsets call that succeeded as a whole.
unsafe fn copy(event: &Event) -> Rows {
    let mut count = 0;
    let mut rows = HashMap::new();
    // SAFETY: the caller's promise; the infos belong to the event, which outlives this.
    unsafe {
        let result = ffi::rd_kafka_event_ListOffsets_result(event.as_ptr());
        let infos = ffi::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
        for index in 0..count {
            let info = *infos.add(index);
            let partition = ffi::rd_kafka_ListOffsetsResultInfo_topic_partition(info);
            let timestamp_ms = ffi::rd_kafka_ListOffsetsResultInfo_timestamp(info);
            let failed = ffi::error_at(std::ptr::addr_of!((*partition).err).cast());
            let key = (ffi::text((*partition).topic), (*partition).partition);
            rows.insert(key, judge((*partition).offset, timestamp_ms, failed));
        }
    }
    rows
}

/// What the three fields of an answer mean together.
fn judge(offset: i64, timestamp_ms: i64, failed: Option<KafkaError>) -> Result<Found, KafkaError> {
    match failed {
        Some(error) => Err(error),
        None if offset == NO_OFFSET => Err(KafkaError::of(code::TIMED_OUT)),
        None => Ok(Found {
            offset: (offset >= 0).then_some(offset),
            timestamp_ms: (timestamp_ms >= 0).then_some(timestamp_ms),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Found, KafkaError, Question, Spec, code, judge, split_into_calls};

    fn question(topic: &str, partition: i32, spec: Spec) -> Question {
        Question {
            topic: topic.to_owned(),
            partition,
            spec,
        }
    }

    #[test]
    fn no_call_names_a_partition_twice_or_is_too_long() {
        let mut questions = vec![
            question("a", 0, Spec::Earliest),
            question("a", 0, Spec::Latest),
            question("b", 0, Spec::Latest),
        ];
        assert_eq!(
            split_into_calls(&questions, &[0, 1, 2]),
            [vec![0, 2], vec![1]]
        );
        assert_eq!(split_into_calls(&questions, &[1]), [vec![1]]);
        questions = (0..2500).map(|p| question("c", p, Spec::Latest)).collect();
        let open: Vec<usize> = (0..questions.len()).collect();
        let calls = split_into_calls(&questions, &open);
        assert!(calls.iter().all(|call| call.len() <= CHUNK));
        assert_eq!(calls.concat(), open);
    }

    #[test]
    fn a_broker_that_did_not_answer_is_not_an_offset() {
        let timed_out = KafkaError::of(code::TIMED_OUT);
        assert_eq!(judge(-1001, -1, None), Err(timed_out));
        let refused = KafkaError::of(code::TOPIC_AUTHORIZATION_FAILED);
        assert_eq!(judge(-1001, -1, Some(refused.clone())), Err(refused));
        let nothing_so_late = Found {
            offset: None,
            timestamp_ms: None,
        };
        assert_eq!(judge(-1, -1, None), Ok(nothing_so_late));
        let found = Found {
            offset: Some(0),
            timestamp_ms: Some(0),
        };
        assert_eq!(judge(0, 0, None), Ok(found));
    }
}
