//! A batch of records, and how its command learns of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufWriter, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;
use tools::kafka::group::Positions;
use tools::kafka::types::TopicPartition;
use tools::units::count;

use super::child_guard::{ChildGuard, GuardedChild, shell};
use super::spool::Spool;
use crate::config::Exec;

/// A variable that would be longer is left out: the kernel takes no string over 128 KiB.
const MAX_VARIABLE_BYTES: usize = 32 * 1024;
/// What fails where there is no room for a batch.
pub(super) const KEEP: &str = "cannot keep a batch (in memory, or in a file in TMPDIR)";
/// How many partitions of a batch a message names.
const NAMED_PARTITIONS: usize = 4;

/// The records of one partition in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: i64,
    last: i64,
    /// The assignment under which they were read; see [`Batch::positions`].
    assignment: u64,
}

/// Records for one run of the command.
pub(super) struct Batch {
    spool: Spool,
    spans: BTreeMap<TopicPartition, Span>,
    count: u64,
    begun: Instant,
    /// The positions, where they don't fit into the environment.
    file: Option<NamedTempFile>,
}

impl Batch {
    pub(super) fn new() -> Batch {
        Batch {
            spool: Spool::default(),
            spans: BTreeMap::new(),
            count: 0,
            begun: Instant::now(),
            file: None,
        }
    }

    /// Where to append the bytes of a record, before [`Batch::add`].
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.spool.buffer()
    }

    /// Notes the record whose bytes were appended.
    pub(super) fn add(
        &mut self,
        topic_partition: &TopicPartition,
        offset: i64,
        assignment: u64,
    ) -> io::Result<()> {
        self.spool.write_full_block()?;
        self.count += 1;
        if let Some(span) = self.spans.get_mut(topic_partition) {
            span.last = offset;
            // After a partition was taken away and came back, only what was read since then may be committed.
            span.assignment = span.assignment.min(assignment);
        } else {
            let span = Span {
                first: offset,
                last: offset,
                assignment,
            };
            self.spans.insert(topic_partition.clone(), span);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether no more may be added.
    pub(super) fn is_full(&self, exec: &Exec) -> bool {
        self.count >= exec.batch_records || self.spool.total_bytes() >= exec.batch_bytes
    }

    /// Whether it has waited long enough for more.
    pub(super) fn is_due(&self, exec: &Exec) -> bool {
        self.is_full(exec) || self.begun.elapsed() >= exec.batch_wait
    }

    /// When its first record was read.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.spool.total_bytes()
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The partitions that are still assigned as they were when it was read.
    fn assigned<'a>(
        &'a self,
        assigned: &'a BTreeMap<TopicPartition, u64>,
    ) -> impl Iterator<Item = (&'a TopicPartition, &'a Span)> {
        let spans = self.spans.iter();
        spans.filter(|(topic_partition, span)| {
            assigned.get(*topic_partition) == Some(&span.assignment)
        })
    }

    /// Whether any of its partitions is.
    pub(super) fn is_assigned(&self, assigned: &BTreeMap<TopicPartition, u64>) -> bool {
        self.assigned(assigned).next().is_some()
    }

    /// Where its assigned partitions stand as long as it has not begun.
    pub(super) fn starts(&self, assigned: &BTreeMap<TopicPartition, u64>) -> Positions {
        self.assigned(assigned)
            .map(|(topic_partition, span)| (topic_partition.clone(), span.first))
            .collect()
    }

    /// What to commit when it is done.
    pub(super) fn positions(&self, assigned: &BTreeMap<TopicPartition, u64>) -> Positions {
        self.assigned(assigned)
            .map(|(topic_partition, span)| (topic_partition.clone(), span.last + 1))
            .collect()
    }

    fn list(&self, offset: impl Fn(&Span) -> i64, most: usize) -> String {
        let texts = self.spans.iter().map(|((topic, partition), span)| {
            let offset = offset(span);
            format!("{topic}:{partition}:{offset}")
        });
        texts.take(most).collect::<Vec<_>>().join(" ")
    }

    /// `3 records (t:0:1 to t:0:3)`
    pub(super) fn describe(&self) -> String {
        let first = self.list(|span| span.first, NAMED_PARTITIONS);
        let last = self.list(|span| span.last, NAMED_PARTITIONS);
        let more = match self.spans.len().saturating_sub(NAMED_PARTITIONS) {
            0 => String::new(),
            1 => ", and 1 more partition".to_owned(),
            more => format!(", and {more} more partitions"),
        };
        format!("{} ({first} to {last}{more})", count(self.count, "record"))
    }

    /// How to go on without the record that the command can't process.
    pub(super) fn way_past(&self, group: &str) -> String {
        match self.spans.iter().next() {
            Some(((topic, partition), span)) if self.count == 1 => format!(
                "; to skip it: printf '{topic}\\t{partition}\\t{}\\n' | kcat-lite --commit {}",
                span.last + 1,
                shlex::try_quote(group).unwrap_or_default()
            ),
            _ => "; --batch 1 finds the record that fails".to_owned(),
        }
    }

    /// Sets the environment of `command`; positions that are too long for it go to a file.
    fn describe_to(&mut self, command: &mut Command) -> io::Result<()> {
        let mut topics: Vec<&str> = self.spans.keys().map(|(topic, _)| topic.as_str()).collect();
        topics.dedup();
        let variables = [
            ("KAFKA_TOPIC", topics.join(" ")),
            ("KAFKA_FIRST", self.list(|span| span.first, usize::MAX)),
            ("KAFKA_LAST", self.list(|span| span.last, usize::MAX)),
        ];
        let is_too_long = variables
            .iter()
            .any(|(_, value)| value.len() > MAX_VARIABLE_BYTES);
        for (name, value) in variables {
            // A variable of that name may be this program's own.
            if is_too_long {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        command.env("KAFKA_COUNT", self.count.to_string());
        command.env_remove("KAFKA_POSITIONS_FILE");
        if is_too_long {
            let file = match self.file.take() {
                Some(file) => file,
                None => self.write_positions()?,
            };
            command.env("KAFKA_POSITIONS_FILE", file.path());
            self.file = Some(file);
        }
        Ok(())
    }

    /// A line for each partition: topic, partition, first and last offset.
    fn write_positions(&self) -> io::Result<NamedTempFile> {
        let mut file = tempfile::Builder::new()
            .prefix("kcat-lite-positions-")
            .tempfile()?;
        let mut lines = BufWriter::new(&mut file);
        for ((topic, partition), Span { first, last, .. }) in &self.spans {
            writeln!(lines, "{topic}\t{partition}\t{first}\t{last}")?;
        }
        lines.flush()?;
        drop(lines);
        Ok(file)
    }

    pub(super) fn spawn(
        &mut self,
        command: &OsStr,
        guard: &mut ChildGuard,
    ) -> Result<GuardedChild> {
        let input = self.spool.reader().context(KEEP)?;
        let mut shell = shell(command);
        shell.stdin(Stdio::from(input));
        self.describe_to(&mut shell).context(KEEP)?;
        guard.spawn(&mut shell).context("--exec: sh")
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, MAX_VARIABLE_BYTES};
    use std::ffi::OsStr;
    use std::process::Command;

    fn variable(command: &Command, name: &str) -> Option<String> {
        let mut variables = command.get_envs();
        let value = variables.find(|(known, _)| *known == OsStr::new(name))?.1?;
        Some(value.to_string_lossy().into_owned())
    }

    #[test]
    fn only_what_is_assigned_as_it_was_is_committed() {
        let topic_partition = |partition| ("t".to_owned(), partition);
        let mut batch = Batch::new();
        for (partition, offset, assignment) in [(0, 5, 1), (0, 6, 1), (1, 9, 1), (2, 3, 1)] {
            batch
                .add(&topic_partition(partition), offset, assignment)
                .expect("added");
        }
        // 1 was taken away and came back, 2 is another's.
        let assigned = [(topic_partition(0), 1), (topic_partition(1), 2)].into();
        assert_eq!(batch.positions(&assigned), [(topic_partition(0), 7)].into());
        assert_eq!(
            batch.describe(),
            "4 records (t:0:5 t:1:9 t:2:3 to t:0:6 t:1:9 t:2:3)"
        );
        let mut command = Command::new("true");
        batch.describe_to(&mut command).expect("described");
        assert_eq!(
            variable(&command, "KAFKA_LAST").as_deref(),
            Some("t:0:6 t:1:9 t:2:3")
        );
        assert_eq!(variable(&command, "KAFKA_POSITIONS_FILE"), None);
    }

    #[test]
    fn the_line_that_skips_a_record_is_named_where_the_record_is_known() {
        let mut batch = Batch::new();
        let topic_partition = ("t".to_owned(), 3);
        batch.add(&topic_partition, 17, 1).expect("added");
        assert_eq!(
            batch.way_past("the shop's"),
            r#"; to skip it: printf 't\t3\t18\n' | kcat-lite --commit "the shop's""#
        );
        assert!(batch.way_past("shop").ends_with("--commit shop"));
        batch.add(&topic_partition, 18, 1).expect("added");
        assert!(batch.way_past("shop").contains("--batch 1"));
    }

    #[test]
    fn positions_that_do_not_fit_into_the_environment_are_in_a_file() {
        let topic = "t".repeat(249);
        let partitions = (MAX_VARIABLE_BYTES / topic.len()) as i32;
        let mut batch = Batch::new();
        for partition in 0..partitions {
            for offset in [7, 8] {
                let topic_partition = (topic.clone(), partition);
                batch.add(&topic_partition, offset, 1).expect("added");
            }
        }
        let mut command = Command::new("true");
        batch.describe_to(&mut command).expect("described");
        for name in ["KAFKA_TOPIC", "KAFKA_FIRST", "KAFKA_LAST"] {
            assert_eq!(variable(&command, name), None, "{name}");
        }
        let count = variable(&command, "KAFKA_COUNT");
        assert_eq!(count, Some((partitions * 2).to_string()));
        let path = variable(&command, "KAFKA_POSITIONS_FILE").expect("a file");
        let lines = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(lines.lines().count(), partitions as usize);
        assert_eq!(
            lines.lines().next(),
            Some(format!("{topic}\t0\t7\t8").as_str())
        );
        assert!(batch.describe().len() < 4096);
        drop(batch);
        assert!(!std::path::Path::new(&path).exists(), "left behind");
    }
}
