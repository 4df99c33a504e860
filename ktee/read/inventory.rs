//! Which segments a backup has, and what their manifests say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use anyhow::{Context, Result, anyhow};

use super::Reader;
use crate::head::{Head, Reached};
use crate::segment::name::MANIFEST_SUFFIX;
use crate::segment::{Manifest, Name, Note, Place};
use crate::store::{Entry, Store};

/// The segments of one place, by their first offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionSegments {
    /// The segments; two may have the same first offset in different layouts.
    pub(crate) segments: Vec<Name>,
    /// Files that have a manifest.
    pub(crate) manifests: BTreeSet<String>,
    /// What is recorded of ranges of offsets.
    pub(crate) notes: Vec<Note>,
}

/// All segments of a backup.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inventory {
    /// By topic and partition; lines come first.
    pub(crate) partitions: BTreeMap<Place, PartitionSegments>,
    /// Of each topic that has a head, how far its backup has come.
    pub(crate) heads: BTreeMap<String, Head>,
}

impl Inventory {
    /// Lists the whole backup.
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
                if let Ok(place) = Place::partition(topic, partition) {
                    inventory.partitions.entry(place).or_default();
                }
            }
            inventory.heads.insert(topic.to_owned(), head);
        }
        Ok(inventory)
    }

    /// What the head says of `place`.
    pub(crate) fn reached(&self, place: &Place) -> Option<Reached> {
        match place {
            Place::Lines => None,
            Place::Partition(topic, partition) => {
                self.heads.get(topic)?.partitions.get(partition).copied()
            }
        }
    }

    /// Lists one place.
    pub(crate) fn list_place(store: &dyn Store, place: &Place) -> Result<PartitionSegments> {
        Ok(Inventory::of_place(&store.list(&place.folder())?, place))
    }

    /// What of `entries` is at `place`.
    pub(crate) fn of_place(entries: &[Entry], place: &Place) -> PartitionSegments {
        let mut inventory = Inventory::of(entries);
        inventory.partitions.remove(place).unwrap_or_default()
    }

    fn of(entries: &[Entry]) -> Inventory {
        let mut inventory = Inventory::default();
        for entry in entries {
            let Some((folder, file)) = entry.path.rsplit_once('/') else {
                continue;
            };
            let Some(place) = Place::of_folder(folder) else {
                continue;
            };
            if let Some(note) = Note::parse(file) {
                let stored = inventory.partitions.entry(place).or_default();
                stored.notes.push(note);
                continue;
            }
            let segment = file.strip_suffix(MANIFEST_SUFFIX).unwrap_or(file);
            let Some(name) = Name::parse(segment, &place) else {
                continue;
            };
            let stored = inventory.partitions.entry(place).or_default();
            if segment.len() < file.len() {
                stored.manifests.insert(segment.to_owned());
            } else {
                stored.segments.push(name);
            }
        }
        for (place, stored) in &mut inventory.partitions {
            stored
                .segments
                .sort_by_key(|name| (name.first, name.file(place)));
        }
        inventory
    }
}

/// The stored bytes of a segment.
pub(crate) fn stored(
    store: &dyn Store,
    place: &Place,
    name: &Name,
) -> Result<Box<dyn Read + Send>> {
    let path = name.path(place);
    store.read(&path)?.ok_or_else(|| anyhow!("{path} is gone"))
}

/// Opens the file of a segment.
pub(crate) fn open(store: &dyn Store, place: &Place, name: &Name) -> Result<Reader> {
    Reader::new(stored(store, place, name)?, name).with_context(|| name.path(place))
}

/// What the manifest of a segment says; `None` where there is none that can be read.
pub(crate) fn manifest(store: &dyn Store, place: &Place, name: &Name) -> Result<Option<Manifest>> {
    let path = format!("{}{MANIFEST_SUFFIX}", name.path(place));
    let Some(mut stored) = store.read(&path)? else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = stored.read_to_string(&mut text);
    Ok(read.ok().and_then(|_| Manifest::parse(&text)))
}

/// What a segment holds: what its manifest says, or where that is missing, what its records say.
pub(crate) fn facts(store: &dyn Store, place: &Place, name: &Name) -> Result<Manifest> {
    match manifest(store, place, name)? {
        Some(manifest) => Ok(manifest),
        None => count(store, place, name),
    }
}

/// Reads a whole segment to say what it holds.
pub(crate) fn count(store: &dyn Store, place: &Place, name: &Name) -> Result<Manifest> {
    open(store, place, name)?
        .manifest()
        .with_context(|| name.path(place))
}
