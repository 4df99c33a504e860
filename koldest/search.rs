//! Ends of logs that are in doubt, found by reading: forwards from the log start, and backwards from the end.

use tools::kafka::admin::{FirstRecord, LogSpan, first_unread, newest_in};
use tools::units::CLOCK_TOLERANCE_MS;

use crate::collect::ClusterQuery;
use crate::partition_state::{Message, PartitionState};

/// Offsets before the last stable one that are read first: a marker and a message.
const LAST_OFFSETS: i64 = 2;
/// By how much further back it is read where there was no message.
const FURTHER: i64 = 32;
/// How far back to look for a message without a future timestamp.
const FURTHEST: i64 = 100_000;

/// A partition whose first message is looked for.
pub(crate) struct ForwardSearch {
    pub(crate) index: usize,
    pub(crate) offset: i64,
}

fn message(found: FirstRecord) -> Message {
    Message {
        offset: found.offset,
        time_ms: found.timestamp_ms,
    }
}

/// Reads on from the given offsets until a message comes: the first one.
pub(crate) fn find_first(
    query: &mut ClusterQuery<'_>,
    partitions: &mut [PartitionState],
    searches: &[ForwardSearch],
) {
    let found = searches.iter().filter_map(|search| {
        let position = partitions[search.index].position(search.offset, None)?;
        Some((search.index, position))
    });
    let (indices, positions): (Vec<usize>, Vec<_>) = found.unzip();
    let (wire, budget) = (&mut query.wire, &mut query.budget);
    let answers = first_unread(wire, &positions, &query.cluster, budget);
    for (index, answer) in indices.into_iter().zip(answers) {
        let state = &mut partitions[index];
        match (&mut state.bounds, answer) {
            (Ok(bounds), Ok(found)) => bounds.oldest = found.map(message),
            (_, Err(error)) => state.fail(&error),
            (Err(_), Ok(_)) => {}
        }
    }
}

/// Looks for the messages without a future timestamp, in the logs whose newest one is.
pub(crate) fn find_past(
    query: &mut ClusterQuery<'_>,
    partitions: &mut [PartitionState],
    asked: &[usize],
) {
    let now_ms = query.now_ms;
    let latest_ms = now_ms.saturating_add(CLOCK_TOLERANCE_MS);
    let (mut firsts, mut positions, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for &index in asked {
        let state = &partitions[index];
        let Ok(bounds) = &state.bounds else { continue };
        if !bounds.reaches_ahead(now_ms) {
            continue;
        }
        lasts.push(index);
        let ahead = bounds.oldest.filter(|oldest| oldest.is_ahead(now_ms));
        let position = ahead.and_then(|one| state.position(one.offset + 1, Some(latest_ms)));
        if let Some(position) = position {
            firsts.push(index);
            positions.push(position);
        }
    }
    let (wire, budget) = (&mut query.wire, &mut query.budget);
    let answers = first_unread(wire, &positions, &query.cluster, budget);
    for (index, answer) in firsts.into_iter().zip(answers) {
        if let Ok(bounds) = &mut partitions[index].bounds {
            bounds.past.oldest = answer.ok().flatten().map(message);
        }
    }
    find_newest(query, partitions, lasts, Some(latest_ms));
}

/// Reads backwards from the last stable offset, in growing steps, until there is a message: of what was read the one with the latest time.
///
/// With `not_after_ms`, messages that are dated later do not count.
pub(crate) fn find_newest(
    query: &mut ClusterQuery<'_>,
    partitions: &mut [PartitionState],
    asked: Vec<usize>,
    not_after_ms: Option<i64>,
) {
    let latest_ms = not_after_ms.unwrap_or(i64::MAX);
    let last = |index: usize| {
        let bounds = partitions[index].bounds.as_ref().ok()?;
        let from = (bounds.stable - LAST_OFFSETS).max(bounds.log_start);
        Some((index, partitions[index].span(from, bounds.stable)))
    };
    let mut open: Vec<(usize, LogSpan)> = asked.into_iter().filter_map(last).collect();
    while !open.is_empty() && !(query.budget.interrupted())() {
        let (indices, spans): (Vec<usize>, Vec<LogSpan>) = open.drain(..).unzip();
        let (wire, budget) = (&mut query.wire, &mut query.budget);
        let answers = newest_in(wire, &spans, latest_ms, &query.cluster, budget);
        for ((index, span), answer) in indices.into_iter().zip(spans).zip(answers) {
            let state = &mut partitions[index];
            let Ok(bounds) = &mut state.bounds else {
                continue;
            };
            let width = bounds.stable - span.from;
            let may_go_on = not_after_ms.is_none() || width < FURTHEST;
            match answer {
                Ok(None) if span.from > bounds.log_start && may_go_on => {
                    let furthest = not_after_ms.map_or(i64::MAX, |_| FURTHEST);
                    let width = width.saturating_mul(FURTHER).min(furthest);
                    let from = (bounds.stable - width).max(bounds.log_start);
                    open.push((index, state.span(from, span.from)));
                }
                Ok(found) => {
                    let found = found.map(|(offset, time_ms)| Message::new(offset, time_ms));
                    match not_after_ms {
                        Some(_) => bounds.past.newest = found,
                        None => bounds.newest = found,
                    }
                }
                // The age of messages without a future timestamp is then unknown, and everything else is known.
                Err(_) if not_after_ms.is_some() => {}
                Err(error) => state.fail(&error),
            }
        }
    }
}
