//! From where to where a backup of a topic has come, and how many partitions the topic had: one small file, by which a lost
//! last segment or partition is noticed.
//!
//! It may be old, because another writer or a crash came between. It never
//! proves that something is there; what it names and the listing lacks is missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;

use anyhow::{Context, Result};

use crate::store::Store;

/// The name under which the number of partitions stands.
const PARTITIONS: &str = "partitions";
/// No topic has more; what says so is damaged.
const MOST: i32 = 1_000_000;

/// What the head says of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetSpan {
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// The time of the newest record, milliseconds since 1970.
    pub(crate) newest_ms: Option<i64>,
}

/// The head of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// How many partitions the topic had, if anybody could say it; more than have records, maybe.
    pub(crate) partition_count: Option<i32>,
    pub(crate) partitions: BTreeMap<i32, OffsetSpan>,
}

impl Head {
    /// A topic with this many partitions.
    pub(crate) fn of_partitions(count: i32) -> Head {
        Head {
            partition_count: Some(count),
            ..Head::default()
        }
    }

    /// Where it is.
    pub(crate) fn path(topic: &str) -> String {
        format!("topics/{topic}/head.tsv")
    }

    /// The topic whose head this is.
    pub(crate) fn topic_of(path: &str) -> Option<&str> {
        let topic = path.strip_prefix("topics/")?.strip_suffix("/head.tsv")?;
        (!topic.contains('/')).then_some(topic)
    }

    /// Reads it; one that is not there, or can't be understood, says nothing.
    pub(crate) fn read(store: &dyn Store, topic: &str) -> Result<Head> {
        let path = Head::path(topic);
        let Some(mut file) = store.read(&path)? else {
            return Ok(Head::default());
        };
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| path)?;
        Ok(Head::parse(&text))
    }

    fn parse(text: &str) -> Head {
        let mut head = Head::default();
        for line in text.lines() {
            let mut words = line.split('\t');
            let name = words.next().unwrap_or_default();
            let mut number = || words.next()?.parse::<i64>().ok();
            if name == PARTITIONS {
                head.partition_count = number()
                    .and_then(|count| i32::try_from(count).ok().filter(|count| *count <= MOST));
            } else if let (Ok(partition), Some(first), Some(last)) =
                (name.parse(), number(), number())
            {
                let newest_ms = number();
                let span = OffsetSpan {
                    first,
                    last,
                    newest_ms,
                };
                head.extend(partition, span);
            }
        }
        head
    }

    /// The partitions that the topic had, as far as is known.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = i32> + '_ {
        let all = 0..self.partition_count.unwrap_or(0);
        all.chain(self.partitions.keys().copied())
    }

    /// Takes in that these offsets were there.
    pub(crate) fn extend(&mut self, partition: i32, new: OffsetSpan) {
        let known = self.partitions.entry(partition).or_insert(new);
        known.first = known.first.min(new.first);
        known.last = known.last.max(new.last);
        known.newest_ms = known.newest_ms.max(new.newest_ms);
    }

    /// Adds what another one says.
    pub(crate) fn add(&mut self, other: &Head) {
        self.partition_count = self.partition_count.max(other.partition_count);
        for (&partition, span) in &other.partitions {
            self.extend(partition, *span);
        }
    }

    /// Writes it beside what is there: neither this run nor another one is forgotten.
    pub(crate) fn update(&self, store: &dyn Store, topic: &str) -> Result<()> {
        let stored = Head::read(store, topic)?;
        let mut all = stored.clone();
        all.add(self);
        if all != stored {
            store.replace(&Head::path(topic), all.text().as_bytes())?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(count) = self.partition_count {
            let _ = writeln!(text, "{PARTITIONS}\t{count}");
        }
        for (partition, span) in &self.partitions {
            let newest = span
                .newest_ms
                .map_or_else(|| "\\N".to_owned(), |ms| ms.to_string());
            let _ = writeln!(text, "{partition}\t{}\t{}\t{newest}", span.first, span.last);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_back_and_only_grows() {
        let text = "0\t5\t5\t17\n3\t10\t19\t\\N\n";
        let mut head = Head::parse(text);
        assert_eq!(head.text(), text);
        let mut later = Head::parse("3\t12\t25\t1\n");
        later.add(&head);
        assert_eq!(later.text(), "0\t5\t5\t17\n3\t10\t25\t1\n");
        later.partition_count = Some(6);
        head.add(&later);
        assert_eq!(Head::parse(&head.text()), later);
        assert_eq!(head.numbers().max(), Some(5));
        assert_eq!(Head::parse("what\n1\t2\n"), Head::default());
    }
}
