//! `--verify`: every segment is read, and what does not fit is said, partition by partition.

mod judge;

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::cli::{Exit, message};
use tools::report::{Cell, Column, Report};

use crate::config::Verify;
use crate::read::segment::fingerprint;
use crate::read::{Interrupted, Inventory, PartitionSegments, ReadProgress, inventory};
use crate::segment::{Layout, Manifest, Name, Place};
use crate::store::{self, Store};
use judge::{Checked, Verdict, judge};

const COLUMNS: [Column; 12] = [
    Column::label("topic"),
    Column::label("partition"),
    Column::value("segments", "Segments."),
    Column::value("records", "Records in the segments."),
    Column::value("first_offset", "The first record's offset."),
    Column::value("last_offset", "The last record's offset."),
    Column::value("earliest_ms", "The earliest record's time."),
    Column::value("latest_ms", "The latest record's time."),
    Column::value("holes", "Places where records are missing."),
    Column::value("doubles", "Records that are in two segments."),
    Column::value(
        "damaged",
        "Segments that can't be read, or are not what their manifest says.",
    ),
    Column::remark("note"),
];

/// Checks a backup; 1 if it is not whole.
pub(crate) fn run(config: &Verify) -> Result<Exit> {
    let signals = Signals::catch()?;
    let store = store::open(&config.place, &config.access)?;
    let places = config.selection.places(Inventory::list(&*store)?)?;
    let mut report = Report::new("ktee", &COLUMNS);
    let mut progress = ReadProgress::new(!config.is_quiet, &signals);
    let verified = verify_places(&*store, &places, &mut progress, &mut report);
    drop(progress);
    let is_whole = match (verified, signals.caught()) {
        (Err(error), Some(signal)) if error.is::<Interrupted>() => return Ok(Exit::Signal(signal)),
        (verified, _) => verified?,
    };
    if report.is_empty() {
        message(format_args!("{}: there is no segment", config.place));
        return Ok(Exit::No);
    }
    let mut out = Out::stdout()?;
    report.write(config.style, out.buffer())?;
    out.flush_report(config.style.format, &signals)?;
    Ok(if is_whole { Exit::Done } else { Exit::No })
}

/// The ranges of offsets that are missing at a place, by what the manifests say.
pub(crate) fn holes(
    store: &dyn Store,
    place: &Place,
    stored: &PartitionSegments,
) -> Result<Vec<(i64, i64)>> {
    let mut checked = Vec::new();
    for name in &stored.segments {
        let manifest = inventory::manifest(store, place, name)?;
        let counted = match &manifest {
            Some(manifest) => Ok(manifest.clone()),
            None => inventory::count(store, place, name).map_err(|error| format!("{error:#}")),
        };
        checked.push(Checked {
            file: name.file(place),
            first: name.first,
            has_manifest: manifest.is_some(),
            manifest,
            counted,
        });
    }
    let lost = lost(store, place, stored)?;
    Ok(judge(&checked, &lost, *place == Place::Lines).holes)
}

/// The segments of which only the manifest is left, by their first offset.
fn lost(
    store: &dyn Store,
    place: &Place,
    stored: &PartitionSegments,
) -> Result<Vec<(i64, Option<Manifest>)>> {
    let mut lost = Vec::new();
    for file in &stored.manifests {
        let has_segment = stored.segments.iter().any(|name| name.file(place) == *file);
        if !has_segment && let Some(name) = Name::parse(file, place) {
            lost.push((name.first, inventory::manifest(store, place, &name)?));
        }
    }
    Ok(lost)
}

/// A row for each partition; says whether all are whole.
fn verify_places(
    store: &dyn Store,
    places: &BTreeMap<Place, PartitionSegments>,
    progress: &mut ReadProgress<'_>,
    report: &mut Report,
) -> Result<bool> {
    progress.find_end(store, places)?;
    let mut is_whole = true;
    for (place, stored) in places {
        let verdict = verify_place(store, place, stored, progress)?;
        is_whole &= verdict.is_whole();
        report.push(row(place, &verdict));
    }
    Ok(is_whole)
}

fn verify_place(
    store: &dyn Store,
    place: &Place,
    stored: &PartitionSegments,
    progress: &mut ReadProgress<'_>,
) -> Result<Verdict> {
    let mut checked = Vec::new();
    for name in &stored.segments {
        let manifest = inventory::manifest(store, place, name)?;
        let counted = check(store, place, name, progress);
        // What was not read to its end for a signal is not damaged.
        progress.stop_at_signal()?;
        checked.push(Checked {
            file: name.file(place),
            first: name.first,
            has_manifest: stored.manifests.contains(&name.file(place)),
            manifest,
            counted: counted.map_err(|error| format!("{error:#}")),
        });
    }
    let lost = lost(store, place, stored)?;
    let mut verdict = judge(&checked, &lost, *place == Place::Lines);
    if !verdict.overlaps.is_empty() {
        compare(store, place, stored, &mut verdict)?;
    }
    Ok(verdict)
}

/// Reads a segment: what it holds, if that is records of its partition in their order.
fn check(
    store: &dyn Store,
    place: &Place,
    name: &Name,
    progress: &mut ReadProgress<'_>,
) -> Result<Manifest> {
    let mut reader = inventory::open(store, place, name)?;
    let mut last = None;
    while let Some((record, line)) = reader.next()? {
        progress.pass(line.len())?;
        let Place::Partition(topic, partition) = place else {
            continue;
        };
        let record = record.record();
        let is_at_home = record.topic == Some(topic) && record.partition == Some(*partition);
        anyhow::ensure!(is_at_home, "a record of another partition is in it");
        anyhow::ensure!(
            record.offset > last,
            "offset {} stands behind {}",
            record.offset.unwrap_or(-1),
            last.unwrap_or(-1)
        );
        last = record.offset;
    }
    reader.manifest()
}

/// Reads what lies in more than one segment again: which records are in there twice, and whether they are the same.
fn compare(
    store: &dyn Store,
    place: &Place,
    stored: &PartitionSegments,
    verdict: &mut Verdict,
) -> Result<()> {
    let mut seen: HashMap<i64, u32> = HashMap::new();
    for name in stored
        .segments
        .iter()
        .filter(|name| name.layout != Layout::Text)
    {
        let mut reader = inventory::open(store, place, name)?;
        // What can't be read was found to be damaged before.
        while let Ok(Some((record, _))) = reader.next() {
            let record = record.record();
            let Some(offset) = record.offset else {
                continue;
            };
            let is_inside = |&(first, last): &(i64, i64)| first <= offset && offset <= last;
            if !verdict.overlaps.iter().any(is_inside) {
                continue;
            }
            match seen.insert(offset, fingerprint(&record)) {
                None => {}
                Some(other) if other == fingerprint(&record) => verdict.doubles += 1,
                Some(_) => {
                    verdict.doubles += 1;
                    verdict.damage(format!("offset {offset} is two different records"));
                }
            }
        }
    }
    Ok(())
}

fn row(place: &Place, verdict: &Verdict) -> Vec<Cell> {
    let number = |n: u64| Cell::Integer(n as i64);
    let (topic, partition) = match place {
        Place::Lines => (Cell::Unknown, Cell::Unknown),
        Place::Partition(topic, partition) => (topic.as_str().into(), Cell::from(*partition)),
    };
    let offset = |n: Option<i64>| n.filter(|_| *place != Place::Lines);
    vec![
        topic,
        partition,
        number(verdict.segments),
        number(verdict.records),
        offset(verdict.first).into(),
        offset(verdict.last).into(),
        verdict
            .times_ms
            .map_or(Cell::Unknown, |(earliest, _)| Cell::TimeMs(earliest)),
        verdict
            .times_ms
            .map_or(Cell::Unknown, |(_, latest)| Cell::TimeMs(latest)),
        number(verdict.holes.len() as u64),
        number(verdict.doubles),
        number(verdict.damaged),
        match verdict.note(*place == Place::Lines) {
            note if note.is_empty() => Cell::Unknown,
            note => Cell::Text(note),
        },
    ]
}
