//! What was written within the window of the rate: where it begins, and what in it is not of its time.

use tools::kafka::KafkaError;
use tools::kafka::cluster::{
    Isolation, LogSpan, Metadata, Patience, Question, Spec, count_after, first_since, offsets_over,
};
use tools::kafka::error::code;
use tools::kafka::wire::Wire;
use tools::units::CLOCK_TOLERANCE_MS;

use super::Asker;
use super::assemble::known_window_start;
use crate::facts::{Extent, Facts};

impl Asker<'_> {
    /// Asks where the window begins, in the logs whose ends do not tell it, and for messages in it that are dated ahead.
    pub(super) fn ask_windows(
        &self,
        wire: &mut Wire<'_>,
        cluster: &Metadata,
        asked: &[&Facts],
        extents: &mut [Result<Extent, KafkaError>],
        patience: &mut Patience<'_>,
    ) {
        let mut open = Vec::new();
        let mut questions = Vec::new();
        for (index, (one, extent)) in asked.iter().zip(&mut *extents).enumerate() {
            let Ok(known) = extent else { continue };
            known.window_start = known_window_start(known, self.since_ms, self.now_ms);
            if known.window_start.is_none() {
                questions.push(Question {
                    topic: one.topic.clone(),
                    partition: one.partition.unwrap_or(-1),
                    spec: Spec::Time(self.since_ms.max(0)),
                });
                open.push(index);
            }
        }
        if !open.is_empty() {
            self.look_up_windows(wire, cluster, &open, &questions, extents, patience);
        }
        self.count_ahead(wire, cluster, asked, extents, patience);
    }

    /// Looks up by time where windows begin.
    fn look_up_windows(
        &self,
        wire: &mut Wire<'_>,
        cluster: &Metadata,
        open: &[usize],
        questions: &[Question],
        extents: &mut [Result<Extent, KafkaError>],
        patience: &mut Patience<'_>,
    ) {
        let found = offsets_over(
            wire,
            cluster,
            questions,
            Isolation::ReadUncommitted,
            patience,
        );
        let latest_ms = self.latest_ms();
        let mut spans = Vec::new();
        let mut behind_ahead = Vec::new();
        let answers = questions.iter().zip(found.into_iter().flatten());
        for (&index, (question, found)) in open.iter().zip(answers) {
            let extent = &mut extents[index];
            match (&mut *extent, found) {
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
                (_, Err(error)) => *extent = Err(error),
                (Err(_), Ok(_)) => {}
            }
        }
        let window = (self.since_ms, latest_ms);
        let found = first_since(wire, &spans, window, cluster, patience);
        for (index, found) in behind_ahead.into_iter().zip(found) {
            let Ok(known) = &mut extents[index] else {
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
        asked: &[&Facts],
        extents: &mut [Result<Extent, KafkaError>],
        patience: &mut Patience<'_>,
    ) {
        let mut places = Vec::new();
        let mut spans = Vec::new();
        for (index, (one, extent)) in asked.iter().zip(&*extents).enumerate() {
            let Ok(extent) = extent else { continue };
            if let (Some(from), true) = (extent.window_start, extent.reaches_ahead(self.now_ms)) {
                places.push(index);
                spans.push(LogSpan {
                    topic: one.topic.as_str().into(),
                    partition: one.partition.unwrap_or(-1),
                    from,
                    until: extent.end,
                });
            }
        }
        let counts = count_after(wire, &spans, self.latest_ms(), cluster, patience);
        for (index, count) in places.into_iter().zip(counts) {
            let Ok(extent) = &mut extents[index] else {
                continue;
            };
            if let Ok(Some(count)) = count {
                extent.window_ahead = count;
            } else {
                let note = "messages dated ahead are in the rate";
                extent.notes.push(note.to_owned());
            }
        }
    }

    /// Messages that are dated later are dated ahead.
    fn latest_ms(&self) -> i64 {
        self.now_ms.saturating_add(CLOCK_TOLERANCE_MS)
    }
}
