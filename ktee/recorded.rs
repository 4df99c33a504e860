//! What a backup knows of a topic besides its records: partitions and settings, and how far groups have read.
//!
//! Two small files in the topic's folder, written anew each time:
//! `settings.tsv` with names and values, `groups.tsv` with group, partition
//! and offset.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tools::kafka::cluster::{
    Metadata, Patience, Topics, committed, list_groups, metadata_over, topic_settings,
};
use tools::kafka::wire::Wire;
use tools::kafka::{Client, Options, Role};
use tools::record::tsv::Tsv;
use tools::record::{Decoded, Decoder, Encoder, Format, Record};

use crate::store::Store;

/// The name under which the number of partitions stands among the settings.
const PARTITIONS: &str = "partitions";

/// What is to be recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) settings: bool,
    pub(crate) groups: bool,
}

/// What was recorded of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) partitions: Option<i32>,
    /// Settings that were the topic's own.
    pub(crate) settings: Vec<(String, String)>,
    /// Group, partition, and the offset of the first record that the group has not read.
    pub(crate) groups: Vec<(String, i32, i64)>,
}

fn format(columns: &str) -> Format {
    Format::Tsv(Tsv {
        columns: columns.parse().expect("these are columns"),
        ..Tsv::default()
    })
}

fn settings_path(topic: &str) -> String {
    format!("topics/{topic}/settings.tsv")
}

fn groups_path(topic: &str) -> String {
    format!("topics/{topic}/groups.tsv")
}

/// Asks the cluster about these topics, and writes what it says into the backup.
pub(crate) fn record(
    store: &dyn Store,
    options: &Options,
    topics: &[String],
    wanted: Wanted,
    interrupted: &dyn Fn() -> bool,
) -> Result<()> {
    let client = Client::new(options, Role::Consumer)?;
    let mut wire = Wire::new(&client);
    let metadata = metadata_over(&mut wire, Topics::Named(topics), interrupted)?;
    if wanted.settings {
        for topic in topics {
            let text = settings_of(&mut wire, &metadata, topic, &client, interrupted);
            let text = text.with_context(|| format!("settings of topic {topic}"))?;
            store.replace(&settings_path(topic), &text)?;
        }
    }
    if wanted.groups {
        for (topic, text) in groups_of(&mut wire, &metadata, topics, &client, interrupted)? {
            store.replace(&groups_path(&topic), &text)?;
        }
    }
    Ok(())
}

fn settings_of(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    topic: &str,
    client: &Client,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<u8>> {
    let about = metadata
        .topic(topic)
        .context("the cluster does not have it")?;
    if let Some(error) = &about.error {
        return Err(error.clone().into());
    }
    let broker = metadata.any_broker().context("no broker is up")?;
    let deadline = std::time::Instant::now() + client.first_contact();
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
    for setting in settings.iter().filter(|setting| setting.is_own) {
        add(&setting.name, &setting.value)?;
    }
    Ok(text)
}

/// For each topic the lines of its file.
fn groups_of(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    topics: &[String],
    client: &Client,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut patience = Patience::new(
        client.first_contact().max(Duration::from_secs(10)),
        interrupted,
    );
    let brokers: Vec<i32> = metadata.brokers.iter().map(|broker| broker.id).collect();
    let listing = list_groups(wire, &brokers, &mut patience);
    if let Some((broker, error)) = listing.errors.first() {
        return Err(anyhow!("broker {broker} does not tell its groups: {error}"));
    }
    let groups: Vec<(&str, i32)> = listing
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group.coordinator))
        .collect();
    let answers = committed(wire, &groups, metadata, &mut patience);
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

impl Recorded {
    /// What the backup knows of `topic`.
    pub(crate) fn read(store: &dyn Store, topic: &str) -> Result<Recorded> {
        let mut recorded = Recorded::default();
        let path = settings_path(topic);
        read_lines(store, &path, "key,value", &mut |record| {
            let text = |bytes: Option<&[u8]>| {
                String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
            };
            let (name, value) = (text(record.key), text(record.value));
            if name == PARTITIONS {
                recorded.partitions = value.parse().ok();
            } else {
                recorded.settings.push((name, value));
            }
        })?;
        let path = groups_path(topic);
        read_lines(store, &path, "key,partition,offset", &mut |record| {
            let group = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
            if let (Some(partition), Some(offset)) = (record.partition, record.offset) {
                recorded.groups.push((group, partition, offset));
            }
        })?;
        Ok(recorded)
    }
}

fn read_lines(
    store: &dyn Store,
    path: &str,
    columns: &str,
    take: &mut dyn FnMut(&Record<'_>),
) -> Result<()> {
    let Some(mut file) = store.read(path)? else {
        return Ok(());
    };
    let mut text = Vec::new();
    file.read_to_end(&mut text)
        .with_context(|| path.to_owned())?;
    let mut decoder = Decoder::new(format(columns))?;
    let mut rest = &text[..];
    while let Decoded::Record { record, used } = decoder
        .decode(rest, true)
        .with_context(|| path.to_owned())?
    {
        take(&record.record());
        rest = &rest[used..];
    }
    Ok(())
}
