//! What was written within the window of the rate: where it begins, and what in it is not of its time.

use tools::kafka::admin::{LogSpan, MOST_OFFSETS, count_after, earliest_in, first_in_window};
use tools::kafka::client::ContactError;
use tools::kafka::error::code;
use tools::units::CLOCK_TOLERANCE_MS;

use super::ClusterQuery;
use super::assemble::known_window_start;
use crate::partition_state::{Earliest, Message, PartitionState};

/// The most bytes of all logs together that are read for their earliest messages.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// What a message is taken to have where the bytes of its log are not known.
const MESSAGE_BYTES: u64 = 1024;

impl ClusterQuery<'_> {
    /// Asks where the window begins, in the logs whose ends do not tell it, and for messages in it with a future timestamp.
    pub(super) fn ask_windows(
        &mut self,
        partitions: &mut [PartitionState],
        asked: &[usize],
    ) -> Result<(), ContactError> {
        let mut open = Vec::new();
        for &index in asked {
            if let Ok(known) = &mut partitions[index].bounds {
                known.window_start = known_window_start(known, self.since_ms, self.now_ms);
                open.extend(known.window_start.is_none().then_some(index));
            }
        }
        self.look_up_windows(partitions, &open)?;
        self.count_ahead(partitions, asked);
        Ok(())
    }

    /// Looks up by time where windows begin.
    fn look_up_windows(
        &mut self,
        partitions: &mut [PartitionState],
        open: &[usize],
    ) -> Result<(), ContactError> {
        let span = |&index: &usize| {
            let bounds = partitions[index].bounds.as_ref().ok()?;
            Some(partitions[index].span(bounds.log_start, bounds.end))
        };
        let spans: Vec<LogSpan> = open.iter().filter_map(span).collect();
        let window = (self.since_ms, self.latest_ms());
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        let found = first_in_window(wire, &spans, window, &self.cluster, budget)?;
        for (&index, found) in open.iter().zip(found) {
            let Ok(known) = &mut partitions[index].bounds else {
                continue;
            };
            match found {
                Ok(first) => known.window_start = Some(first.unwrap_or(known.end)),
                // A cluster that has no look-up by time has no rate.
                Err(error) if error.code == code::UNSUPPORTED_FEATURE => {}
                Err(error) => known.no_window = Some(error.refusal("read")),
            }
        }
        Ok(())
    }

    /// Counts the messages in the windows with a future timestamp.
    fn count_ahead(&mut self, partitions: &mut [PartitionState], asked: &[usize]) {
        let (mut indices, mut spans) = (Vec::new(), Vec::new());
        for &index in asked {
            let state = &partitions[index];
            let Ok(bounds) = &state.bounds else { continue };
            if let (Some(from), true) = (bounds.window_start, bounds.reaches_ahead(self.now_ms)) {
                indices.push(index);
                spans.push(state.span(from, bounds.end));
            }
        }
        let latest_ms = self.latest_ms();
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        let counts = count_after(wire, &spans, latest_ms, &self.cluster, budget);
        for (index, count) in indices.into_iter().zip(counts) {
            let Ok(bounds) = &mut partitions[index].bounds else {
                continue;
            };
            if let Ok(Some(count)) = count {
                bounds.window_ahead = count;
            } else {
                let note = "the rate includes messages with a future timestamp";
                bounds.notes.push(note.to_owned());
            }
        }
    }

    /// Reads logs for their earliest message, the smallest first, where the first one is not older than `max_age_ms`.
    pub(super) fn ask_earliest(&mut self, partitions: &mut [PartitionState], max_age_ms: i64) {
        let mut spans = Vec::new();
        for (index, state) in partitions.iter().enumerate() {
            let Ok(bounds) = &state.bounds else { continue };
            let first = bounds.oldest_past(self.now_ms);
            let is_old = first.and_then(|first| first.age_ms(self.now_ms)) > Some(max_age_ms);
            let has_more = bounds.oldest.is_some_and(|one| one.offset + 1 < bounds.end);
            if has_more && !is_old {
                let span = state.span(bounds.log_start, bounds.end);
                let presumed = (bounds.end - bounds.log_start) as u64 * MESSAGE_BYTES;
                spans.push((*state.bytes.as_ref().unwrap_or(&presumed), index, span));
            }
        }
        spans.sort_by_key(|(bytes, ..)| *bytes);
        let mut sum = 0;
        let mut put = |index: usize, earliest| {
            if let Ok(bounds) = &mut partitions[index].bounds {
                bounds.earliest = earliest;
            }
        };
        spans.retain(|(bytes, index, span)| {
            let is_long = span.until - span.from > MOST_OFFSETS || sum + bytes > MOST_BYTES;
            if is_long {
                put(*index, Earliest::TooLong);
            } else {
                sum += bytes;
            }
            !is_long
        });
        let spans = spans.into_iter().map(|(_, index, span)| (index, span));
        let (indices, spans): (Vec<usize>, Vec<LogSpan>) = spans.unzip();
        let (wire, budget) = (&mut self.wire, &mut self.budget);
        let found = earliest_in(wire, &spans, &self.cluster, budget);
        for (index, found) in indices.into_iter().zip(found) {
            let message = |(offset, time_ms)| Message::new(offset, time_ms);
            put(
                index,
                found.map_or_else(Earliest::Failed, |found| Earliest::Read(found.map(message))),
            );
        }
    }

    /// Messages with a later timestamp are in the future.
    fn latest_ms(&self) -> i64 {
        self.now_ms.saturating_add(CLOCK_TOLERANCE_MS)
    }
}
