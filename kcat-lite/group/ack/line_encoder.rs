//! Encodes records as lines with positions.

use std::ops::ControlFlow;

use tools::ack::{InFlight, LineStart, LineWriter};
use tools::kafka::consume::Item;
use tools::kafka::types::TopicPartition;
use tools::record::Record;

use super::WAITING_BYTES;
use crate::config::Ack;
use crate::output::{BadRecord, Encoding};

/// Appends the member's records to the lines to be written.
pub(super) struct LineEncoder<'r> {
    pub(super) capacity: u64,
    pub(super) encoding: &'r mut Encoding,
    pub(super) lines: Option<&'r mut LineWriter>,
    pub(super) in_flight: &'r mut InFlight,
    pub(super) current: &'r mut Option<(TopicPartition, LineStart)>,
    /// The number of the last line.
    pub(super) number: &'r mut u64,
    pub(super) ack: &'r Ack,
    pub(super) taken: u64,
}

impl LineEncoder<'_> {
    /// Handles one item; returns whether to go on.
    pub(super) fn take(&mut self, item: &Item<'_>) -> anyhow::Result<ControlFlow<()>> {
        match *item {
            Item::Record(record) => self.add(record),
            Item::End {
                topic,
                partition,
                offset,
            } => {
                self.in_flight.pass(&(topic.to_owned(), partition), offset);
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
            let Some(key) = self.in_flight.key(&place) else {
                // The partition was revoked: another member reads its records.
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
        self.in_flight.send(place, offset);
        self.taken += 1;
        let is_full = self.taken >= self.capacity || lines.waiting_bytes() >= WAITING_BYTES;
        Ok(if is_full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }
}
