//! Which segments a backup has, and what their manifests say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use anyhow::{Context, Result, anyhow};

use super::Reader;
use crate::head::{Head, OffsetSpan};
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{LogId, Manifest, Name, RangeMarker};
use crate::store::{Entry, Store};

/// The segments of one log, by their first offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionSegments {
    pub(crate) segments: Vec<Name>,
    /// Files that have a manifest.
    pub(crate) manifests: BTreeSet<String>,
    /// What is recorded of ranges of offsets.
    pub(crate) markers: Vec<RangeMarker>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    /// By topic and partition; lines come first.
    pub(crate) partitions: BTreeMap<LogId, PartitionSegments>,
    /// Of each topic that has a head, how far its backup has come.
    pub(crate) heads: BTreeMap<String, Head>,
}

impl Inventory {
    pub(crate) fn list(store: &dyn Store) -> Result<Inventory> {
        let mut entries = store.list("topics")?;
        entries.extend(store.list("lines")?);
        let mut inventory = Inventory::of(&entries);
        let topics = entries
            .iter()
            .filter_map(|entry| Head::topic_of(&entry.path));
        for topic in topics {
            let head = Head::read(store, topic)?;
            for partition in head.numbers() {
                // A partition of which nothing is there is one all the same.
                if let Ok(log) = LogId::partition(topic, partition) {
                    inventory.partitions.entry(log).or_default();
                }
            }
            inventory.heads.insert(topic.to_owned(), head);
        }
        Ok(inventory)
    }

    /// What the head says of `log`.
    pub(crate) fn span(&self, log: &LogId) -> Option<OffsetSpan> {
        match log {
            LogId::Lines => None,
            LogId::Partition(topic, partition) => {
                self.heads.get(topic)?.partitions.get(partition).copied()
            }
        }
    }

    pub(crate) fn list_log(store: &dyn Store, log: &LogId) -> Result<PartitionSegments> {
        Ok(Inventory::of_log(&store.list(&log.folder())?, log))
    }

    /// What of `entries` is at `log`.
    pub(crate) fn of_log(entries: &[Entry], log: &LogId) -> PartitionSegments {
        let mut inventory = Inventory::of(entries);
        inventory.partitions.remove(log).unwrap_or_default()
    }

    fn of(entries: &[Entry]) -> Inventory {
        let mut inventory = Inventory::default();
        for entry in entries {
            let Some((folder, file)) = entry.path.rsplit_once('/') else {
                continue;
            };
            let Some(log) = LogId::of_folder(folder) else {
                continue;
            };
            if let Some(marker) = RangeMarker::parse(file) {
                let stored = inventory.partitions.entry(log).or_default();
                stored.markers.push(marker);
                continue;
            }
            let segment = file.strip_suffix(MANIFEST_SUFFIX).unwrap_or(file);
            let Some(name) = Name::parse(segment, &log) else {
                continue;
            };
            let stored = inventory.partitions.entry(log).or_default();
            if segment.len() < file.len() {
                stored.manifests.insert(segment.to_owned());
            } else {
                stored.segments.push(name);
            }
        }
        for (log, stored) in &mut inventory.partitions {
            stored
                .segments
                .sort_by_key(|name| (name.first, name.file(log)));
        }
        inventory
    }
}

/// The stored bytes of a segment.
pub(crate) fn stored(store: &dyn Store, log: &LogId, name: &Name) -> Result<Box<dyn Read + Send>> {
    let path = name.path(log);
    store.read(&path)?.ok_or_else(|| anyhow!("{path} is gone"))
}

pub(crate) fn open(store: &dyn Store, log: &LogId, name: &Name) -> Result<Reader> {
    Reader::new(stored(store, log, name)?, name).with_context(|| name.path(log))
}

/// What the manifest of a segment says; `None` where there is none that can be read.
pub(crate) fn manifest(store: &dyn Store, log: &LogId, name: &Name) -> Result<Option<Manifest>> {
    let path = format!("{}{MANIFEST_SUFFIX}", name.path(log));
    let Some(mut stored) = store.read(&path)? else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = stored.read_to_string(&mut text);
    Ok(read.ok().and_then(|_| Manifest::parse(&text)))
}

/// What a segment holds: what its manifest says, or where that is missing, what its records say.
pub(crate) fn manifest_or_count(store: &dyn Store, log: &LogId, name: &Name) -> Result<Manifest> {
    match manifest(store, log, name)? {
        Some(manifest) => Ok(manifest),
        None => count(store, log, name),
    }
}

/// Reads a whole segment to say what it holds.
pub(crate) fn count(store: &dyn Store, log: &LogId, name: &Name) -> Result<Manifest> {
    open(store, log, name)?
        .manifest()
        .with_context(|| name.path(log))
}
