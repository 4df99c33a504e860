//! `--verify`: reads every segment, and reports what does not fit, partition by partition.

mod validate;

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::cli::{Exit, message};
use tools::report::{Cell, Column, Report};

use crate::config::Verify;
use crate::read::segment::Digester;
use crate::read::{Inventory, ListedLog, ReadProgress, Reader, StoredLog};
use crate::segment::{LogId, RangeMarker, RangeStatus};
use crate::store::{self, Store};
use validate::{PartitionReport, validate};

const COLUMNS: [Column; 12] = [
    Column::label("topic"),
    Column::label("partition"),
    Column::value("segments", "Segments."),
    Column::value("records", "Records in the segments, each once."),
    Column::value("first_offset", "The first record's offset."),
    Column::value("last_offset", "The last record's offset."),
    Column::value("earliest_ms", "The earliest record's time."),
    Column::value("latest_ms", "The latest record's time."),
    Column::value("holes", "Places where records are missing."),
    Column::value("duplicates", "Records that are in two segments."),
    Column::value(
        "damaged",
        "Segments that can't be read, or are not what their manifest says.",
    ),
    Column::remark("note"),
];

/// Checks a backup; 1 if it is not whole.
pub(crate) fn run(config: &Verify) -> Result<Exit> {
    let signals = Signals::catch()?;
    let store = store::open(&config.source.location, &config.source.access)?;
    let inventory = Inventory::list(&*store)?;
    let partitions = config.source.selection.logs(&inventory)?;
    if partitions.is_empty() {
        message(format_args!(
            "{}: there is no segment",
            config.source.location
        ));
        return Ok(Exit::No);
    }
    let mut verifier = Verifier {
        store: &*store,
        inventory: &inventory,
        config,
        progress: ReadProgress::new(!config.source.is_quiet, &signals),
    };
    verifier.progress.find_end(&*store, &partitions)?;
    let reports = partitions.into_iter();
    let reports = reports.map(|(log, listed)| verifier.verify(&log, listed));
    let reports: Vec<PartitionReport> = reports.collect::<Result<_>>()?;
    drop(verifier);
    let mut table = Report::new("ktee", &COLUMNS);
    for report in &reports {
        // Cron mails what is printed: with -q that is what is wrong.
        if !config.source.is_quiet || !report.is_whole() {
            table.push(row(report));
        }
    }
    if !table.is_empty() {
        let mut out = Out::stdout()?;
        table.write(config.style, out.buffer())?;
        out.flush_report(config.style.format, &signals)?;
    }
    report_repairs(&config.source.location, &reports);
    let is_whole = reports.iter().all(PartitionReport::is_whole);
    Ok(if is_whole { Exit::Done } else { Exit::No })
}

/// Names the commands that mend what was found.
fn report_repairs(location: &str, reports: &[PartitionReport]) {
    let quoted = shlex::try_quote(location).unwrap_or_default();
    if reports.iter().any(|it| !it.damaged_segments.is_empty()) {
        message(format_args!(
            "{location}: damaged segments are moved aside by: ktee --verify --quarantine {quoted}"
        ));
    }
    let lacking = reports.iter().filter(|it| it.lacks_records());
    let topics = lacking.filter_map(|it| match &it.log {
        LogId::Partition(topic, _) => Some(topic),
        LogId::Lines => None,
    });
    for topic in topics.collect::<BTreeSet<_>>() {
        message(format_args!(
            "{location}: what {topic} still has is filled in by: kcat-lite -C -t {topic} -o beginning -e -q --tsv=all | \
             ktee --tsv=all {quoted} >/dev/null"
        ));
    }
    if reports.iter().any(|it| !it.expired.is_empty()) {
        message(format_args!(
            "{location}: what a topic deleted too early is accepted as lost by: ktee --verify --accept {quoted}"
        ));
    }
}

/// The report of a log, by what is known of its segments.
pub(crate) fn check(stored: &StoredLog, inventory: &Inventory) -> PartitionReport {
    let span = inventory.span(&stored.log);
    validate(stored, span, inventory.expires_before_ms)
}

struct Verifier<'a> {
    store: &'a dyn Store,
    inventory: &'a Inventory,
    config: &'a Verify,
    progress: ReadProgress<'a>,
}

impl Verifier<'_> {
    /// Checks a partition, and does what is asked for about what was found.
    fn verify(&mut self, log: &LogId, mut listed: ListedLog) -> Result<PartitionReport> {
        let mut report = self.partition(log, &listed)?;
        if self.config.accepts {
            for (first, last) in report.expired.drain(..) {
                let marker = RangeMarker::new(RangeStatus::Accepted, first, last);
                marker.write(self.store, log)?;
                listed.markers.push(marker);
            }
        }
        if self.config.quarantines && !report.damaged_segments.is_empty() {
            // The manifest stays and says what is missing.
            for name in &report.damaged_segments {
                let path = name.path(log);
                let mut aside = format!("quarantine/{path}");
                // What was moved aside before stays.
                let mut number = 1;
                while self.store.read(&aside)?.is_some() {
                    number += 1;
                    aside = format!("quarantine/{path}.{number}");
                }
                self.store.rename(&path, &aside)?;
                let location = &self.config.source.location;
                message(format_args!("{location}: {path} is now {aside}"));
            }
            let damaged = report.damaged_segments;
            listed.segments.retain(|name| !damaged.contains(name));
            report = self.partition(log, &listed)?;
        }
        Ok(report)
    }

    fn partition(&mut self, log: &LogId, listed: &ListedLog) -> Result<PartitionReport> {
        let (store, progress) = (self.store, &mut self.progress);
        let stored = StoredLog::load_with(store, log, listed, &mut |name, _| {
            let mut reader = Reader::open(store, log, name)?;
            while let Some((_, line)) = reader.next()? {
                progress.pass(line.len())?;
            }
            reader.manifest()
        })?;
        let mut report = check(&stored, self.inventory);
        if !report.overlaps.is_empty() {
            self.compare(log, listed, &mut report)?;
        }
        Ok(report)
    }

    /// Reads what lies in more than one segment again: which records are in there twice, and whether they are the same.
    fn compare(&self, log: &LogId, listed: &ListedLog, report: &mut PartitionReport) -> Result<()> {
        let mut seen: HashMap<i64, u64> = HashMap::new();
        let mut digester = Digester::new()?;
        let overlaps = std::mem::take(&mut report.overlaps);
        for name in &listed.segments {
            if report.damaged_segments.contains(name) {
                continue;
            }
            let mut reader = Reader::open(self.store, log, name)?;
            while let Some((record, _)) = reader.next()? {
                self.progress.stop_at_signal()?;
                let record = record.record();
                let offset = record.offset.unwrap_or(-1);
                let is_inside = |(first, last): &(i64, i64)| (*first..=*last).contains(&offset);
                if !overlaps.iter().any(is_inside) {
                    continue;
                }
                let digest = digester.digest(&record)?;
                if let Some(other) = seen.insert(offset, digest) {
                    report.duplicates += 1;
                    report.stats.records -= 1;
                    report.absent += 1;
                    if other != digest {
                        let damage = format!("offset {offset} is two different records");
                        report.damages.push(damage);
                    }
                }
            }
        }
        Ok(())
    }
}

fn row(report: &PartitionReport) -> Vec<Cell> {
    let number = |n: u64| Cell::Integer(n as i64);
    let time = |ms: Option<i64>| ms.map_or(Cell::Unknown, Cell::TimeMs);
    let (topic, partition, span) = match &report.log {
        LogId::Lines => (Cell::Unknown, Cell::Unknown, None),
        LogId::Partition(topic, partition) => {
            (topic.as_str().into(), (*partition).into(), report.span)
        }
    };
    let ((first, last), (earliest, latest)) = (span.unzip(), report.stats.times_ms.unzip());
    vec![
        topic,
        partition,
        number(report.segments),
        number(report.stats.records),
        first.into(),
        last.into(),
        time(earliest),
        time(latest),
        number((report.missing.len() + report.expired.len()) as u64),
        number(report.duplicates),
        number(report.damages.len() as u64),
        match report.note() {
            note if note.is_empty() => Cell::Unknown,
            note => Cell::Text(note),
        },
    ]
}
