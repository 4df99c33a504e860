//! Kafka's and librdkafka's errors: codes, texts, and which are retriable.

use std::fmt;

use kafka_protocol::ResponseError;

use super::ffi;

/// An error of the cluster (code above 0) or of librdkafka itself (below 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaError {
    /// The code: Kafka's protocol errors are positive, librdkafka's own negative (rdkafka.h).
    pub code: i32,
    /// What there is to say, in words.
    pub reason: String,
}

/// The codes that code decides by, under the names of rdkafka.h and the Kafka protocol.
pub mod code {
    pub const NONE: i32 = 0;
    /// The record batch is larger than the topic or the broker takes.
    pub const MESSAGE_TOO_LARGE: i32 = 10;
    /// librdkafka, and ours: a record failed, and enable.gapless.guarantee ends the producer.
    pub const GAPLESS_GUARANTEE: i32 = -148;
    /// The batch is larger than a log segment.
    pub const RECORD_LIST_TOO_LARGE: i32 = 18;
    /// The batch is damaged, or holds what its topic does not allow (old brokers).
    pub const CORRUPT_MESSAGE: i32 = 2;
    /// A record's timestamp is out of the topic's range.
    pub const INVALID_TIMESTAMP: i32 = 32;
    /// A record is not what its topic allows: it has no key where one is needed, say.
    pub const INVALID_RECORD: i32 = 87;
    /// Too few replicas are in sync; nothing was stored.
    pub const NOT_ENOUGH_REPLICAS: i32 = 19;
    /// Too few replicas are in sync; the leader has stored it.
    pub const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i32 = 20;
    /// A batch does not follow the last one of its producer.
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i32 = 45;
    /// The batch was stored before.
    pub const DUPLICATE_SEQUENCE_NUMBER: i32 = 46;
    /// The coordinator has not completed the transaction before yet.
    pub const CONCURRENT_TRANSACTIONS: i32 = 51;
    /// Another producer has this transactional.id.
    pub const PRODUCER_FENCED: i32 = 90;
    /// The coordinator does not know this producer any more.
    pub const INVALID_PRODUCER_ID_MAPPING: i32 = 49;
    /// librdkafka, and ours: records of a transaction failed.
    pub const INCONSISTENT: i32 = -149;
    /// The broker does not know the producer any more.
    pub const UNKNOWN_PRODUCER_ID: i32 = 59;
    /// librdkafka, and ours: message.timeout.ms has passed.
    pub const MESSAGE_TIMED_OUT: i32 = -192;
    /// The offset is not between the log start and the end.
    pub const OFFSET_OUT_OF_RANGE: i32 = 1;
    /// No such topic or partition at the broker.
    pub const UNKNOWN_TOPIC_OR_PARTITION: i32 = 3;
    /// librdkafka: the offset is out of range, and `auto.offset.reset` is `error`.
    pub const AUTO_OFFSET_RESET: i32 = -140;
    /// The partition has no leader just now.
    pub const LEADER_NOT_AVAILABLE: i32 = 5;
    /// The partition is led by another broker.
    pub const NOT_LEADER: i32 = 6;
    /// The broker does not keep this partition, or not yet.
    pub const REPLICA_NOT_AVAILABLE: i32 = 9;
    /// A broker can't read or write one of its disks.
    pub const KAFKA_STORAGE_ERROR: i32 = 56;
    /// The broker does not know itself what is wrong.
    pub const UNKNOWN_SERVER_ERROR: i32 = -1;
    /// The broker gave up waiting for others.
    pub const REQUEST_TIMED_OUT: i32 = 7;
    /// The broker lost its connection to another.
    pub const NETWORK_EXCEPTION: i32 = 13;
    /// The client asks more than its quota.
    pub const THROTTLING_QUOTA_EXCEEDED: i32 = 89;
    /// librdkafka: records that were read are not in the log any more.
    pub const LOG_TRUNCATION: i32 = -139;
    pub const INVALID_TOPIC: i32 = 17;
    /// Another member has taken this one's `group.instance.id`.
    pub const FENCED_INSTANCE_ID: i32 = 82;
    /// The client's knowledge of the leader is older than the broker's.
    pub const FENCED_LEADER_EPOCH: i32 = 74;
    /// The client's knowledge of the leader is newer than the broker's.
    pub const UNKNOWN_LEADER_EPOCH: i32 = 75;
    /// A new leader does not know the high watermark yet.
    pub const OFFSET_NOT_AVAILABLE: i32 = 78;
    /// librdkafka: the cluster can't do this.
    pub const UNSUPPORTED_FEATURE: i32 = -165;
    /// librdkafka: the group gives partitions to this member.
    pub const ASSIGN_PARTITIONS: i32 = -175;
    /// librdkafka: the group takes partitions from this member.
    pub const REVOKE_PARTITIONS: i32 = -174;
    /// librdkafka: there is nothing to commit.
    pub const NO_OFFSET: i32 = -168;
    /// librdkafka: the member did not poll for max.poll.interval.ms.
    pub const MAX_POLL_EXCEEDED: i32 = -147;
    /// The group's coordinator is not ready yet.
    pub const COORDINATOR_LOAD_IN_PROGRESS: i32 = 14;
    /// The group's coordinator is not there.
    pub const COORDINATOR_NOT_AVAILABLE: i32 = 15;
    /// Another broker coordinates the group.
    pub const NOT_COORDINATOR: i32 = 16;
    /// There is no such group, or none of this type.
    pub const GROUP_ID_NOT_FOUND: i32 = 69;
    /// The member commits under a generation that has passed.
    pub const ILLEGAL_GENERATION: i32 = 22;
    /// The member's epoch has passed: it has to join again.
    pub const FENCED_MEMBER_EPOCH: i32 = 110;
    /// An acknowledgement of a record that is not locked for this member (KIP-932).
    pub const INVALID_RECORD_STATE: i32 = 121;
    /// The broker does not know the version of a request.
    pub const UNSUPPORTED_VERSION: i32 = 35;
    /// The broker can't make sense of a request.
    pub const INVALID_REQUEST: i32 = 42;
    /// The group does not know this member any more.
    pub const UNKNOWN_MEMBER_ID: i32 = 25;
    /// A transaction that commits positions of this partition is open.
    pub const UNSTABLE_OFFSET: i32 = 88;
    /// librdkafka: the group's coordinator is not known yet.
    pub const WAIT_COORDINATOR: i32 = -180;
    pub const REBALANCE_IN_PROGRESS: i32 = 27;
    /// The member commits under an epoch that has passed (KIP-848).
    pub const STALE_MEMBER_EPOCH: i32 = 113;
    /// librdkafka: the broker is not reachable or the connection broke.
    pub const TRANSPORT: i32 = -195;
    /// librdkafka: no such partition in the topic.
    pub const UNKNOWN_PARTITION: i32 = -190;
    /// librdkafka: no such topic.
    pub const UNKNOWN_TOPIC: i32 = -188;
    /// librdkafka: this connection is given up: the broker is gone from the metadata, or another connection took its place.
    pub const DESTROY_BROKER: i32 = -137;
    pub const ALL_BROKERS_DOWN: i32 = -187;
    /// A setting has a name or a value that the broker does not take.
    pub const INVALID_CONFIG: i32 = 40;
    /// librdkafka: an argument that it can't take.
    pub const INVALID_ARG: i32 = -186;
    /// librdkafka: what came can't be read (`_BAD_MSG`).
    pub const BAD_MESSAGE: i32 = -199;
    /// librdkafka: what came ends too early.
    pub const UNDERFLOW: i32 = -155;
    /// Ours: an answer is larger than what is received.
    pub const TOO_LARGE_ANSWER: i32 = -1001;
    /// No topic has this id at the broker.
    pub const UNKNOWN_TOPIC_ID: i32 = 100;
    /// The topic of this name has another id at the broker.
    pub const INCONSISTENT_TOPIC_ID: i32 = 103;
    /// librdkafka: not even sent in time.
    pub const TIMED_OUT_QUEUE: i32 = -166;
    /// librdkafka: no answer in time.
    pub const TIMED_OUT: i32 = -185;
    /// librdkafka: the producer's queue is full.
    pub const QUEUE_FULL: i32 = -184;
    /// librdkafka: the broker's name does not resolve.
    pub const RESOLVE: i32 = -193;
    pub const PARTITION_EOF: i32 = -191;
    /// librdkafka: TLS failed.
    pub const SSL: i32 = -181;
    /// librdkafka: SASL failed.
    pub const AUTHENTICATION: i32 = -169;
    /// librdkafka: the record was taken back from the queue before it was sent.
    pub const PURGE_QUEUE: i32 = -152;
    /// librdkafka: the record was taken back while it was under way; its fate is unknown.
    pub const PURGE_INFLIGHT: i32 = -151;
    /// librdkafka: another producer has this transactional.id, or the transaction was aborted by its coordinator.
    pub const FENCED: i32 = -144;
    /// The producer's epoch has passed.
    pub const INVALID_PRODUCER_EPOCH: i32 = 47;
    /// librdkafka: the client can't go on; the reason is kept apart.
    pub const FATAL: i32 = -150;
    pub const TOPIC_AUTHORIZATION_FAILED: i32 = 29;
    pub const GROUP_AUTHORIZATION_FAILED: i32 = 30;
    pub const CLUSTER_AUTHORIZATION_FAILED: i32 = 31;
}

/// The partition's leader has moved or is about to: ask for metadata and retry.
pub fn is_leader_change(code: i32) -> bool {
    matches!(
        code,
        code::LEADER_NOT_AVAILABLE
            | code::NOT_LEADER
            | code::REPLICA_NOT_AVAILABLE
            | code::FENCED_LEADER_EPOCH
            | code::UNKNOWN_LEADER_EPOCH
            | code::OFFSET_NOT_AVAILABLE
            | code::KAFKA_STORAGE_ERROR
    )
}

/// The group's coordinator has moved or is starting: look it up and retry.
pub fn is_coordinator_change(code: i32) -> bool {
    matches!(
        code,
        code::COORDINATOR_LOAD_IN_PROGRESS
            | code::COORDINATOR_NOT_AVAILABLE
            | code::NOT_COORDINATOR
    )
}

/// A coordinator, or the connection to it, is away for a while: retry.
pub fn is_transient(code: i32) -> bool {
    is_connection_failure(code) || is_coordinator_change(code)
}

/// A connection failed or a broker did not answer in time: retry.
pub fn is_connection_failure(code: i32) -> bool {
    matches!(
        code,
        code::TRANSPORT
            | code::TIMED_OUT
            | code::TIMED_OUT_QUEUE
            | code::DESTROY_BROKER
            | code::REQUEST_TIMED_OUT
            | code::NETWORK_EXCEPTION
    )
}

/// `InconsistentTopicId` as `Inconsistent topic id`.
fn words(error: ResponseError) -> String {
    let mut text = String::new();
    for letter in format!("{error:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(' ');
            text.extend(letter.to_lowercase());
        } else {
            text.push(letter);
        }
    }
    text
}

impl KafkaError {
    /// The error with librdkafka's own words for `code`.
    pub fn of(code: i32) -> KafkaError {
        // librdkafka has no words for the newest codes: `Err-103?`.
        let unnamed = || {
            i16::try_from(code)
                .ok()
                .and_then(ResponseError::try_from_code)
        };
        let reason = match ffi::err2str(code) {
            text if text.starts_with("Err-") => unnamed().map_or(text, words),
            text => text,
        };
        KafkaError { code, reason }
    }

    /// The error in a field of a response; `None` for "no error".
    pub fn of_answer(code: i16) -> Option<KafkaError> {
        (code != 0).then(|| KafkaError::of(code.into()))
    }

    /// The error code in a field of a response as a result.
    pub fn check(code: i16) -> Result<(), KafkaError> {
        KafkaError::of_answer(code).map_or(Ok(()), Err)
    }

    /// Whether it says that there is no such topic.
    pub fn is_no_topic(&self) -> bool {
        let codes = [
            code::UNKNOWN_TOPIC_OR_PARTITION,
            code::UNKNOWN_TOPIC,
            code::INVALID_TOPIC,
        ];
        codes.contains(&self.code)
    }

    /// Why `action`, which is to describe or to read a topic, failed, in words.
    pub fn refusal(&self, action: &str) -> String {
        match self.code {
            code::TOPIC_AUTHORIZATION_FAILED => format!("not authorised to {action} it ({self})"),
            _ => self.to_string(),
        }
    }

    /// The error with a reason of its own.
    pub fn new(code: i32, reason: impl Into<String>) -> KafkaError {
        KafkaError {
            code,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for KafkaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // librdkafka puts "Broker: " or "Local: " in front, which says nothing to a user.
        let text = self.reason.as_str();
        let text = text.strip_prefix("Broker: ").unwrap_or(text);
        let text = text.strip_prefix("Local: ").unwrap_or(text);
        // Java's texts end with a full stop; more may follow here.
        f.write_str(text.strip_suffix('.').unwrap_or(text))
    }
}

impl std::error::Error for KafkaError {}
