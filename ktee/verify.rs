//! `--verify`: every segment is read, and what does not fit is said, partition by partition.

mod validate;

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::cli::{Exit, message};
use tools::report::{Cell, Column, Report};

use crate::config::Verify;
use crate::read::segment::Digester;
use crate::read::{Inventory, ListedLog, ReadProgress, Reader, StoredLog};
use crate::segment::{LogId, Name, RangeMarker, RangeStatus};
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
    let reports = verifier.run(&partitions)?;
    drop(verifier);
    let is_whole = reports.iter().all(|(_, report)| report.is_whole());
    let mut table = Report::new("ktee", &COLUMNS);
    for (log, report) in &reports {
        // Cron mails what is printed: with -q that is what is wrong.
        if !config.source.is_quiet || !report.is_whole() {
            table.push(row(log, report));
        }
    }
    if !table.is_empty() {
        let mut out = Out::stdout()?;
        table.write(config.style, out.buffer())?;
        out.flush_report(config.style.format, &signals)?;
    }
    say_repair(&config.source.location, &reports);
    Ok(if is_whole { Exit::Done } else { Exit::No })
}

/// Names the commands that mend what was found.
fn say_repair(location: &str, reports: &[(LogId, PartitionReport)]) {
    let quoted = quote(location);
    let any =
        |wants: &dyn Fn(&PartitionReport) -> bool| reports.iter().any(|(_, report)| wants(report));
    if any(&|report| !report.damaged_segments.is_empty()) {
        message(format_args!(
            "{location}: damaged segments are moved aside by: ktee --verify --quarantine {quoted}"
        ));
    }
    let mut topics: Vec<&str> = Vec::new();
    for (log, report) in reports {
        if let LogId::Partition(topic, _) = log
            && (!report.missing.is_empty() || report.damaged > 0)
            && topics.last() != Some(&topic.as_str())
        {
            topics.push(topic);
        }
    }
    for topic in topics {
        message(format_args!(
            "{location}: what {topic} still has is filled in by: kcat-lite -C -t {topic} -o beginning -e -q --tsv=all | \
             ktee --tsv=all {quoted} >/dev/null"
        ));
    }
    if any(&|report| !report.expired.is_empty()) {
        message(format_args!(
            "{location}: what a topic deleted too early is accepted as lost by: ktee --verify --accept {quoted}"
        ));
    }
}

/// As a shell reads it as one word.
fn quote(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@+=".contains(&byte);
    if text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What there is to say of a log, by what is known of its segments.
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
    fn run(
        &mut self,
        partitions: &BTreeMap<LogId, ListedLog>,
    ) -> Result<Vec<(LogId, PartitionReport)>> {
        self.progress.find_end(self.store, partitions)?;
        let mut reports = Vec::new();
        for (log, listed) in partitions {
            let mut report = self.partition(log, listed)?;
            if self.config.accepts {
                for (first, last) in report.expired.drain(..) {
                    let marker = RangeMarker {
                        status: RangeStatus::Accepted,
                        first,
                        last,
                    };
                    marker.write(self.store, log)?;
                }
            }
            if self.config.quarantines && !report.damaged_segments.is_empty() {
                let mut listed = listed.clone();
                for name in &report.damaged_segments {
                    self.move_aside(log, name)?;
                    listed.segments.retain(|other| other != name);
                }
                // What they had is missing now.
                report = self.partition(log, &listed)?;
            }
            reports.push((log.clone(), report));
        }
        Ok(reports)
    }

    /// Moves a damaged segment into the folder `quarantine`; its manifest stays and says what is missing.
    fn move_aside(&self, log: &LogId, name: &Name) -> Result<()> {
        let path = name.path(log);
        let aside = format!("quarantine/{path}");
        self.store.rename(&path, &aside)?;
        message(format_args!(
            "{}: {path} is now {aside}",
            self.config.source.location
        ));
        Ok(())
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
            report.records -= report.duplicates;
        }
        Ok(report)
    }

    /// Reads what lies in more than one segment again: which records are in there twice, and whether they are the same.
    fn compare(&self, log: &LogId, listed: &ListedLog, report: &mut PartitionReport) -> Result<()> {
        let mut seen: HashMap<i64, u64> = HashMap::new();
        let mut digester = Digester::new()?;
        let damaged = report.damaged_segments.clone();
        let segments = listed.segments.iter();
        for name in segments.filter(|name| !damaged.contains(name)) {
            let mut reader = Reader::open(self.store, log, name)?;
            while let Some((record, _)) = reader.next()? {
                self.progress.stop_at_signal()?;
                let record = record.record();
                let offset = record.offset.unwrap_or(-1);
                let is_inside = |&(first, last): &(i64, i64)| first <= offset && offset <= last;
                if !report.overlaps.iter().any(is_inside) {
                    continue;
                }
                let digest = digester.digest(&record)?;
                if let Some(other) = seen.insert(offset, digest) {
                    report.duplicates += 1;
                    if other != digest {
                        let what = format!("offset {offset} is two different records");
                        report.damage(what, None);
                    }
                }
            }
        }
        Ok(())
    }
}

fn row(log: &LogId, report: &PartitionReport) -> Vec<Cell> {
    let number = |n: u64| Cell::Integer(n as i64);
    let (topic, partition) = match log {
        LogId::Lines => (Cell::Unknown, Cell::Unknown),
        LogId::Partition(topic, partition) => (topic.as_str().into(), Cell::from(*partition)),
    };
    let offset = |n: Option<i64>| n.filter(|_| *log != LogId::Lines);
    let time = |ms: Option<i64>| ms.map_or(Cell::Unknown, Cell::TimeMs);
    vec![
        topic,
        partition,
        number(report.segments),
        number(report.records),
        offset(report.first).into(),
        offset(report.last).into(),
        time(report.times_ms.map(|(earliest, _)| earliest)),
        time(report.times_ms.map(|(_, latest)| latest)),
        number((report.missing.len() + report.expired.len()) as u64),
        number(report.duplicates),
        number(report.damaged),
        match report.note() {
            note if note.is_empty() => Cell::Unknown,
            note => Cell::Text(note),
        },
    ]
}
