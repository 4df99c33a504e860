//! What was written within the window of the rate: where it begins, and what in it is not of its time.

use tools::kafka::KafkaError;
use tools::kafka::admin::{LogSpan, Metadata, OffsetSpec, count_after, earliest_in, first_since};
use tools::kafka::error::code;
use tools::kafka::wire::Wire;
use tools::units::CLOCK_TOLERANCE_MS;

use super::ClusterQuery;
use super::assemble::known_window_start;
use crate::leader::LeaderClient;
use crate::partition_state::{LogBounds, Message, PartitionState};

/// The most bytes of all logs together that are read for their earliest messages.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// What a message is taken to have where the bytes of its log are not known.
const MESSAGE_BYTES: u64 = 1024;

impl ClusterQuery<'_> {
    /// Asks where the window begins, in the logs whose ends do not tell it, and for messages in it that are dated ahead.
    pub(super) fn ask_windows(
        &self,
        leader: &mut LeaderClient<'_, '_>,
        asked: &[&PartitionState],
        bounds_by_index: &mut [Result<LogBounds, KafkaError>],
    ) {
        let mut open = Vec::new();
        for (index, bounds) in bounds_by_index.iter_mut().enumerate() {
            let Ok(known) = bounds else { continue };
            known.window_start = known_window_start(known, self.since_ms, self.now_ms);
            open.extend(known.window_start.is_none().then_some(index));
        }
        if !open.is_empty() {
            self.look_up_windows(leader, asked, &open, bounds_by_index);
        }
        self.count_ahead(leader, asked, bounds_by_index);
    }

    /// Looks up by time where windows begin.
    fn look_up_windows(
        &self,
        leader: &mut LeaderClient<'_, '_>,
        asked: &[&PartitionState],
        open: &[usize],
        bounds_by_index: &mut [Result<LogBounds, KafkaError>],
    ) {
        let since = OffsetSpec::Time(self.since_ms.max(0));
        let questions: Vec<_> = open.iter().map(|&i| asked[i].query(since)).collect();
        let found = leader.offsets(&questions);
        let latest_ms = self.latest_ms();
        let mut spans = Vec::new();
        let mut behind_ahead = Vec::new();
        for (&index, found) in open.iter().zip(found.into_iter().flatten()) {
            let bounds = &mut bounds_by_index[index];
            match (&mut *bounds, found) {
                (Ok(known), Ok(found)) if found.timestamp_ms > Some(latest_ms) => {
                    let from = found.offset.unwrap_or(known.log_start);
                    spans.push(asked[index].span(from, known.end));
                    behind_ahead.push(index);
                }
                (Ok(known), Ok(found)) => {
                    known.window_start = Some(found.offset.unwrap_or(known.end));
                }
                // A cluster that has no look-up by time has no rate.
                (_, Err(error)) if error.code == code::UNSUPPORTED_FEATURE => {}
                (_, Err(error)) => *bounds = Err(error),
                (Err(_), Ok(_)) => {}
            }
        }
        let window = (self.since_ms, latest_ms);
        let found = first_since(leader.wire, &spans, window, leader.cluster, leader.budget);
        for (index, found) in behind_ahead.into_iter().zip(found) {
            let Ok(known) = &mut bounds_by_index[index] else {
                continue;
            };
            match found {
                Ok(first) => known.window_start = Some(first.unwrap_or(known.end)),
                Err(error) => known.no_window = Some(error.to_string()),
            }
        }
    }

    /// Counts the messages in the windows that are dated ahead.
    fn count_ahead(
        &self,
        leader: &mut LeaderClient<'_, '_>,
        asked: &[&PartitionState],
        bounds_by_index: &mut [Result<LogBounds, KafkaError>],
    ) {
        let mut indices = Vec::new();
        let mut spans = Vec::new();
        for (index, (state, bounds)) in asked.iter().zip(&*bounds_by_index).enumerate() {
            let Ok(bounds) = bounds else { continue };
            if let (Some(from), true) = (bounds.window_start, bounds.reaches_ahead(self.now_ms)) {
                indices.push(index);
                spans.push(state.span(from, bounds.end));
            }
        }
        let (wire, budget) = (&mut *leader.wire, &mut *leader.budget);
        let counts = count_after(wire, &spans, self.latest_ms(), leader.cluster, budget);
        for (index, count) in indices.into_iter().zip(counts) {
            let Ok(bounds) = &mut bounds_by_index[index] else {
                continue;
            };
            if let Ok(Some(count)) = count {
                bounds.window_ahead = count;
            } else {
                let note = "messages dated ahead are in the rate";
                bounds.notes.push(note.to_owned());
            }
        }
    }

    /// Reads logs for their earliest message, the smallest first, where the first one is not older than `max_age_ms`.
    ///
    /// What is too long, or may not be read, is checked by its first message.
    pub(super) fn ask_earliest(
        &self,
        cluster: &Metadata,
        partitions: &mut [PartitionState],
        max_age_ms: i64,
    ) {
        let mut spans = Vec::new();
        for (index, state) in partitions.iter().enumerate() {
            let Ok(bounds) = &state.bounds else { continue };
            let first = bounds.oldest_past(self.now_ms);
            let is_old = first.and_then(|first| first.age_ms(self.now_ms)) > Some(max_age_ms);
            if bounds.log_start < bounds.end && !is_old {
                let span = state.span(bounds.log_start, bounds.end);
                let presumed = (bounds.end - bounds.log_start) as u64 * MESSAGE_BYTES;
                spans.push((*state.bytes.as_ref().unwrap_or(&presumed), index, span));
            }
        }
        spans.sort_by_key(|(bytes, ..)| *bytes);
        let mut sum = 0;
        spans.retain(|(bytes, ..)| {
            sum += bytes;
            sum <= MOST_BYTES
        });
        let spans = spans.into_iter().map(|(_, index, span)| (index, span));
        let (indices, spans): (Vec<usize>, Vec<LogSpan>) = spans.unzip();
        let mut wire = Wire::new(self.client);
        let found = earliest_in(&mut wire, &spans, cluster, &mut self.budget());
        for (index, found) in indices.into_iter().zip(found) {
            if let (Ok(bounds), Ok(Some((offset, time_ms)))) =
                (&mut partitions[index].bounds, found)
            {
                bounds.earliest = Some(Message::new(offset, time_ms));
            }
        }
    }

    /// Messages that are dated later are dated ahead.
    fn latest_ms(&self) -> i64 {
        self.now_ms.saturating_add(CLOCK_TOLERANCE_MS)
    }
}
