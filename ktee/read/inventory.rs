//! Which segments a backup has, and what their manifests say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use anyhow::Result;
use tools::cli::now_ms;

use super::{Interrupted, Reader};
use crate::head::{Head, OffsetSpan};
use crate::prune;
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{LogId, Manifest, Name, RangeMarker};
use crate::store::Store;

/// The listing of one log: its segments by their first offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListedLog {
    pub(crate) segments: Vec<Name>,
    /// Files that have a manifest.
    manifests: BTreeSet<String>,
    /// What is recorded of ranges of offsets.
    pub(crate) markers: Vec<RangeMarker>,
}

/// A segment with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) name: Name,
    pub(crate) has_manifest: bool,
    /// What the manifest says, if it can be read.
    pub(crate) manifest: Option<Manifest>,
    /// What the segment holds, or why that can't be said.
    pub(crate) content: Result<Manifest, String>,
}

#[cfg(test)]
impl Segment {
    /// A whole one.
    pub(crate) fn of(first: i64, last: i64, after: Option<i64>) -> Segment {
        let manifest = Manifest {
            first,
            last,
            records: (last - first + 1) as u64,
            after,
            after_ms: after,
            times_ms: Some((first, last)),
            sha256: "0".repeat(64),
            ..Manifest::default()
        };
        Segment {
            name: Name {
                first,
                time_ms: None,
                layout: crate::segment::Layout::Tsv,
                codec: crate::segment::Codec::None,
            },
            has_manifest: true,
            content: Ok(manifest.clone()),
            manifest: Some(manifest),
        }
    }
}

/// What is stored of one log, by what its manifests say.
#[derive(Clone, Debug)]
pub(crate) struct StoredLog {
    pub(crate) log: LogId,
    pub(crate) segments: Vec<Segment>,
    /// First offsets of manifests without segments, and what they say.
    pub(crate) lost: Vec<(i64, Option<Manifest>)>,
    pub(crate) markers: Vec<RangeMarker>,
}

impl StoredLog {
    /// Reads the manifests, and of segments without one the records.
    pub(crate) fn load(store: &dyn Store, log: &LogId, listed: &ListedLog) -> Result<StoredLog> {
        StoredLog::load_with(store, log, listed, &mut |name, manifest| match manifest {
            Some(manifest) => Ok(manifest.clone()),
            None => Reader::open(store, log, name)?.manifest(),
        })
    }

    /// Reads the manifests; `count` says what a segment holds.
    pub(crate) fn load_with(
        store: &dyn Store,
        log: &LogId,
        listed: &ListedLog,
        count: &mut dyn FnMut(&Name, Option<&Manifest>) -> Result<Manifest>,
    ) -> Result<StoredLog> {
        let mut manifests = listed.manifests.clone();
        let mut segments = Vec::new();
        for name in &listed.segments {
            let manifest = manifest(store, log, name)?;
            let content = match count(name, manifest.as_ref()) {
                // What was not read to its end for a signal is not damaged.
                Err(error) if error.is::<Interrupted>() => return Err(error),
                counted => counted.map_err(|error| format!("{error:#}")),
            };
            segments.push(Segment {
                has_manifest: manifests.remove(&name.file(log)),
                name: name.clone(),
                manifest,
                content,
            });
        }
        let mut lost = Vec::new();
        for name in manifests.iter().filter_map(|file| Name::parse(file, log)) {
            lost.push((name.first, manifest(store, log, &name)?));
        }
        Ok(StoredLog {
            log: log.clone(),
            segments,
            lost,
            markers: listed.markers.clone(),
        })
    }

    /// How many records there are, as far as that can be said.
    pub(crate) fn records(&self) -> u64 {
        let contents = self.segments.iter().flat_map(|it| &it.content);
        contents.map(|content| content.records).sum()
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    /// By topic and partition; lines come first.
    pub(crate) partitions: BTreeMap<LogId, ListedLog>,
    /// Of each topic that has a head, how far its backup has come.
    heads: BTreeMap<String, Head>,
    /// The bucket itself may have deleted older records.
    pub(crate) expires_before_ms: Option<i64>,
}

impl Inventory {
    pub(crate) fn list(store: &dyn Store) -> Result<Inventory> {
        let mut entries = store.list("topics")?;
        entries.extend(store.list("lines")?);
        let mut inventory = Inventory::of(&entries);
        inventory.expires_before_ms = prune::expires_before_ms(store, now_ms())?;
        let topics = entries.iter().filter_map(|path| Head::topic_of(path));
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

    pub(crate) fn list_log(store: &dyn Store, log: &LogId) -> Result<ListedLog> {
        Ok(Inventory::of_log(&store.list(&log.folder())?, log))
    }

    /// What of `entries` is at `log`.
    pub(crate) fn of_log(entries: &[String], log: &LogId) -> ListedLog {
        let mut inventory = Inventory::of(entries);
        inventory.partitions.remove(log).unwrap_or_default()
    }

    fn of(entries: &[String]) -> Inventory {
        let mut inventory = Inventory::default();
        for path in entries {
            let Some((folder, file)) = path.rsplit_once('/') else {
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
        for stored in inventory.partitions.values_mut() {
            stored.segments.sort();
        }
        inventory
    }
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
