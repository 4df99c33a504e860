//! What the user's properties say of reading, as librdkafka would understand them.

use std::time::Duration;

use crate::kafka::cluster::Isolation;
use crate::kafka::{Client, Options};

/// What to do where an offset is not in the log any more, or not yet: `auto.offset.reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    /// Go on at the oldest record.
    Earliest,
    /// Go on with what comes from now on.
    Latest,
    /// Stop, because records would be passed over in silence.
    Error,
}

/// The properties that concern reading.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// How long a broker may hold an answer back while it has less than `min_bytes`.
    pub(super) max_wait: Duration,
    pub(super) min_bytes: i32,
    /// The most bytes of an answer, where the user says so.
    pub(super) max_bytes: Option<i32>,
    /// The most bytes of one partition in an answer.
    pub(super) partition_max_bytes: i32,
    pub(super) isolation: Isolation,
    pub(super) checks_crcs: bool,
    /// Where this client stands; empty where that does not matter.
    pub(super) rack: String,
    pub(super) reset: Reset,
    /// Where to start if the group has committed nothing.
    pub(super) start: Reset,
    /// How long to leave a broker or partition alone after an error; doubles up to the second.
    pub(super) backoff: Duration,
    pub(super) max_backoff: Duration,
    /// How often the topics are looked at for new partitions.
    pub(super) refresh_interval: Option<Duration>,
    /// How long a replica that the leader has recommended is read from.
    pub(super) replica_lease: Duration,
    /// How long an answer may be under way.
    pub(super) patience: Duration,
    /// The most bytes of an answer or of a decompressed batch that are taken.
    pub(super) receive_max_bytes: i32,
}

/// Sets what reading needs, where the user says nothing else.
pub(super) fn tune(options: &mut Options) {
    // librdkafka leaves this off for its cost, which is not noticed here.
    options.set_default("check.crcs", "true");
}

impl Settings {
    /// As `options` say, with librdkafka's defaults from the client that was made of them.
    pub(super) fn of(client: &Client, options: &Options) -> Settings {
        let text = |name: &str| client.property(name).unwrap_or_default();
        let number = |name: &str, usual: i64| text(name).parse::<i64>().unwrap_or(usual);
        let millis = |name: &str, usual: i64| {
            Duration::from_millis(u64::try_from(number(name, usual)).unwrap_or(0))
        };
        let bytes = |name: &str, usual: i64| number(name, usual).clamp(1, i32::MAX.into()) as i32;
        let reset = options.get("auto.offset.reset").map(|policy| match policy {
            "smallest" | "earliest" | "beginning" => Reset::Earliest,
            "error" => Reset::Error,
            _ => Reset::Latest,
        });
        let refresh_ms = number("topic.metadata.refresh.interval.ms", 300_000);
        Settings {
            max_wait: millis("fetch.wait.max.ms", 500),
            min_bytes: bytes("fetch.min.bytes", 1),
            max_bytes: options
                .is_said("fetch.max.bytes")
                .then(|| bytes("fetch.max.bytes", 52_428_800)),
            partition_max_bytes: bytes("fetch.message.max.bytes", 1_048_576),
            isolation: Isolation::of(options),
            checks_crcs: text("check.crcs") == "true",
            rack: text("client.rack"),
            // Records that are gone are never passed over in silence.
            reset: reset.unwrap_or(Reset::Error),
            start: reset.unwrap_or(Reset::Latest),
            backoff: millis("retry.backoff.ms", 100),
            max_backoff: millis("retry.backoff.max.ms", 1000),
            refresh_interval: u64::try_from(refresh_ms)
                .ok()
                .filter(|&ms| ms > 0)
                .map(Duration::from_millis),
            replica_lease: millis("metadata.max.age.ms", 900_000).min(LONGEST_LEASE),
            patience: millis("socket.timeout.ms", 60_000),
            receive_max_bytes: bytes("receive.message.max.bytes", 100_000_000),
        }
    }
}

/// As Java's consumer does (its `metadata.max.age.ms` is 5 minutes), the leader is asked now and then whom it recommends.
const LONGEST_LEASE: Duration = Duration::from_secs(300);
