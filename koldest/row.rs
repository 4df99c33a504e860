//! The state of a partition as a row of the report: ages, rates, forecast. Pure.

use tools::kafka::KafkaError;
use tools::kafka::error::code;
use tools::units::format_duration_ms;

use crate::forecast::{Forecast, LimitedBy, Log, Settings, WhatIf, apply, forecast};
use crate::partition_state::{Earliest, LogBounds, Message, PartitionState, PastMessages};

/// A partition, or a topic with all its partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) topic: String,
    /// The partition's number; none for a topic.
    pub(crate) partition: Option<i32>,
    pub(crate) partition_count: usize,
    /// The first message in the log; of a topic, the one with the earliest time.
    pub(crate) oldest: Option<Message>,
    /// The message with the latest time.
    pub(crate) newest: Option<Message>,
    /// The first message, and the one with the latest time, of those without a future timestamp.
    pub(crate) past: PastMessages,
    /// Offsets from the log start to the end.
    pub(crate) records: Option<i64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) rate_records: Option<f64>,
    /// Bytes a second.
    pub(crate) rate_bytes: Option<f64>,
    /// The settings that the forecast was made with.
    pub(crate) settings: Option<Settings>,
    pub(crate) forecast: Option<Forecast>,
    pub(crate) notes: Vec<String>,
    /// Why it is not known.
    pub(crate) failure: Option<String>,
}

/// Since when, and how it would be otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now_ms: i64,
    /// Of how much time the rate is.
    pub(crate) window_ms: i64,
    pub(crate) what_if: &'a [WhatIf],
}

impl Row {
    pub(crate) fn new(state: &PartitionState, context: Context<'_>) -> Row {
        let mut row = Row {
            topic: state.topic.clone(),
            partition: state.partition,
            partition_count: 1,
            ..Row::default()
        };
        let bounds = match &state.bounds {
            Ok(bounds) => bounds,
            Err(error) => {
                row.failure = Some(error.refusal("describe"));
                return row;
            }
        };
        row.oldest = bounds.oldest;
        row.newest = bounds.newest;
        row.past = PastMessages {
            oldest: bounds.oldest_past(context.now_ms),
            newest: bounds.newest_past(context.now_ms),
        };
        row.records = Some(bounds.end - bounds.log_start);
        row.bytes = state.bytes.as_ref().ok().copied();
        let rate = rate(bounds, context);
        row.rate_records = rate.map(|rate| rate.records);
        row.rate_bytes = rate_bytes(bounds, row.rate_records, row.bytes);
        row.settings = state.settings.as_ref().ok().cloned();
        row.notes.extend(remarks(state, bounds, rate, context));
        if let Earliest::Failed(error) = &bounds.earliest {
            let why = error.refusal("read");
            let failure = format!("whether older messages follow the first is unknown: {why}");
            row.failure = Some(failure);
        }
        if let Some(mut settings) = row.settings.take() {
            apply(
                context.what_if,
                &mut settings,
                &mut [&mut row.rate_records, &mut row.rate_bytes],
            );
            let log = Log {
                rate_bytes: row.rate_bytes,
                bytes: row.bytes,
                age_ms: row
                    .past
                    .oldest
                    .and_then(|oldest| oldest.age_ms(context.now_ms)),
            };
            let predicted = forecast(&settings, &log);
            row.notes.extend(explanations(&settings, &predicted));
            row.forecast = Some(predicted);
            row.settings = Some(settings);
        }
        row
    }

    /// The row of a topic, of the rows of all its partitions; a sum without one of its parts is not known.
    pub(crate) fn sum(rows: &[Row]) -> Row {
        let mut sum = Row {
            topic: rows
                .first()
                .map(|row| row.topic.clone())
                .unwrap_or_default(),
            partition_count: rows.iter().filter(|row| row.partition.is_some()).count(),
            ..Row::default()
        };
        sum.oldest = rows
            .iter()
            .filter_map(|row| row.oldest.filter(|message| message.time_ms.is_some()))
            .min_by_key(|message| message.time_ms);
        let newest = rows.iter().filter_map(|row| row.newest);
        sum.newest = newest.max_by_key(|message| message.time_ms);
        sum.past = PastMessages {
            oldest: sum.oldest,
            newest: rows
                .iter()
                .filter_map(|row| row.past.newest)
                .max_by_key(|message| message.time_ms),
        };
        sum.records = rows.iter().map(|row| row.records).sum();
        sum.bytes = rows.iter().map(|row| row.bytes).sum();
        sum.rate_records = rows.iter().map(|row| row.rate_records).sum();
        sum.rate_bytes = rows.iter().map(|row| row.rate_bytes).sum();
        sum.settings = rows.iter().find_map(|row| row.settings.clone());
        sum.forecast = sum_forecast(rows);
        sum.notes = counted(rows, |row| row.notes.clone());
        let failures = counted(rows, |row| row.failure.iter().cloned().collect());
        sum.failure = (!failures.is_empty()).then(|| failures.join("; "));
        sum
    }

    /// How old its oldest message is; unknown if that has a future timestamp.
    pub(crate) fn age_ms(&self, now_ms: i64) -> Option<i64> {
        self.oldest?.age_ms(now_ms)
    }

    /// How long ago the newest message without a future timestamp was written.
    pub(crate) fn stale_ms(&self, now_ms: i64) -> Option<i64> {
        self.past.newest?.age_ms(now_ms)
    }
}

/// The partition that keeps messages for the shortest time limits the topic; none is known to be that one while the limit
/// of some partition is unknown.
fn sum_forecast(rows: &[Row]) -> Option<Forecast> {
    let all: Option<Vec<Forecast>> = rows.iter().map(|row| row.forecast).collect();
    let all = all.filter(|all| !all.is_empty())?;
    let every =
        |get: fn(&Forecast) -> Option<i64>| -> Option<Vec<i64>> { all.iter().map(get).collect() };
    let tightest = all
        .iter()
        .min_by_key(|one| one.keeps_min_ms.unwrap_or(i64::MAX))?;
    let is_known = all.iter().all(|one| one.limited_by.is_some());
    Some(Forecast {
        limited_by: tightest.limited_by.filter(|_| is_known),
        keeps_min_ms: every(|one| one.keeps_min_ms).and_then(|all| all.into_iter().min()),
        keeps_max_ms: every(|one| one.keeps_max_ms).and_then(|all| all.into_iter().max()),
        full_in_ms: all
            .iter()
            .filter_map(|one| one.full_in_ms)
            .min()
            .filter(|_| is_known),
    })
}

/// Remarks of many rows, each once, with the number of partitions that it is about where it is not all.
fn counted(rows: &[Row], get: impl Fn(&Row) -> Vec<String>) -> Vec<String> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for remark in rows.iter().flat_map(get) {
        match counts.iter_mut().find(|(known, _)| *known == remark) {
            Some((_, count)) => *count += 1,
            None => counts.push((remark, 1)),
        }
    }
    let worded = |(remark, count): (String, usize)| {
        if count == rows.len() {
            return remark;
        }
        format!("{count} of {} partitions: {remark}", rows.len())
    };
    counts.into_iter().map(worded).collect()
}

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    records: f64,
    /// In how much time they were counted.
    over_ms: i64,
}

/// What was written within the window, or since the first message where all of the log is younger.
fn rate(bounds: &LogBounds, context: Context<'_>) -> Option<Rate> {
    let written = bounds.end - bounds.window_start? - bounds.window_ahead;
    let oldest = bounds.oldest_past(context.now_ms);
    // Nothing that it has is of a time that the window could have.
    if bounds.oldest.is_some() && oldest.is_none() {
        return None;
    }
    let oldest = oldest.filter(|oldest| bounds.window_start == Some(oldest.offset));
    let since_oldest_ms = oldest
        .and_then(|oldest| oldest.time_ms)
        .map(|time| context.now_ms.saturating_sub(time));
    match since_oldest_ms.filter(|age| *age < context.window_ms) {
        // The first message begins the time and is not written within it.
        Some(age_ms) if age_ms > 0 => Some(Rate {
            records: (written - 1).max(0) as f64 * 1000.0 / age_ms as f64,
            over_ms: age_ms,
        }),
        // It has just been written.
        Some(_) => None,
        None => Some(Rate {
            records: written.max(0) as f64 * 1000.0 / context.window_ms as f64,
            over_ms: context.window_ms,
        }),
    }
}

fn rate_bytes(bounds: &LogBounds, rate_records: Option<f64>, bytes: Option<u64>) -> Option<f64> {
    let rate = rate_records?;
    if rate == 0.0 {
        return Some(0.0);
    }
    let offsets = bounds.end - bounds.log_start;
    (offsets > 0).then_some(rate * bytes? as f64 / offsets as f64)
}

/// What is to be said about the facts themselves.
fn remarks(
    state: &PartitionState,
    bounds: &LogBounds,
    rate: Option<Rate>,
    context: Context<'_>,
) -> Vec<String> {
    let mut notes = Vec::new();
    if bounds.log_start == bounds.end {
        let emptied = "empty: all was deleted".to_owned();
        notes.push(if bounds.end == 0 {
            "never written to".to_owned()
        } else {
            emptied
        });
    } else if bounds.oldest.is_none() {
        notes.push("no message, only what transactions left".to_owned());
    }
    if bounds.oldest.is_some_and(|oldest| oldest.time_ms.is_none()) {
        notes.push("the oldest message has no time".to_owned());
    }
    let ahead = |message: Option<Message>| {
        let message = message.filter(|message| message.is_ahead(context.now_ms))?;
        let by_ms = message.time_ms?.saturating_sub(context.now_ms);
        Some(format_duration_ms(by_ms))
    };
    if let Some(by) = ahead(bounds.oldest) {
        notes.push(format!("age not known: the oldest is {by} in the future"));
    }
    if let Some(by) = ahead(bounds.newest) {
        notes.push(format!("the newest is {by} in the future"));
    }
    match rate {
        _ if bounds.log_start == bounds.end => {}
        None if bounds.no_window.is_some() => {
            let why = bounds.no_window.as_deref().unwrap_or_default();
            notes.push(format!("rate not known: {why}"));
        }
        None if bounds.oldest.is_some() && bounds.oldest_past(context.now_ms).is_none() => {
            notes.push("rate not known: all messages have a future timestamp".to_owned());
        }
        None if bounds.window_start.is_none() => {
            notes.push("rate not known: no look-up by time here".to_owned());
        }
        None => notes.push("rate not known: all is from now".to_owned()),
        Some(rate) if rate.over_ms < context.window_ms => {
            notes.push(format!("rate of {} only", format_duration_ms(rate.over_ms)));
        }
        Some(_) => {}
    }
    let why = |error: &KafkaError| match error.code {
        code::UNSUPPORTED_FEATURE => "not supported here".to_owned(),
        _ => error.to_string(),
    };
    if let Err(error) = &state.bytes {
        notes.push(format!("bytes not known: {}", why(error)));
    }
    if let Err(error) = &state.settings {
        notes.push(format!("settings not known: {}", why(error)));
    }
    notes.extend(bounds.notes.iter().chain(&state.notes).cloned());
    notes
}

/// What is to be said about the forecast.
fn explanations(settings: &Settings, forecast: &Forecast) -> Vec<String> {
    let mut notes = Vec::new();
    if settings.compacts {
        notes.push("compacted: records are offsets".to_owned());
    }
    if settings.tiered {
        notes.push("tiered: bytes are the local ones, forecast by time alone".to_owned());
    }
    match forecast.limited_by {
        Some(LimitedBy::None) => notes.push("kept for ever".to_owned()),
        None => notes.push("retention.bytes may bind: its rate is not known".to_owned()),
        Some(_) => {}
    }
    notes
}

#[cfg(test)]
mod tests;
