//! Which settings a restored topic needs, and which ones it is to get later. Pure.

use tools::kafka::admin::ConfigEntry;

use crate::metadata::TopicMetadata;

/// Settings with which a topic keeps what is restored, however old it is.
const KEEPS_ALL: [(&str, &str); 3] = [
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    ("message.timestamp.type", "CreateTime"),
];
/// The same for times, from Kafka 3.6 on, and before.
const TAKES_ALL_TIMES: [&[&str]; 3] = [
    &[
        "message.timestamp.before.max.ms",
        "message.timestamp.after.max.ms",
    ],
    &["message.timestamp.difference.max.ms"],
    &[],
];
const ANY_TIME: &str = "9223372036854775807";
/// A setting without which large records would be refused.
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

pub(super) type Pair = (String, String);

fn pair(name: &str, value: &str) -> Pair {
    (name.to_owned(), value.to_owned())
}

/// The settings to make a topic with; a broker may know only a later list.
pub(super) fn to_make(recorded: &TopicMetadata) -> Vec<Vec<Pair>> {
    let mut always: Vec<Pair> = KEEPS_ALL.map(|(name, value)| pair(name, value)).into();
    let recorded = recorded.settings.iter().chain(&recorded.of_broker);
    let largest = recorded.filter(|(name, _)| name == MAX_MESSAGE_BYTES);
    always.extend(largest.take(1).cloned());
    TAKES_ALL_TIMES
        .iter()
        .map(|names| {
            let times = names.iter().map(|name| pair(name, ANY_TIME));
            always.iter().cloned().chain(times).collect()
        })
        .collect()
}

/// Why a topic with these settings would not keep the records as they are.
pub(super) fn refusal(settings: &[ConfigEntry]) -> Option<String> {
    let setting = |name: &str| {
        let found = settings.iter().find(|setting| setting.name == name);
        found.map(|setting| setting.value.as_str())
    };
    let deletes = setting("cleanup.policy").is_some_and(|policy| policy.contains("delete"));
    let limit = |name: &str| setting(name).filter(|limit| deletes && *limit != "-1");
    if let Some(ms) = limit("retention.ms") {
        return Some(format!(
            "it is there with retention.ms={ms}, which would delete records with their old times; \
             set it to -1 first, or say --force"
        ));
    }
    if let Some(bytes) = limit("retention.bytes") {
        return Some(format!(
            "it is there with retention.bytes={bytes}, which would delete records beyond that size; \
             set it to -1 first, or say --force"
        ));
    }
    (setting("message.timestamp.type") == Some("LogAppendTime")).then(|| {
        "it is there with message.timestamp.type=LogAppendTime, which would give records new times; \
         --force takes that"
            .to_owned()
    })
}

/// Recorded settings that the topic does not have now; NULL where it had none of its own and has ours.
pub(super) fn to_apply(recorded: &TopicMetadata, own: &[Pair]) -> Vec<(String, Option<String>)> {
    let has = |pairs: &[Pair], name: &str| pairs.iter().any(|(known, _)| known == name);
    let missing = recorded.settings.iter().filter(|pair| !own.contains(pair));
    let mut settings: Vec<(String, Option<String>)> = missing
        .map(|(name, value)| (name.clone(), Some(value.clone())))
        .collect();
    let made = to_make(recorded).concat();
    for (name, value) in own {
        let is_ours = made.iter().any(|(n, v)| n == name && v == value);
        if is_ours && !has(&recorded.settings, name) {
            settings.push((name.clone(), None));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(settings: &[(&str, &str)], of_broker: &[(&str, &str)]) -> TopicMetadata {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| pair(n, v)).collect();
        TopicMetadata {
            settings: pairs(settings),
            of_broker: pairs(of_broker),
            ..TopicMetadata::default()
        }
    }

    fn in_force(settings: &[(&str, &str)]) -> Vec<ConfigEntry> {
        let setting = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            is_own: true,
        };
        settings.iter().map(setting).collect()
    }

    #[test]
    fn a_new_topic_takes_all_records_and_keeps_them() {
        let of = |recorded: &TopicMetadata| to_make(recorded)[0].clone();
        let made = of(&recorded(
            &[("cleanup.policy", "compact")],
            &[("max.message.bytes", "7")],
        ));
        for (name, value) in [
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("message.timestamp.after.max.ms", ANY_TIME),
            ("max.message.bytes", "7"),
        ] {
            assert!(made.contains(&pair(name, value)), "{name}");
        }
        assert!(!made.iter().any(|(name, _)| name == "cleanup.policy"));
        let own = recorded(&[("max.message.bytes", "5")], &[]);
        assert!(of(&own).contains(&pair("max.message.bytes", "5")));
    }

    #[test]
    fn what_would_delete_records_is_refused_by_time_and_by_size() {
        let refused = |settings: &[(&str, &str)]| refusal(&in_force(settings));
        let delete = ("cleanup.policy", "delete");
        let keeps = [delete, ("retention.ms", "-1"), ("retention.bytes", "-1")];
        assert_eq!(refused(&keeps), None);
        let by_time = refused(&[delete, ("retention.ms", "5"), ("retention.bytes", "-1")]);
        assert!(by_time.is_some_and(|why| why.contains("retention.ms=5")));
        let by_size = refused(&[delete, ("retention.ms", "-1"), ("retention.bytes", "9")]);
        assert!(by_size.is_some_and(|why| why.contains("retention.bytes=9")));
        assert_eq!(
            refused(&[("cleanup.policy", "compact"), ("retention.ms", "5")]),
            None
        );
        let both = refused(&[("cleanup.policy", "compact,delete"), ("retention.ms", "5")]);
        assert!(both.is_some());
        let new_times = refused(&[("message.timestamp.type", "LogAppendTime")]);
        assert!(new_times.is_some_and(|why| why.contains("LogAppendTime")));
    }

    #[test]
    fn a_second_restore_tells_the_same_settings_as_the_first() {
        let recorded = recorded(
            &[
                ("cleanup.policy", "compact"),
                ("retention.ms", "-1"),
                ("segment.ms", "9"),
            ],
            &[("max.message.bytes", "7")],
        );
        let made = to_make(&recorded)[0].clone();
        let found = to_apply(&recorded, &made);
        let value = |name: &str| {
            found
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_deref())
        };
        assert_eq!(value("cleanup.policy"), Some(Some("compact")));
        assert_eq!(value("segment.ms"), Some(Some("9")));
        assert_eq!(value("retention.ms"), None);
        assert_eq!(value("retention.bytes"), Some(None));
        assert_eq!(value("max.message.bytes"), Some(None));
        assert_eq!(value("message.timestamp.type"), Some(None));
        // What is applied meanwhile is not reported again, and what is somebody else's is left alone.
        let own = [
            pair("cleanup.policy", "compact"),
            pair("retention.bytes", "5"),
        ];
        let found = to_apply(&recorded, &own);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["retention.ms", "segment.ms"]);
    }
}
