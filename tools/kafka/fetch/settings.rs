//! The properties that concern reading, with librdkafka's meaning.

use std::time::Duration;

use crate::kafka::admin::Isolation;
use crate::kafka::{Client, Options};

/// As in Java's consumer (its `metadata.max.age.ms` is 5 minutes): ask the leader again which replica it recommends.
const MAX_REPLICA_LEASE: Duration = Duration::from_secs(300);

/// `auto.offset.reset`: what to do if an offset is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResetPolicy {
    /// Continue at the log start.
    Earliest,
    /// Continue at the end.
    Latest,
    /// Fail, because records would be skipped silently.
    Error,
}

#[derive(Clone, Debug)]
pub(super) struct FetchSettings {
    /// How long a broker may delay a response of less than `min_bytes`.
    pub(super) max_wait: Duration,
    pub(super) min_bytes: i32,
    /// The most bytes of a response, if the user set it.
    pub(super) max_bytes: Option<i32>,
    /// The most bytes of one partition in a response.
    pub(super) partition_max_bytes: i32,
    pub(super) isolation: Isolation,
    pub(super) checks_crcs: bool,
    pub(super) rack: String,
    pub(super) reset: ResetPolicy,
    /// Where to start without a committed offset.
    pub(super) start: ResetPolicy,
    /// The first pause after an error of a broker or partition; it doubles up to `max_backoff`.
    pub(super) backoff: Duration,
    pub(super) max_backoff: Duration,
    /// How often to look for new partitions.
    pub(super) refresh_interval: Option<Duration>,
    /// How long to read from a replica that the leader recommended.
    pub(super) replica_lease: Duration,
    pub(super) request_timeout: Duration,
    /// The most bytes of a response or of a decompressed batch.
    pub(super) receive_max_bytes: i32,
}

/// Sets the properties that reading needs, unless the user set them.
pub fn tune(options: &mut Options) {
    // librdkafka leaves this off for its cost, which is negligible here.
    options.set_default("check.crcs", "true");
}

impl FetchSettings {
    /// From `options`, with librdkafka's defaults from the client.
    pub(super) fn of(client: &Client, options: &Options) -> FetchSettings {
        let text = |name: &str| client.property(name).unwrap_or_default();
        let number = |name: &str, default: i64| text(name).parse::<i64>().unwrap_or(default);
        let millis = |name: &str, default: i64| {
            Duration::from_millis(u64::try_from(number(name, default)).unwrap_or(0))
        };
        let bytes =
            |name: &str, default: i64| number(name, default).clamp(1, i32::MAX.into()) as i32;
        let reset = options.get("auto.offset.reset").map(|policy| match policy {
            "smallest" | "earliest" | "beginning" => ResetPolicy::Earliest,
            "error" => ResetPolicy::Error,
            _ => ResetPolicy::Latest,
        });
        let refresh_ms = number("topic.metadata.refresh.interval.ms", 300_000);
        FetchSettings {
            max_wait: millis("fetch.wait.max.ms", 500),
            min_bytes: bytes("fetch.min.bytes", 1),
            max_bytes: options
                .is_set("fetch.max.bytes")
                .then(|| bytes("fetch.max.bytes", 52_428_800)),
            partition_max_bytes: bytes("fetch.message.max.bytes", 1_048_576),
            isolation: Isolation::of(options),
            checks_crcs: text("check.crcs") == "true",
            rack: text("client.rack"),
            // Never skip deleted records silently.
            reset: reset.unwrap_or(ResetPolicy::Error),
            start: reset.unwrap_or(ResetPolicy::Latest),
            backoff: millis("retry.backoff.ms", 100),
            max_backoff: millis("retry.backoff.max.ms", 1000),
            refresh_interval: u64::try_from(refresh_ms)
                .ok()
                .filter(|&ms| ms > 0)
                .map(Duration::from_millis),
            replica_lease: millis("metadata.max.age.ms", 900_000).min(MAX_REPLICA_LEASE),
            request_timeout: millis("socket.timeout.ms", 60_000),
            receive_max_bytes: bytes("receive.message.max.bytes", 100_000_000),
        }
    }
}
