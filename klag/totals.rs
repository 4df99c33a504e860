//! Sums over rows, their order, and how many of them: pure.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use crate::lag::LagNote;
use crate::rates::{Rate, Rates, Status, catch_up_ms};
use crate::row::{Row, SumBy};

/// Sums `rows` by what is asked for, in the order in which each sum's first row comes.
///
/// Numbers that are not known are not in a sum, which says of how many partitions.
pub(crate) fn sum(rows: &[Row], by: SumBy, wants_time: bool) -> Vec<Row> {
    let mut indices: HashMap<(&str, &str, &str), usize> = HashMap::new();
    let mut totals: Vec<Total> = Vec::new();
    for row in rows {
        let member = row.owner.as_ref().map_or("", |owner| owner.member.as_str());
        let key = match by {
            SumBy::Group => (row.group_name(), "", ""),
            SumBy::Topic => ("", row.topic_name(), ""),
            SumBy::Member => (row.group_name(), "", member),
        };
        // A group that has nothing at all has no topic to count for.
        if by == SumBy::Topic && row.topic.is_none() {
            continue;
        }
        let index = *indices.entry(key).or_insert_with(|| {
            totals.push(Total::new(row, by));
            totals.len() - 1
        });
        totals[index].add(row);
    }
    let totals = totals.into_iter();
    totals.map(|total| total.into_row(wants_time)).collect()
}

/// A row that others are added to.
struct Total {
    row: Row,
}

impl Total {
    fn new(first: &Row, by: SumBy) -> Total {
        let row = Row {
            group: first.group.clone().filter(|_| by != SumBy::Topic),
            topic: first.topic.clone().filter(|_| by == SumBy::Topic),
            owner: first.owner.clone().filter(|_| by == SumBy::Member),
            ..Row::default()
        };
        Total { row }
    }

    fn add(&mut self, row: &Row) {
        if row.partition.is_none() {
            // The row says why there is nothing to sum.
            self.row.lag.notes.extend(row.lag.notes.iter().cloned());
            return;
        }
        self.row.partitions += 1;
        let unknown = &mut self.row.unknown;
        unknown.lag += u32::from(row.lag.lag.is_none());
        unknown.time += u32::from(row.lag.time_lag_ms.is_none());
        unknown.lost += u32::from(row.lag.lost.is_none());
        let unanswered = row.lag.notes.iter();
        let unanswered = unanswered.filter(|note| note.unanswered().is_some());
        for note in unanswered {
            if !self.row.lag.notes.contains(note) {
                self.row.lag.notes.push(note.clone());
            }
        }
        let total = &mut self.row.lag;
        add(&mut total.lag, row.lag.lag);
        add(&mut total.lost, row.lag.lost);
        add(&mut total.blocked, row.lag.blocked);
        total.time_lag_ms = total.time_lag_ms.max(row.lag.time_lag_ms);
        self.row.silence = self.row.silence.max(row.silence);
        if let Some(rates) = row.rates.as_deref() {
            self.sum_rates(rates);
        }
    }

    fn sum_rates(&mut self, rates: &Rates) {
        let total = self.row.rates.get_or_insert_default();
        self.row.unknown.produced += u32::from(rates.produced.is_none());
        self.row.unknown.consumed += u32::from(rates.consumed.is_none());
        total.produced = add_rate(total.produced, rates.produced);
        total.consumed = add_rate(total.consumed, rates.consumed);
        total.status = total.status.max(rates.status);
    }

    fn into_row(mut self, wants_time: bool) -> Row {
        let unknown = self.row.unknown;
        if unknown.lag > 0 {
            self.row
                .lag
                .notes
                .push(LagNote::UnknownPartitions(unknown.lag));
        }
        let times = unknown.partitions(wants_time) - unknown.lag;
        if times > 0 {
            self.row.lag.notes.push(LagNote::UnknownTimes(times));
        }
        let rates = [
            (Rate::Produce, unknown.produced),
            (Rate::Consume, unknown.consumed),
        ];
        let rates = rates.into_iter().filter(|(_, count)| *count > 0);
        (self.row.lag.notes).extend(rates.map(|(rate, count)| LagNote::UnknownRates(rate, count)));
        if let Some(rates) = self.row.rates.as_deref_mut() {
            // What is behind in the others, nobody knows.
            let lag = self.row.lag.lag.filter(|_| unknown.lag == 0);
            rates.catch_up_ms = catch_up_ms(lag, rates.produced, rates.consumed);
            let is_unknown = |status: &Status| *status == Status::Ok && unknown.lag > 0;
            rates.status = rates.status.filter(|status| !is_unknown(status));
        }
        self.row
    }
}

fn add(total: &mut Option<i64>, more: Option<i64>) {
    if let Some(more) = more {
        *total = Some(total.unwrap_or(0) + more);
    }
}

fn add_rate(total: Option<f64>, more: Option<f64>) -> Option<f64> {
    match (total, more) {
        (Some(total), Some(more)) => Some(total + more),
        (known, None) | (None, known) => known,
    }
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// By name: group, topic, partition.
    Group,
    /// By name: topic, partition, group.
    Topic,
    /// Most messages behind first.
    Lag,
    /// Most time behind first.
    TimeLag,
    /// Most lost first.
    Lost,
    /// Most blocked first.
    Blocked,
}

/// Puts rows in order; what is not known comes after what is.
pub(crate) fn sort(rows: &mut [Row], sort: Sort) {
    let by_group = |a: &Row, b: &Row| {
        let key = |row: &Row| row.partition;
        (a.group_name().cmp(b.group_name()))
            .then_with(|| a.topic_name().cmp(b.topic_name()))
            .then_with(|| key(a).cmp(&key(b)))
    };
    let most = |number: fn(&Row) -> Option<i64>| {
        move |a: &Row, b: &Row| -> Ordering { Reverse(number(a)).cmp(&Reverse(number(b))) }
    };
    rows.sort_by(by_group);
    match sort {
        Sort::Group => {}
        Sort::Topic => rows.sort_by(|a, b| {
            let topics = a.topic_name().cmp(b.topic_name());
            topics.then_with(|| a.partition.cmp(&b.partition))
        }),
        Sort::Lag => rows.sort_by(most(|row| row.lag.lag)),
        Sort::TimeLag => rows.sort_by(most(|row| row.lag.time_lag_ms)),
        Sort::Lost => rows.sort_by(most(|row| row.lag.lost)),
        Sort::Blocked => rows.sort_by(most(|row| row.lag.blocked)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lag::Lag;
    use crate::row::Group;

    fn row(group: &str, topic: &str, partition: i32, lag: Option<i64>) -> Row {
        let group = Group {
            name: group.to_owned(),
            ..Group::default()
        };
        Row {
            group: Some(Arc::new(group)),
            topic: Some(topic.into()),
            partition: Some(partition),
            lag: Lag {
                lag,
                time_lag_ms: lag.map(|lag| lag * 10),
                ..Lag::default()
            },
            ..Row::default()
        }
    }

    fn rows() -> Vec<Row> {
        vec![
            row("b", "t", 0, Some(3)),
            row("a", "u", 1, None),
            row("a", "t", 0, Some(5)),
            row("a", "u", 0, Some(7)),
        ]
    }

    fn names(rows: &[Row]) -> Vec<String> {
        rows.iter()
            .map(|row| {
                let partition = row.partition.map_or(String::new(), |p| p.to_string());
                format!("{}{}{partition}", row.group_name(), row.topic_name())
            })
            .collect()
    }

    #[test]
    fn a_sum_is_of_what_is_known_and_says_of_how_many_it_is_not() {
        let totals = sum(&rows(), SumBy::Group, true);
        assert_eq!(names(&totals), ["b", "a"]);
        let (lag, partitions) = (totals[1].lag.lag, totals[1].partitions);
        assert_eq!((lag, partitions), (Some(12), 3));
        assert_eq!(totals[1].lag.time_lag_ms, Some(70), "the oldest");
        assert_eq!(totals[1].lag.notes, [LagNote::UnknownPartitions(1)]);
        assert!(totals[0].lag.notes.is_empty());
    }

    #[test]
    fn topics_are_summed_over_groups() {
        let totals = sum(&rows(), SumBy::Topic, true);
        assert_eq!(names(&totals), ["t", "u"]);
        assert_eq!(totals[0].lag.lag, Some(8));
    }

    #[test]
    fn a_group_without_partitions_keeps_its_reason() {
        let note = LagNote::Unanswered("no coordinator".to_owned());
        let mut row = row("a", "", 0, None);
        (row.topic, row.partition) = (None, None);
        row.lag.notes = vec![note.clone()];
        let totals = sum(std::slice::from_ref(&row), SumBy::Group, true);
        assert_eq!(
            (totals[0].partitions, &totals[0].lag.notes),
            (0, &vec![note])
        );
        assert!(sum(&[row], SumBy::Topic, true).is_empty());
    }

    #[test]
    fn rates_add_up_and_the_worst_status_counts() {
        let mut rows = rows();
        for (row, status) in rows
            .iter_mut()
            .zip([Status::Ok, Status::Stalled, Status::Ok])
        {
            row.rates = Some(Box::new(Rates {
                produced: Some(1.0),
                consumed: Some(2.0),
                catch_up_ms: None,
                status: Some(status),
            }));
        }
        let totals = sum(&rows, SumBy::Group, true);
        let expected = Rates {
            produced: Some(2.0),
            consumed: Some(4.0),
            catch_up_ms: None,
            status: Some(Status::Stalled),
        };
        assert_eq!(totals[1].rates.as_deref(), Some(&expected));
        let of = |total: &Row| total.rates.as_deref().map(|r| (r.catch_up_ms, r.status));
        assert_eq!(of(&totals[0]), Some((Some(3000), Some(Status::Ok))));

        // Regression: a group was well of which a part was not known.
        for row in &mut rows {
            let rates = row.rates.get_or_insert_default();
            rates.status = Some(Status::Ok);
        }
        let totals = sum(&rows, SumBy::Group, true);
        assert_eq!(of(&totals[1]), Some((None, None)));
    }

    #[test]
    fn the_unknown_comes_after_the_known() {
        let mut rows = rows();
        sort(&mut rows, Sort::Lag);
        assert_eq!(names(&rows), ["au0", "at0", "bt0", "au1"]);
        sort(&mut rows, Sort::Group);
        assert_eq!(names(&rows), ["at0", "au0", "au1", "bt0"]);
        sort(&mut rows, Sort::Topic);
        assert_eq!(names(&rows), ["at0", "bt0", "au0", "au1"]);
    }
}
