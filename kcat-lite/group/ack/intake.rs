//! From a record that was read to a line with its position, which waits to be written.

use std::ops::ControlFlow;

use tools::ack::{LineStart, Lines, Window};
use tools::kafka::consume::Item;
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::WAITING_BYTES;
use crate::config::Ack;
use crate::output::{BadRecord, Encoding};

/// Takes records from the member into the lines that are to be written.
pub(super) struct Intake<'r> {
    pub(super) room: u64,
    pub(super) encoding: &'r mut Encoding,
    pub(super) lines: Option<&'r mut Lines>,
    pub(super) window: &'r mut Window,
    pub(super) current: &'r mut Option<(TopicPartition, LineStart)>,
    /// The number of the last line.
    pub(super) number: &'r mut u64,
    pub(super) ack: &'r Ack,
    pub(super) taken: u64,
}

impl Intake<'_> {
    /// Takes one thing from the member, and says whether it may be given another.
    pub(super) fn take(&mut self, item: &Item<'_>) -> anyhow::Result<ControlFlow<()>> {
        match *item {
            Item::Record(record) => self.add(record),
            Item::End {
                topic,
                partition,
                offset,
            } => {
                self.window.pass(&(topic.to_owned(), partition), offset);
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn add(&mut self, record: &Record<'_>) -> anyhow::Result<ControlFlow<()>> {
        let (Some(topic), Some(partition), Some(offset), Some(lines)) = (
            record.topic,
            record.partition,
            record.offset,
            self.lines.as_mut(),
        ) else {
            anyhow::bail!("a record without a place");
        };
        let is_other =
            |(place, _): &(TopicPartition, LineStart)| place.1 != partition || place.0 != topic;
        if self.current.as_ref().is_none_or(is_other) {
            let place = (topic.to_owned(), partition);
            let Some(key) = self.window.key(&place) else {
                // Of a partition that was given back: its records come to somebody else.
                return Ok(ControlFlow::Continue(()));
            };
            let line_start = LineStart::new(self.ack.shape, key);
            *self.current = Some((place, line_start));
        }
        let Some((place, line_start)) = self.current.as_ref() else {
            return Ok(ControlFlow::Continue(()));
        };
        let buffer = lines.buffer();
        let before = buffer.len();
        let start = line_start.write(*self.number + 1, offset, buffer);
        if let Err(reason) = self.encoding.encode(record, buffer) {
            buffer.truncate(before);
            return Err(BadRecord::new(record, reason).into());
        }
        line_start.join(start, buffer);
        *self.number += 1;
        self.window.send(place, offset);
        self.taken += 1;
        let is_enough = self.taken >= self.room || lines.waiting_bytes() >= WAITING_BYTES;
        Ok(if is_enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}
