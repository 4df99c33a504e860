//! Skew mode: how even each of several numbers of partitions would be, and which keys are the heaviest.

use anyhow::Result;
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::partition::{Partition, Partitioner};
use tools::report::{Cell, Column, Format, Report, Style};

use crate::keys::Key;
use crate::lines::Sink;
use crate::sketch::Sketch;

/// How many keys are listed.
const HEAVIEST: usize = 10;

const CANDIDATE_COLUMNS: [Column; 12] = [
    Column::label("row"),
    Column::label("partitions"),
    Column::value("records", "Records that have a partition."),
    Column::value("size_bytes", "Bytes of these records' lines."),
    Column::value(
        "fullest_records",
        "Records of the partition with the most records.",
    ),
    Column::value("fullest_bytes", "Bytes of the same partition."),
    Column::value(
        "emptiest_records",
        "Records of the partition with the fewest records.",
    ),
    Column::value("emptiest_bytes", "Bytes of the same partition."),
    Column::value("median_records", "Records of the partition in the middle."),
    Column::value("median_bytes", "Bytes of the same partition."),
    Column::value(
        "fullest_ratio",
        "Records of the fullest partition, as a multiple of a fair share.",
    ),
    Column::value(
        "random_records",
        "Records that the producer may put anywhere.",
    ),
];

const KEY_COLUMNS: [Column; 5] = [
    Column::label("row"),
    Column::label("key"),
    Column::value("key_records", "Records of the key, at least."),
    Column::value(
        "key_records_error",
        "By how much key_records may be too low.",
    ),
    Column::value("key_share", "The key's part of all records, at least."),
];

/// Counts lines by partition and by key.
pub(crate) struct Skew<'a> {
    candidates: Vec<Candidate>,
    keys: Sketch,
    key_text: Vec<u8>,
    /// Lines counted.
    records: u64,
    style: Style,
    signals: &'a Signals,
}

struct Candidate {
    partitioner: Partitioner,
    loads: Vec<Load>,
    random_records: u64,
}

/// Records and bytes of a partition; ordered by records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    records: u64,
    bytes: u64,
}

impl<'a> Skew<'a> {
    pub(crate) fn new(
        candidates: Vec<Partitioner>,
        style: Style,
        signals: &'a Signals,
    ) -> Skew<'a> {
        let candidate = |partitioner: Partitioner| Candidate {
            loads: vec![Load::default(); partitioner.partitions().unwrap_or(0) as usize],
            partitioner,
            random_records: 0,
        };
        Skew {
            candidates: candidates.into_iter().map(candidate).collect(),
            keys: Sketch::new(),
            key_text: Vec::new(),
            records: 0,
            style,
            signals,
        }
    }

    fn key_report(&self) -> Report {
        let mut report = Report::new("kpart", &KEY_COLUMNS);
        for key in self.keys.heaviest(HEAVIEST) {
            report.push(vec![
                "key".into(),
                readable(&key.key).into(),
                count(key.records),
                count(self.keys.error()),
                Cell::Share(rounded(key.records as f64 / self.records as f64)),
            ]);
        }
        report
    }

    fn candidate_report(&self) -> Report {
        let mut report = Report::new("kpart", &CANDIDATE_COLUMNS);
        for candidate in &self.candidates {
            report.push(candidate.row());
        }
        report
    }
}

impl Candidate {
    fn row(&self) -> Vec<Cell> {
        let mut loads = self.loads.clone();
        loads.sort_unstable();
        let total = loads.iter().fold(Load::default(), |sum, load| Load {
            records: sum.records + load.records,
            bytes: sum.bytes + load.bytes,
        });
        let fullest = loads.last().copied().unwrap_or_default();
        let emptiest = loads.first().copied().unwrap_or_default();
        // Of an even number of partitions the lower one of the two in the middle.
        let median = loads
            .get((loads.len() - 1) / 2)
            .copied()
            .unwrap_or_default();
        // Multiplied before the division, so that a ratio of integers stays exact.
        let ratio = (fullest.records * loads.len() as u64) as f64 / total.records as f64;
        let mut row = vec!["partitions".into(), count(loads.len() as u64)];
        for load in [total, fullest, emptiest, median] {
            row.push(count(load.records));
            row.push(Cell::Bytes(load.bytes));
        }
        row.push(rounded(ratio).into());
        row.push(count(self.random_records));
        row
    }
}

/// To six decimals.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// Both reports as one, for a format with the same columns in all lines: each row leaves those of the other report empty.
fn joined(candidates: &Report, keys: &Report) -> Report {
    let own = &KEY_COLUMNS[1..];
    let columns: Vec<Column> = CANDIDATE_COLUMNS.iter().chain(own).copied().collect();
    let mut report = Report::new("kpart", &columns);
    let unknown = |count| std::iter::repeat_n(Cell::Unknown, count);
    for row in candidates.rows() {
        report.push(row.iter().cloned().chain(unknown(own.len())).collect());
    }
    for row in keys.rows() {
        let (kind, cells) = row.split_at(1);
        let gap = unknown(CANDIDATE_COLUMNS.len() - 1);
        report.push(
            kind.iter()
                .cloned()
                .chain(gap)
                .chain(cells.iter().cloned())
                .collect(),
        );
    }
    report
}

fn count(number: u64) -> Cell {
    Cell::Integer(number as i64)
}

/// The key as text; bytes that are not UTF-8 as `\xHH`.
fn readable(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) => text.to_owned(),
        Err(_) => key.escape_ascii().to_string(),
    }
}

impl Sink for Skew<'_> {
    fn line(&mut self, key: Key<'_>, line: &[u8]) -> Result<()> {
        for candidate in &mut self.candidates {
            match candidate.partitioner.partition(key)? {
                Partition::Number(number) => {
                    let load = &mut candidate.loads[number as usize];
                    load.records += 1;
                    load.bytes += line.len() as u64;
                }
                Partition::Random | Partition::Token(_) => candidate.random_records += 1,
            }
        }
        self.records += 1;
        // Records without a key have no key to count.
        match key {
            [None] => {}
            [Some(key)] => self.keys.add(key),
            columns => {
                self.key_text.clear();
                for (at, column) in columns.iter().enumerate() {
                    if at > 0 {
                        self.key_text.push(b',');
                    }
                    self.key_text.extend_from_slice(column.unwrap_or(b"\\N"));
                }
                self.keys.add(&self.key_text);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(self, is_complete: bool) -> Result<()> {
        // A report about part of the input would look like one about all of it.
        if !is_complete {
            return Ok(());
        }
        let mut out = Out::stdout()?;
        let (candidates, keys) = (self.candidate_report(), self.key_report());
        if self.style.format == Format::Csv {
            joined(&candidates, &keys).write(self.style, out.buffer())?;
            return Ok(out.flush_report(self.style.format, self.signals)?);
        }
        candidates.write(self.style, out.buffer())?;
        if !keys.is_empty() {
            if self.style.format == Format::Table {
                out.buffer().push(b'\n');
            }
            keys.write(self.style, out.buffer())?;
        }
        Ok(out.flush_report(self.style.format, self.signals)?)
    }
}
