//! What was written within the window of the rate: where it begins, and what in it is not of its time.

use tools::kafka::KafkaError;
use tools::kafka::cluster::{
    Isolation, LogSpan, Metadata, OffsetQuery, OffsetSpec, QueryBudget, count_after, earliest_in,
    first_since, offsets_over,
};
use tools::kafka::error::code;
use tools::kafka::wire::Wire;
use tools::units::CLOCK_TOLERANCE_MS;

use super::ClusterQuery;
use super::assemble::known_window_start;
use crate::partition_state::{LogBounds, Message, PartitionState};

/// The most offsets of all logs together that are read for their earliest messages.
const MOST_OFFSETS: i64 = 1_000_000;

impl ClusterQuery<'_> {
    /// Asks where the window begins, in the logs whose ends do not tell it, and for messages in it that are dated ahead.
    pub(super) fn ask_windows(
        &self,
        wire: &mut Wire<'_>,
        cluster: &Metadata,
        asked: &[&PartitionState],
        bounds_by_index: &mut [Result<LogBounds, KafkaError>],
        budget: &mut QueryBudget<'_>,
    ) {
        let mut open = Vec::new();
        let mut questions = Vec::new();
        for (index, (state, bounds)) in asked.iter().zip(&mut *bounds_by_index).enumerate() {
            let Ok(known) = bounds else { continue };
            known.window_start = known_window_start(known, self.since_ms, self.now_ms);
            if known.window_start.is_none() {
                questions.push(state.query(OffsetSpec::Time(self.since_ms.max(0))));
                open.push(index);
            }
        }
        if !open.is_empty() {
            self.look_up_windows(wire, cluster, &open, &questions, bounds_by_index, budget);
        }
        self.count_ahead(wire, cluster, asked, bounds_by_index, budget);
    }

    /// Looks up by time where windows begin.
    fn look_up_windows(
        &self,
        wire: &mut Wire<'_>,
        cluster: &Metadata,
        open: &[usize],
        questions: &[OffsetQuery],
        bounds_by_index: &mut [Result<LogBounds, KafkaError>],
        budget: &mut QueryBudget<'_>,
    ) {
        let found = offsets_over(wire, cluster, questions, Isolation::ReadUncommitted, budget);
        let latest_ms = self.latest_ms();
        let mut spans = Vec::new();
        let mut behind_ahead = Vec::new();
        let answers = questions.iter().zip(found.into_iter().flatten());
        for (&index, (question, found)) in open.iter().zip(answers) {
            let bounds = &mut bounds_by_index[index];
            match (&mut *bounds, found) {
                (Ok(known), Ok(found)) if found.timestamp_ms > Some(latest_ms) => {
                    spans.push(LogSpan {
                        topic: question.topic.as_str().into(),
                        partition: question.partition,
                        from: found.offset.unwrap_or(known.log_start),
                        until: known.end,
                    });
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
        let found = first_since(wire, &spans, window, cluster, budget);
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
        wire: &mut Wire<'_>,
        cluster: &Metadata,
        asked: &[&PartitionState],
        bounds_by_index: &mut [Result<LogBounds, KafkaError>],
        budget: &mut QueryBudget<'_>,
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
        let counts = count_after(wire, &spans, self.latest_ms(), cluster, budget);
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

    /// Reads logs for their earliest message, the shortest first, where the first one is not older than `max_age_ms`.
    ///
    /// What is too long, or may not be read, is judged by its first message.
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
                spans.push((index, state.span(bounds.log_start, bounds.end)));
            }
        }
        spans.sort_by_key(|(_, span)| span.until - span.from);
        let mut offsets = 0;
        spans.retain(|(_, span)| {
            offsets += span.until - span.from;
            offsets <= MOST_OFFSETS
        });
        let (indices, spans): (Vec<usize>, Vec<LogSpan>) = spans.into_iter().unzip();
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
