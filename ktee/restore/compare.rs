//! Whether what a partition has already is the beginning of what is to be restored.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use tools::kafka::admin::Isolation;
use tools::kafka::consume::{ReadRequest, Start};
use tools::kafka::fetch::{FetchConsumer, Item};
use tools::kafka::{Client, Options};
use tools::record::Record;

use crate::read::Interrupted;

/// So many records of a partition are read ahead.
const AHEAD: usize = 10_000;
const WAIT_MS: i32 = 100;

/// What is read of a partition.
pub(super) fn read_request(topic: &str, partition: i32) -> ReadRequest {
    ReadRequest {
        topics: vec![topic.to_owned()],
        partition: Some(partition),
        start: Start::Beginning,
        stop_at_end: true,
        isolation: Isolation::ReadUncommitted,
        ..ReadRequest::default()
    }
}

/// The comparison was ended: it is known how it comes out.
#[derive(Debug, thiserror::Error)]
#[error("compared")]
pub(super) struct Compared;

/// The records that a partition has, compared one after the other.
pub(super) struct Comparison<'c> {
    reader: FetchConsumer<'c>,
    interrupted: &'c dyn Fn() -> bool,
    ahead: VecDeque<Vec<u8>>,
    /// How many records are the same.
    pub(super) same: i64,
    /// What is not the same.
    pub(super) difference: Option<String>,
}

impl<'c> Comparison<'c> {
    /// `client` is a consumer whose options were tuned for reading.
    pub(super) fn start(
        client: &'c Client,
        options: &Options,
        topic: &str,
        partition: i32,
        interrupted: &'c dyn Fn() -> bool,
    ) -> Result<Comparison<'c>> {
        let request = read_request(topic, partition);
        let reader = FetchConsumer::start(client, options, &request, interrupted)
            .with_context(|| format!("{topic} [{partition}]"))?;
        Ok(Comparison {
            reader,
            interrupted,
            ahead: VecDeque::new(),
            same: 0,
            difference: None,
        })
    }

    /// Compares the next record, which is at this offset of the backup.
    ///
    /// # Errors
    /// [`Compared`] once the partition has no more, or another one.
    pub(super) fn compare(&mut self, record: &Record<'_>) -> Result<()> {
        let Some(stored) = self.next()? else {
            bail!(Compared);
        };
        // A record that had no time got one when it was sent.
        let is_same = match record.timestamp_ms {
            Some(_) => stored == content(record),
            None => stored.get(8..) == content(record).get(8..),
        };
        if !is_same {
            self.difference = Some(format!(
                "its record at offset {} is not the one that the backup has at offset {}",
                self.same,
                record.offset.unwrap_or(-1)
            ));
            bail!(Compared);
        }
        self.same += 1;
        Ok(())
    }

    /// After all records of the backup: the partition has no more.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.difference.is_none() && self.next()?.is_some() {
            self.difference = Some(format!(
                "it has more records than the {} of the backup",
                self.same
            ));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        while self.ahead.is_empty() && !self.reader.is_done() {
            if (self.interrupted)() {
                return Err(Interrupted.into());
            }
            let ahead = &mut self.ahead;
            self.reader.read(WAIT_MS, &mut |item: Item<'_>| {
                if let Item::Record(record) = item {
                    ahead.push_back(content(record));
                }
                if ahead.len() >= AHEAD {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok(self.ahead.pop_front())
    }
}

/// All that a restored record has of the one in the backup: its time, then everything else.
fn content(record: &Record<'_>) -> Vec<u8> {
    let mut content = record.timestamp_ms.unwrap_or(-1).to_le_bytes().to_vec();
    let mut add = |field: Option<&[u8]>| {
        let bytes = field.map_or(-1, |field| field.len() as i64);
        content.extend_from_slice(&bytes.to_le_bytes());
        content.extend_from_slice(field.unwrap_or_default());
    };
    add(record.key);
    add(record.value);
    for header in record.headers {
        add(Some(header.name));
        add(header.value);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use tools::record::Header;

    #[test]
    fn records_that_differ_in_anything_have_another_content() {
        let record = |key: Option<&'static [u8]>, value: Option<&'static [u8]>| Record {
            timestamp_ms: Some(5),
            key,
            value,
            ..Record::default()
        };
        let headers = [Header {
            name: b"a",
            value: None,
        }];
        let all = [
            record(Some(b"a"), Some(b"b")),
            record(None, Some(b"b")),
            record(Some(b""), Some(b"b")),
            record(Some(b"ab"), Some(b"")),
            record(Some(b"ab"), None),
            Record {
                timestamp_ms: Some(6),
                ..record(Some(b"a"), Some(b"b"))
            },
            Record {
                headers: &headers,
                ..record(Some(b"a"), Some(b"b"))
            },
        ];
        let mut contents: Vec<Vec<u8>> = all.iter().map(content).collect();
        contents.sort();
        contents.dedup();
        assert_eq!(contents.len(), all.len());
    }
}
