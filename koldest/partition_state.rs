//! What the cluster says of a partition: plain facts, nothing reckoned yet.

use tools::kafka::KafkaError;
use tools::kafka::admin::configs::ConfigValues;
use tools::kafka::admin::{Isolation, LogSpan, OffsetQuery, OffsetSpec, Position};
use tools::kafka::error::code;
use tools::units::{age_ms, is_in_future};

use crate::forecast::Settings;

/// A message's place and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) offset: i64,
    /// Milliseconds since 1970; none where it was written without a time.
    pub(crate) time_ms: Option<i64>,
}

impl Message {
    /// -1 stands for no time (`RecordBatch.NO_TIMESTAMP`).
    pub(crate) fn new(offset: i64, time_ms: i64) -> Message {
        Message {
            offset,
            time_ms: (time_ms != -1).then_some(time_ms),
        }
    }

    /// How old it is; not known where it has no time, or one that is still to come.
    pub(crate) fn age_ms(&self, now_ms: i64) -> Option<i64> {
        age_ms(self.time_ms?, now_ms)
    }

    /// Whether its time is still to come.
    pub(crate) fn is_ahead(&self, now_ms: i64) -> bool {
        self.time_ms.is_some_and(|time| is_in_future(time, now_ms))
    }
}

/// What a partition's log has, from end to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogBounds {
    pub(crate) log_start: i64,
    /// The last stable offset: no record of an open transaction is below.
    pub(crate) stable: i64,
    pub(crate) end: i64,
    /// The first message in the log.
    pub(crate) oldest: Option<Message>,
    /// The message with the latest time.
    pub(crate) newest: Option<Message>,
    /// The first offset of the window that the rate is of; the end where nothing is so late, none where it is not known.
    pub(crate) window_start: Option<i64>,
    /// How many messages from there on have a future timestamp: they are not in the window.
    pub(crate) window_ahead: i64,
    /// The messages without a future timestamp, where the newest message is.
    pub(crate) past: PastMessages,
    /// The message with the earliest time.
    pub(crate) earliest: Earliest,
    /// Why the beginning of the window is not known, where that is not for want of a look-up by time.
    pub(crate) no_window: Option<String>,
    pub(crate) notes: Vec<String>,
}

/// The message with the earliest time of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Earliest {
    /// It was not looked for: the first message tells enough.
    #[default]
    NotAsked,
    /// The whole log was read.
    Read(Option<Message>),
    /// The log is too long to be read.
    TooLong,
    /// The log can't be read.
    Failed(KafkaError),
}

/// The messages without a future timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PastMessages {
    /// The first of them.
    pub(crate) oldest: Option<Message>,
    /// The last of them.
    pub(crate) newest: Option<Message>,
}

impl LogBounds {
    /// Whether some message has a future timestamp; then the one with the latest time is.
    pub(crate) fn reaches_ahead(&self, now_ms: i64) -> bool {
        self.newest.is_some_and(|newest| newest.is_ahead(now_ms))
    }

    /// Whether a transaction is open in it.
    pub(crate) fn has_open_transaction(&self) -> bool {
        self.stable < self.end
    }

    /// The first message without a future timestamp.
    pub(crate) fn oldest_past(&self, now_ms: i64) -> Option<Message> {
        match self.oldest {
            Some(oldest) if oldest.is_ahead(now_ms) => self.past.oldest,
            oldest => oldest,
        }
    }

    /// The newest message without a future timestamp.
    pub(crate) fn newest_past(&self, now_ms: i64) -> Option<Message> {
        match self.newest {
            Some(newest) if newest.is_ahead(now_ms) => self.past.newest,
            newest => newest,
        }
    }
}

/// A partition, or a topic that has none to show.
#[derive(Clone, Debug)]
pub(crate) struct PartitionState {
    pub(crate) topic: String,
    /// The partition's number; none where the topic itself can't be looked at.
    pub(crate) partition: Option<i32>,
    pub(crate) leader: Option<i32>,
    pub(crate) replica_count: usize,
    pub(crate) bounds: Result<LogBounds, KafkaError>,
    pub(crate) bytes: Result<u64, KafkaError>,
    pub(crate) settings: Result<Settings, KafkaError>,
    pub(crate) notes: Vec<String>,
}

impl PartitionState {
    /// A part of its log.
    pub(crate) fn span(&self, from: i64, until: i64) -> LogSpan {
        LogSpan {
            topic: self.topic.as_str().into(),
            partition: self.partition.unwrap_or(-1),
            from,
            until,
        }
    }

    /// Where to read on from for a committed message that is not dated later than `not_after_ms`.
    pub(crate) fn position(&self, offset: i64, not_after_ms: Option<i64>) -> Option<Position> {
        Some(Position {
            topic: self.topic.as_str().into(),
            partition: self.partition?,
            offset,
            until: self.bounds.as_ref().ok()?.stable,
            isolation: Isolation::ReadCommitted,
            not_after_ms,
        })
    }

    /// Notes why it is not known; without the permission to read, what is known without reading stays.
    pub(crate) fn fail(&mut self, error: &KafkaError) {
        let Ok(bounds) = &mut self.bounds else { return };
        let has_both = bounds.oldest.is_some() && bounds.newest.is_some();
        match error.code {
            code::TOPIC_AUTHORIZATION_FAILED if has_both => {
                let note =
                    "no permission to read: a marker of a transaction may pass for a message";
                if !bounds.notes.iter().any(|known| known == note) {
                    bounds.notes.push(note.to_owned());
                }
            }
            // Its row would say that it may not be described.
            code::TOPIC_AUTHORIZATION_FAILED => {
                self.bounds = Err(KafkaError::new(code::BAD_MESSAGE, error.refusal("read")));
            }
            _ => self.bounds = Err(error.clone()),
        }
    }

    /// The question for one of its offsets.
    pub(crate) fn query(&self, spec: OffsetSpec) -> OffsetQuery {
        OffsetQuery {
            topic: self.topic.clone(),
            partition: self.partition.unwrap_or(-1),
            spec,
        }
    }
}

/// The settings of a topic that the forecast needs.
pub(crate) const TOPIC_KEYS: [&str; 7] = [
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "segment.ms",
    "segment.bytes",
    "file.delete.delay.ms",
    "remote.storage.enable",
];

/// The settings of a broker that the forecast needs.
pub(crate) const BROKER_KEYS: [&str; 1] = ["log.retention.check.interval.ms"];

/// Kafka's default of `log.retention.check.interval.ms`, for a broker that does not tell it.
pub(crate) const CHECK_INTERVAL_MS: i64 = 300_000;

/// The settings that `topic` and the leader's own `broker` have in force.
///
/// # Errors
/// The name of what is missing, or is no number.
pub(crate) fn settings(
    topic: &ConfigValues,
    broker: Option<&ConfigValues>,
) -> Result<Settings, String> {
    let number = |key: &str| -> Result<i64, String> {
        let text = topic.get(key).ok_or_else(|| format!("{key} is missing"))?;
        text.parse()
            .map_err(|_| format!("{key}={text} is no number"))
    };
    let limit = |key: &str| number(key).map(|value| (value >= 0).then_some(value));
    // An empty policy, which Kafka 4.2 allows, deletes nothing.
    let policy = topic.get("cleanup.policy").map_or("", String::as_str);
    let has = |name: &str| policy.split(',').any(|one| one.trim() == name);
    let check_ms = broker.and_then(|names| names.get(BROKER_KEYS[0])?.parse().ok());
    Ok(Settings {
        deletes: has("delete"),
        compacts: has("compact"),
        retention_ms: limit("retention.ms")?,
        retention_bytes: limit("retention.bytes")?.map(|bytes| bytes as u64),
        segment_ms: number("segment.ms")?,
        segment_bytes: number("segment.bytes")?.max(0) as u64,
        check_interval_ms: check_ms.unwrap_or(CHECK_INTERVAL_MS),
        delete_delay_ms: number("file.delete.delay.ms")?,
        tiered: topic
            .get("remote.storage.enable")
            .is_some_and(|value| value == "true"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &str)]) -> ConfigValues {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(pair).collect()
    }

    const KAFKAS_OWN: [(&str, &str); 7] = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "-1"),
        ("segment.ms", "604800000"),
        ("segment.bytes", "1073741824"),
        ("file.delete.delay.ms", "60000"),
        ("remote.storage.enable", "false"),
    ];

    #[test]
    fn settings_are_read_as_kafka_writes_them() {
        let broker = names(&[("log.retention.check.interval.ms", "500")]);
        let read = settings(&names(&KAFKAS_OWN), Some(&broker)).expect("Kafka's own");
        assert!(read.deletes && !read.compacts && !read.tiered);
        assert_eq!(read.retention_ms, Some(604_800_000));
        assert_eq!(read.retention_bytes, None);
        assert_eq!(read.check_interval_ms, 500);
        let mut both = KAFKAS_OWN;
        both[0].1 = "compact,delete";
        let read = settings(&names(&both), None).expect("both policies");
        assert!(read.deletes && read.compacts);
        assert_eq!(read.check_interval_ms, CHECK_INTERVAL_MS);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            settings(&names(&KAFKAS_OWN[..3]), None),
            Err("segment.ms is missing".to_owned())
        );
    }

    #[test]
    fn a_message_without_a_time_has_none() {
        assert_eq!(Message::new(3, -1).time_ms, None);
        assert_eq!(Message::new(3, -5).time_ms, Some(-5));
    }
}
