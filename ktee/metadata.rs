//! What a backup knows of a topic besides its records: partitions and settings, and how far groups have read.
//!
//! Small files `meta/settings+TIME.tsv`, with names and values, and
//! `meta/groups+TIME.tsv`, with group, partition and offset, in the topic's
//! folder. TIME is when the cluster was asked. A file is never written over;
//! one that would say the same as the newest is not written. Earlier versions
//! had one `settings.tsv` and one `groups.tsv`, which count as older than all.

use std::io::Read;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tools::cli::{message, now_ms};
use tools::kafka::admin::{
    Metadata, QueryBudget, Topics, committed, list_groups, metadata_over, topic_settings,
};
use tools::kafka::wire::Wire;
use tools::kafka::{Client, Options, Role};
use tools::record::tsv::Tsv;
use tools::record::{Decoded, Decoder, Encoder, Format, Record};
use tools::units::format_time_ms;

use crate::head::Head;
use crate::segment::name::{compact_time, parse_compact_time};
use crate::store::Store;

/// The name under which the number of partitions stands among the settings.
const PARTITIONS: &str = "partitions";
/// What stands before the name of a setting that was the broker's and not the topic's own.
const OF_BROKER: &str = "broker:";
const UNKNOWN: &str = "the cluster does not have it";
/// Settings without which a restored topic may not take the records, whoever set them.
const NEEDED: [&str; 1] = ["max.message.bytes"];

/// What is to be recorded besides how many partitions topics have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetadataOptions {
    pub(crate) settings: bool,
    pub(crate) groups: bool,
    /// These topics are recorded although no record of them may come.
    pub(crate) topics: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicMetadata {
    pub(crate) partitions: Option<i32>,
    /// Settings that were the topic's own.
    pub(crate) settings: Vec<(String, String)>,
    /// Settings that it needed and that were the broker's.
    pub(crate) of_broker: Vec<(String, String)>,
    /// Group, partition, and the offset of the first record that the group has not read.
    pub(crate) groups: Vec<(String, i32, i64)>,
}

fn format(columns: &str) -> Format {
    Format::Tsv(Tsv {
        columns: columns.parse().expect("these are columns"),
        ..Tsv::default()
    })
}

/// A kind of file, by what its name begins with.
#[derive(Clone, Copy)]
enum Kind {
    Settings,
    Groups,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Settings => "settings",
            Kind::Groups => "groups",
        }
    }

    /// The file of `topic` that was written at this time; `None` stands for the one of earlier versions.
    fn path(self, topic: &str, time_ms: Option<i64>) -> String {
        let name = self.name();
        match time_ms {
            None => format!("topics/{topic}/{name}.tsv"),
            Some(ms) => format!("topics/{topic}/meta/{name}+{}.tsv", compact_time(ms)),
        }
    }

    /// The time in the name of a file of this kind.
    fn time_of(self, file: &str) -> Option<i64> {
        let time = file.strip_prefix(self.name())?.strip_prefix('+')?;
        parse_compact_time(time.strip_suffix(".tsv")?)
    }

    /// What the newest file says that is not newer than `as_of_ms`; `None` where there is none.
    fn read(
        self,
        store: &dyn Store,
        topic: &str,
        as_of_ms: Option<i64>,
    ) -> Result<Option<Vec<u8>>> {
        let entries = store.list(&format!("topics/{topic}/meta"))?;
        let files = entries.iter().filter_map(|path| path.rsplit_once('/'));
        let times = files.filter_map(|(_, file)| self.time_of(file));
        let times: Vec<i64> = times.collect();
        let as_of_ms = as_of_ms.unwrap_or(i64::MAX);
        let newest = times.iter().filter(|ms| **ms <= as_of_ms).max();
        let path = self.path(topic, newest.copied());
        let Some(mut file) = store.read(&path)? else {
            if let Some(earliest) = times.iter().min() {
                message(format_args!(
                    "topic {topic}: the first {} were recorded at {}, and none before",
                    self.name(),
                    format_time_ms(*earliest)
                ));
            }
            return Ok(None);
        };
        let mut text = Vec::new();
        file.read_to_end(&mut text).context(path)?;
        Ok(Some(text))
    }

    /// Writes what the cluster says now, unless the newest file says the same.
    fn write(self, store: &dyn Store, topic: &str, text: &[u8]) -> Result<()> {
        if self.read(store, topic, None)?.as_deref() == Some(text) {
            return Ok(());
        }
        store.replace(&self.path(topic, Some(now_ms())), text)
    }
}

/// Asks the cluster about these topics, and writes what it says into the backup.
pub(crate) fn record(
    store: &dyn Store,
    options: &Options,
    topics: &[String],
    wanted: &MetadataOptions,
    interrupted: &dyn Fn() -> bool,
) -> Result<()> {
    let client = Client::new(options, Role::Consumer)?;
    let mut wire = Wire::new(&client);
    let metadata = metadata_over(&mut wire, Topics::Named(topics), interrupted)?;
    for topic in topics {
        let known = metadata.topic(topic).filter(|known| known.error.is_none());
        match known {
            Some(known) => {
                Head::of_partitions(known.partitions.len() as i32).update(store, topic)?;
            }
            None if wanted.topics.contains(topic) => bail!("topic {topic}: {UNKNOWN}"),
            // The records may come from elsewhere.
            None => {}
        }
    }
    if wanted.settings {
        for topic in topics {
            let text = settings_of(&mut wire, &metadata, topic, interrupted);
            let text = text.with_context(|| format!("settings of topic {topic}"))?;
            Kind::Settings.write(store, topic, &text)?;
        }
    }
    if wanted.groups {
        for (topic, text) in groups_of(&mut wire, &metadata, topics, interrupted)? {
            Kind::Groups.write(store, &topic, &text)?;
        }
    }
    Ok(())
}

fn settings_of(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    topic: &str,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<u8>> {
    let about = metadata.topic(topic).context(UNKNOWN)?;
    if let Some(error) = &about.error {
        return Err(error.clone().into());
    }
    let broker = metadata.any_broker().context("no broker is up")?;
    let deadline = Instant::now() + wire.client().first_contact();
    let settings = topic_settings(wire, broker, topic, deadline, interrupted)?;
    let mut encoder = Encoder::new(format("key,value"));
    let mut text = Vec::new();
    let mut add = |name: &str, value: &str| {
        let record = Record {
            key: Some(name.as_bytes()),
            value: Some(value.as_bytes()),
            ..Record::default()
        };
        encoder.encode(&record, &mut text)
    };
    add(PARTITIONS, &about.partitions.len().to_string())?;
    for setting in &settings {
        if setting.is_own {
            add(&setting.name, &setting.value)?;
        } else if NEEDED.contains(&setting.name.as_str()) {
            add(&format!("{OF_BROKER}{}", setting.name), &setting.value)?;
        }
    }
    Ok(text)
}

/// For each topic the lines of its file.
fn groups_of(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    topics: &[String],
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut budget = QueryBudget::new(
        wire.client().first_contact().max(Duration::from_secs(10)),
        interrupted,
    );
    let brokers: Vec<i32> = metadata.brokers.iter().map(|broker| broker.id).collect();
    let listing = list_groups(wire, &brokers, &mut budget);
    if let Some((broker, error)) = listing.errors.first() {
        return Err(anyhow!("broker {broker} does not tell its groups: {error}"));
    }
    let groups: Vec<(&str, i32)> = listing
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group.coordinator))
        .collect();
    let answers = committed(wire, &groups, metadata, &mut budget);
    let mut encoder = Encoder::new(format("key,partition,offset"));
    let mut texts: Vec<(String, Vec<u8>)> = topics
        .iter()
        .map(|topic| (topic.clone(), Vec::new()))
        .collect();
    for ((group, _), answer) in groups.iter().zip(answers) {
        let commits = answer.with_context(|| format!("offsets of group {group}"))?;
        for commit in commits {
            let Some((_, text)) = texts.iter_mut().find(|(topic, _)| **topic == *commit.topic)
            else {
                continue;
            };
            for (partition, offset) in commit.partitions {
                let record = Record {
                    key: Some(group.as_bytes()),
                    partition: Some(partition),
                    offset: Some(offset?),
                    ..Record::default()
                };
                encoder.encode(&record, text)?;
            }
        }
    }
    Ok(texts)
}

impl TopicMetadata {
    /// What the backup knows of `topic`, as of a time or as of the newest.
    pub(crate) fn read(
        store: &dyn Store,
        topic: &str,
        as_of_ms: Option<i64>,
    ) -> Result<TopicMetadata> {
        let mut recorded = TopicMetadata {
            partitions: Head::read(store, topic)?.partition_count,
            ..TopicMetadata::default()
        };
        let mut read =
            |kind: Kind, columns: &str, take: &mut dyn FnMut(&mut TopicMetadata, &Record<'_>)| {
                let text = kind.read(store, topic, as_of_ms)?.unwrap_or_default();
                each_line(&text, columns, &mut |record| take(&mut recorded, record))
                    .with_context(|| format!("topics/{topic}: {}", kind.name()))
            };
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        read(Kind::Settings, "key,value", &mut |recorded, record| {
            let (name, value) = (text(record.key), text(record.value));
            if name == PARTITIONS {
                recorded.partitions = value.parse().ok().or(recorded.partitions);
            } else if let Some(name) = name.strip_prefix(OF_BROKER) {
                recorded.of_broker.push((name.to_owned(), value));
            } else {
                recorded.settings.push((name, value));
            }
        })?;
        read(
            Kind::Groups,
            "key,partition,offset",
            &mut |recorded, record| {
                if let (Some(partition), Some(offset)) = (record.partition, record.offset) {
                    recorded.groups.push((text(record.key), partition, offset));
                }
            },
        )?;
        Ok(recorded)
    }
}

fn each_line(text: &[u8], columns: &str, take: &mut dyn FnMut(&Record<'_>)) -> Result<()> {
    let mut decoder = Decoder::new(format(columns))?;
    let mut rest = text;
    while let Decoded::Record { record, used } = decoder.decode(rest, true)? {
        take(&record.record());
        rest = &rest[used..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{self, Access};

    #[test]
    fn the_newest_counts_or_the_newest_before_a_time() {
        let root = tempfile::tempdir().expect("a folder");
        let location = root.path().to_str().expect("UTF-8").to_owned();
        let access = Access {
            for_writing: true,
            ..Access::default()
        };
        let store = store::open(&location, &access).expect("it is made");
        let write = |time_ms: Option<i64>, partitions: i32| {
            let path = Kind::Settings.path("t", time_ms);
            let text = format!("partitions\t{partitions}\na\tb\nbroker:max.message.bytes\t9\n");
            store
                .replace(&path, text.as_bytes())
                .expect("it is written");
        };
        let read = |as_of_ms| TopicMetadata::read(&*store, "t", as_of_ms).expect("an answer");
        assert_eq!(read(None), TopicMetadata::default());
        write(None, 1);
        write(Some(2000), 2);
        write(Some(3000), 3);
        let of = |as_of_ms| read(as_of_ms).partitions;
        assert_eq!(of(None), Some(3));
        assert_eq!(
            [of(Some(1999)), of(Some(2000)), of(Some(9000))],
            [Some(1), Some(2), Some(3)]
        );
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(None).settings, [text("a", "b")]);
        assert_eq!(read(None).of_broker, [text("max.message.bytes", "9")]);
        let written = |text: &[u8]| {
            Kind::Groups
                .write(&*store, "t", text)
                .expect("it is written");
            store.list("topics/t/meta").expect("a list").len()
        };
        assert_eq!(written(b"g\t0\t5\n"), 3);
        assert_eq!(written(b"g\t0\t5\n"), 3, "the same is not written again");
        assert_eq!(read(None).groups, [("g".to_owned(), 0, 5)]);
    }
}
