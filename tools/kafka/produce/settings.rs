//! The properties that concern producing, with librdkafka's meaning.

use std::time::Duration;

use crate::kafka::batch::Codec;
use crate::kafka::client::ContactError;
use crate::kafka::{Client, Options};
use crate::partition::{Algorithm, KafkaPartitioner};

/// Brokers remember this many batches of a producer in each partition (KIP-98).
const REMEMBERED_BATCHES: usize = 5;

#[derive(Clone, Debug)]
pub(super) struct ProduceSettings {
    /// -1 is all in-sync replicas.
    pub(super) acks: i16,
    pub(super) is_idempotent: bool,
    pub(super) transactional_id: Option<String>,
    pub(super) transaction_timeout: Duration,
    pub(super) codec: Codec,
    /// -1 is the codec's default.
    pub(super) compression_level: i32,
    pub(super) linger: Duration,
    /// The most bytes and records of a batch.
    pub(super) batch_bytes: usize,
    pub(super) batch_records: u32,
    /// The largest record or batch that is tried.
    pub(super) max_record_bytes: usize,
    pub(super) max_in_flight: usize,
    /// Memory for records that have no result yet.
    pub(super) queue_bytes: usize,
    pub(super) queue_records: u64,
    /// The most retries of a batch.
    pub(super) retries: u32,
    pub(super) backoff: Duration,
    pub(super) max_backoff: Duration,
    /// The time limit for a record's delivery.
    pub(super) delivery_timeout: Option<Duration>,
    /// How long a broker may wait for the in-sync replicas.
    pub(super) ack_timeout_ms: i32,
    pub(super) request_timeout: Duration,
    /// How long a topic may be unknown before its records fail.
    pub(super) topic_timeout: Duration,
    pub(super) refresh_interval: Option<Duration>,
    /// `None` chooses a random partition for every record.
    pub(super) partitioner: Option<KafkaPartitioner>,
    pub(super) sticky_linger: Duration,
    /// Whether the first record that fails ends the producer.
    pub(super) is_gapless: bool,
}

/// Sets the properties that producing needs, unless the user set them.
pub(super) fn tune(options: &mut Options) {
    // As Java places keys; librdkafka's own default places them elsewhere.
    options.set_default("partitioner", "murmur2_random");
    // The topic and the broker decide what is too large, for each record.
    options.set_default("message.max.bytes", "1000000000");
    // Bounds memory; librdkafka's default of 1 GiB hardly does.
    options.set_default("queue.buffering.max.kbytes", "131072");
    if allows_idempotence(options) {
        options.set_default("enable.idempotence", "true");
    }
}

/// Whether no property that the user set forbids idempotence (librdkafka's CONFIGURATION.md, `enable.idempotence`).
fn allows_idempotence(options: &Options) -> bool {
    let number = |name: &str| {
        options
            .get(name)
            .and_then(|value| value.parse::<i64>().ok())
    };
    matches!(options.get("acks"), None | Some("-1" | "all"))
        && number("max.in.flight.requests.per.connection").is_none_or(|n| n <= 5)
        && number("retries").is_none_or(|n| n > 0)
        && options
            .get("queuing.strategy")
            .is_none_or(|strategy| strategy == "fifo")
}

/// Properties of librdkafka's producer that do not change what is delivered.
const MEANINGLESS: &[&str] = &[
    "delivery.report.only.error",
    "produce.offset.report",
    "queue.buffering.backpressure.threshold",
    "queuing.strategy",
];

/// The properties of librdkafka's client for this engine, which numbers the batches itself.
pub(super) fn client_options(options: &Options) -> Result<Options, ContactError> {
    let is_on = |name: &str| options.get(name) == Some("true");
    let is_idempotent = is_on("enable.idempotence") || options.get("transactional.id").is_some();
    if is_idempotent && !allows_idempotence(options) {
        return Err(ContactError::Refused(
            "enable.idempotence=true and transactional.id need acks=all, retries above 0, queuing.strategy=fifo and at most 5 for max.in.flight.requests.per.connection".to_owned(),
        ));
    }
    if is_on("enable.gapless.guarantee") && !is_idempotent {
        return Err(ContactError::Refused(
            "enable.gapless.guarantee=true needs enable.idempotence=true".to_owned(),
        ));
    }
    for name in MEANINGLESS.iter().filter(|name| options.is_set(name)) {
        log::info!("{name} has no meaning for this producer");
    }
    let level = options.get("compression.level").unwrap_or("-1");
    if options.get("compression.type") == Some("lz4") && level != "-1" {
        log::info!("compression.level has no meaning for lz4, which has one level here");
    }
    let mut options = options.clone();
    options.force("enable.idempotence", "false");
    options.remove("enable.gapless.guarantee");
    options.remove("transactional.id");
    // The requests in flight are counted here.
    options.remove("max.in.flight.requests.per.connection");
    Ok(options)
}

impl ProduceSettings {
    /// From `options`, with librdkafka's defaults from the client.
    pub(super) fn of(client: &Client, options: &Options) -> ProduceSettings {
        let text = |name: &str| {
            let set = options.get(name).map(str::to_owned);
            set.or_else(|| client.property(name))
        };
        let number = |name: &str, default: i64| {
            let number = text(name).and_then(|text| text.trim().parse::<i64>().ok());
            number.unwrap_or(default)
        };
        let millis = |name: &str, default: i64| {
            let ms = number(name, default).max(0);
            Duration::from_millis(ms as u64)
        };
        let size = |name: &str, default: i64| number(name, default).clamp(1, i32::MAX.into());
        // Fractions of a millisecond are allowed.
        let linger_ms = text("linger.ms").and_then(|text| text.trim().parse::<f64>().ok());
        let acks = match text("acks").as_deref() {
            None | Some("all") => -1,
            Some(acks) => acks.trim().parse().unwrap_or(-1),
        };
        let transactional_id = options.get("transactional.id").map(str::to_owned);
        let is_idempotent =
            options.get("enable.idempotence") == Some("true") || transactional_id.is_some();
        let max_in_flight = size("max.in.flight.requests.per.connection", 5) as usize;
        let timeout = millis("message.timeout.ms", 300_000);
        let max_record_bytes = size("message.max.bytes", 1_000_000_000) as usize;
        ProduceSettings {
            acks,
            is_idempotent,
            transactional_id,
            transaction_timeout: millis("transaction.timeout.ms", 60_000),
            codec: match text("compression.type").as_deref() {
                Some("gzip") => Codec::Gzip,
                Some("snappy") => Codec::Snappy,
                Some("lz4") => Codec::Lz4,
                Some("zstd") => Codec::Zstd,
                _ => Codec::None,
            },
            compression_level: number("compression.level", -1) as i32,
            linger: Duration::from_secs_f64(linger_ms.unwrap_or(5.0).max(0.0) / 1000.0),
            batch_bytes: (size("batch.size", 1_000_000) as usize).min(max_record_bytes),
            batch_records: size("batch.num.messages", 10_000) as u32,
            max_record_bytes,
            max_in_flight: max_in_flight.min(REMEMBERED_BATCHES),
            queue_bytes: size("queue.buffering.max.kbytes", 131_072) as usize * 1024,
            queue_records: match number("queue.buffering.max.messages", 0) {
                max @ 1.. if options.is_set("queue.buffering.max.messages") => max as u64,
                _ => u64::MAX,
            },
            retries: number("retries", i32::MAX.into()).clamp(0, i32::MAX.into()) as u32,
            backoff: millis("retry.backoff.ms", 100),
            max_backoff: millis("retry.backoff.max.ms", 1000),
            delivery_timeout: (!timeout.is_zero()).then_some(timeout),
            ack_timeout_ms: size("request.timeout.ms", 30_000) as i32,
            request_timeout: millis("socket.timeout.ms", 60_000),
            topic_timeout: millis("topic.metadata.propagation.max.ms", 30_000),
            refresh_interval: Some(millis("topic.metadata.refresh.interval.ms", 300_000))
                .filter(|interval| !interval.is_zero()),
            partitioner: match text("partitioner").map(|name| name.parse()) {
                None => Some(KafkaPartitioner::Murmur2Random),
                Some(Ok(Algorithm::Kafka(partitioner))) => Some(partitioner),
                Some(_) => None,
            },
            sticky_linger: millis("sticky.partitioning.linger.ms", 10),
            is_gapless: options.get("enable.gapless.guarantee") == Some("true"),
        }
    }

    /// The pause after this many failures in a row.
    pub(super) fn backoff_after(&self, failures: u32) -> Duration {
        let factor = 1u32 << failures.saturating_sub(1).min(10);
        self.backoff
            .saturating_mul(factor)
            .min(self.max_backoff.max(self.backoff))
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, tune};

    fn idempotence_with(property: &str) -> Option<String> {
        let mut options = Options::default();
        options
            .add_typed([&property.to_owned()].into_iter())
            .expect("valid");
        tune(&mut options);
        options.get("enable.idempotence").map(str::to_owned)
    }

    #[test]
    fn idempotence_is_on_unless_the_user_asks_for_what_forbids_it() {
        assert_eq!(idempotence_with("linger.ms=1").as_deref(), Some("true"));
        assert_eq!(idempotence_with("acks=all").as_deref(), Some("true"));
        assert_eq!(idempotence_with("acks=1"), None);
        assert_eq!(idempotence_with("max.in.flight=6"), None);
        assert_eq!(idempotence_with("retries=0"), None);
        assert_eq!(
            idempotence_with("enable.idempotence=false").as_deref(),
            Some("false")
        );
    }
}
