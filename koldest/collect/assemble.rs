//! What to ask brokers for their partitions, and where their answers belong.

use std::collections::{BTreeSet, HashMap};

use tools::kafka::KafkaError;
use tools::kafka::admin::{
    ConfigResource, ConfigsQuery, ListedOffset, LogDir, LogDirsQuery, Metadata, OffsetSpec,
};
use tools::kafka::error::code;
use tools::units::format_duration_ms;

use super::{ByLeader, Configs, Dirs};
use crate::partition_state::{
    BROKER_KEYS, CHECK_INTERVAL_MS, LogBounds, Message, PartitionState, TOPIC_KEYS, settings,
};

/// What every partition is asked for; [`bounds`] takes the answers apart.
pub(super) const SPECS: [OffsetSpec; 5] = [
    OffsetSpec::Earliest,
    OffsetSpec::LastStable,
    OffsetSpec::HighWatermark,
    OffsetSpec::Time(0),
    OffsetSpec::MaxTimestamp,
];

type Answer = Result<ListedOffset, KafkaError>;

/// The bounds of a partition's log by the answers to its [`SPECS`].
///
/// A cluster that does not look up offsets by time leaves first and newest message open.
pub(super) fn bounds(answers: &[Answer]) -> Result<LogBounds, KafkaError> {
    let offset = |at: usize| -> Result<i64, KafkaError> {
        let found = answers[at].clone()?;
        found
            .offset
            .ok_or_else(|| KafkaError::of(code::OFFSET_NOT_AVAILABLE))
    };
    let by_time = |at: usize| match &answers[at] {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code == code::UNSUPPORTED_FEATURE => Ok(None),
        Err(error) => Err(error.clone()),
    };
    let message = |at: usize| -> Result<Option<Message>, KafkaError> {
        let pair = by_time(at)?.and_then(|found| found.offset.zip(found.timestamp_ms));
        Ok(pair.map(|(offset, time_ms)| Message::new(offset, time_ms)))
    };
    let (log_start, stable, end) = (offset(0)?, offset(1)?, offset(2)?);
    let (oldest, newest) = (message(3)?, message(4)?);
    // They were asked for side by side, while records came.
    let end = end.max(stable);
    // What was deleted may still be reported.
    let is_kept = |message: &Message| (log_start..end).contains(&message.offset);
    let mut bounds = LogBounds {
        log_start,
        stable,
        end,
        oldest: oldest.filter(is_kept),
        newest: newest.filter(is_kept),
        window_start: (log_start >= end).then_some(end),
        ..LogBounds::default()
    };
    if bounds.has_open_transaction() {
        let note = "has an open transaction";
        bounds.notes.push(note.to_owned());
    }
    Ok(bounds)
}

/// Where the window begins, as far as both ends of the log tell: a look-up by time costs a broker more than all else.
///
/// A message with a future timestamp says nothing of it.
pub(super) fn known_window_start(bounds: &LogBounds, since_ms: i64, now_ms: i64) -> Option<i64> {
    let newest_ms = bounds.newest.and_then(|newest| newest.time_ms);
    if bounds.window_start.is_some() || newest_ms.is_some_and(|time| time < since_ms) {
        return Some(bounds.end);
    }
    let oldest = bounds
        .oldest
        .filter(|oldest| oldest.time_ms >= Some(since_ms) && !oldest.is_ahead(now_ms));
    oldest.map(|oldest| oldest.offset)
}

/// Leaders are asked for the logs that they lead; every broker for all that it has, where `all` is wanted.
pub(super) fn dirs_of(
    cluster: &Metadata,
    by_leader: &ByLeader,
    partitions: &[PartitionState],
    all: bool,
) -> Vec<LogDirsQuery> {
    if all {
        let brokers = cluster.brokers.iter();
        let of = |broker| LogDirsQuery {
            broker,
            topics: None,
        };
        return brokers.map(|broker| of(broker.id)).collect();
    }
    by_leader
        .iter()
        .map(|(&broker, indices)| {
            let mut topics: Vec<(String, Vec<i32>)> = Vec::new();
            for state in indices.iter().map(|&place| &partitions[place]) {
                let Some(partition) = state.partition else {
                    continue;
                };
                match topics.last_mut() {
                    Some((name, partitions)) if *name == state.topic => partitions.push(partition),
                    _ => topics.push((state.topic.clone(), vec![partition])),
                }
            }
            LogDirsQuery {
                broker,
                topics: Some(topics),
            }
        })
        .collect()
}

/// Leaders are asked for the settings of the topics that they lead a partition of, and for their own.
pub(super) fn configs_of(by_leader: &ByLeader, partitions: &[PartitionState]) -> Vec<ConfigsQuery> {
    by_leader
        .iter()
        .map(|(&broker, indices)| {
            let names: BTreeSet<&str> = indices
                .iter()
                .map(|&at| partitions[at].topic.as_str())
                .collect();
            let topics = names.into_iter();
            let topics =
                topics.map(|name| (ConfigResource::Topic(name.to_owned()), TOPIC_KEYS.to_vec()));
            let own = (ConfigResource::Broker(broker), BROKER_KEYS.to_vec());
            ConfigsQuery {
                broker,
                resources: topics.chain([own]).collect(),
            }
        })
        .collect()
}

/// Gives every partition the settings that its leader has reported.
pub(super) fn put_settings(partitions: &mut [PartitionState], answers: &Configs) {
    for state in partitions.iter_mut() {
        let Some(answer) = state.leader.and_then(|leader| answers.get(&leader)) else {
            continue;
        };
        let answered = match answer {
            Ok(answered) => answered,
            Err(error) => {
                state.settings = Err(error.clone());
                continue;
            }
        };
        let own = state
            .leader
            .and_then(|leader| answered.get(&ConfigResource::Broker(leader)));
        let own = own.and_then(|own| own.as_ref().ok());
        if own.is_none_or(|own| !own.contains_key(BROKER_KEYS[0])) {
            let assumed = format_duration_ms(CHECK_INTERVAL_MS);
            state.notes.push(format!(
                "{} is unknown: {assumed} is assumed",
                BROKER_KEYS[0]
            ));
        }
        state.settings = match answered.get(&ConfigResource::Topic(state.topic.clone())) {
            Some(Ok(topic)) => {
                settings(topic, own).map_err(|missing| KafkaError::new(code::INVALID_ARG, missing))
            }
            Some(Err(error)) => Err(error.clone()),
            None => Err(KafkaError::of(code::UNKNOWN_TOPIC_OR_PARTITION)),
        };
    }
}

/// Puts the bytes that its leader has on its disk with every partition.
pub(super) fn put_bytes(partitions: &mut [PartitionState], dirs: &Dirs) {
    let mut bytes: HashMap<(i32, &str, i32), u64> = HashMap::new();
    for (broker, dirs) in dirs {
        let dirs: &[LogDir] = dirs.as_ref().map_or(&[], Vec::as_slice);
        for replica in dirs.iter().flat_map(|dir| &dir.replicas) {
            if !replica.is_future {
                bytes.insert((*broker, &replica.topic, replica.partition), replica.bytes);
            }
        }
    }
    for state in partitions.iter_mut() {
        let (Some(leader), Some(partition)) = (state.leader, state.partition) else {
            continue;
        };
        let refused = || match dirs.get(&leader) {
            Some(Err(error)) => error.clone(),
            Some(Ok(dirs)) => {
                let failed = dirs.iter().find_map(|dir| dir.error.clone());
                // A broker tells nobody else's logs to who may not describe the cluster.
                failed.unwrap_or_else(|| KafkaError::of(code::CLUSTER_AUTHORIZATION_FAILED))
            }
            None => KafkaError::of(code::TIMED_OUT),
        };
        let known = bytes
            .get(&(leader, state.topic.as_str(), partition))
            .copied();
        state.bytes = known.ok_or_else(refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(offset: i64, timestamp_ms: Option<i64>) -> ListedOffset {
        ListedOffset {
            offset: (offset >= 0).then_some(offset),
            timestamp_ms,
        }
    }

    #[test]
    fn an_emptied_log_has_no_message_even_if_the_broker_remembers_one() {
        let bounds_to = |end| {
            let [start, end] = [10, end].map(|offset| Ok(found(offset, None)));
            let deleted = || Ok(found(9, Some(77)));
            bounds(&[start, end.clone(), end, deleted(), deleted()]).expect("all answered")
        };
        let emptied = bounds_to(10);
        assert_eq!((emptied.oldest, emptied.newest), (None, None));
        assert_eq!(emptied.window_start, Some(10));
        // Nor is it one of the messages that are left.
        assert_eq!(bounds_to(20).newest, None);
    }

    #[test]
    fn a_cluster_without_look_up_by_time_leaves_the_messages_open() {
        let unsupported = || Err(KafkaError::of(code::UNSUPPORTED_FEATURE));
        let mut answers = [
            Ok(found(0, None)),
            Ok(found(3, None)),
            Ok(found(3, None)),
            unsupported(),
            unsupported(),
        ];
        let open = bounds(&answers).expect("log start and end are known");
        assert_eq!(
            (open.oldest, open.newest, open.window_start),
            (None, None, None)
        );
        answers[3] = Err(KafkaError::of(code::TIMED_OUT));
        assert!(bounds(&answers).is_err());
    }

    #[test]
    fn the_ends_of_a_log_may_tell_where_the_window_begins() {
        let log = |oldest_ms, newest_ms| LogBounds {
            log_start: 5,
            end: 20,
            oldest: Some(Message::new(6, oldest_ms)),
            newest: Some(Message::new(19, newest_ms)),
            ..LogBounds::default()
        };
        let start = |bounds: &LogBounds, since_ms| known_window_start(bounds, since_ms, 300);
        assert_eq!(start(&log(100, 200), 201), Some(20));
        assert_eq!(start(&log(100, 200), 200), None);
        assert_eq!(start(&log(100, 200), 101), None);
        assert_eq!(start(&log(100, 200), 100), Some(6));
        // A message with a future timestamp is in no window.
        assert_eq!(start(&log(90_000, 90_000), 100), None);
    }
}
