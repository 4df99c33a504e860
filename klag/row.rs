//! A row of the report: a group's partition, or a sum of such rows.

use std::sync::Arc;

use tools::report::{Cell, Column, Report};

use crate::lag::{Lag, LagNote};
use crate::rates::{Rates, Status};

/// What all rows of a group share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its name.
    pub(crate) name: String,
    /// Its state in the broker's words: Stable, Empty, ...
    pub(crate) state: Option<String>,
    /// Its type in the broker's words: classic, consumer, share, streams.
    pub(crate) kind: Option<String>,
    /// How many members it has, where that was told.
    pub(crate) members: Option<usize>,
    /// The broker that coordinates it.
    pub(crate) coordinator: Option<i32>,
}

/// The member that owns a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AssignedMember {
    /// The member's id.
    pub(crate) member: String,
    /// Its client.id.
    pub(crate) client: String,
    /// Where it is.
    pub(crate) host: String,
}

/// Of how many partitions of a sum a number is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) lag: u32,
    pub(crate) time: u32,
    pub(crate) lost: u32,
}

impl Unknown {
    /// Of how many partitions something that was asked for is not known.
    pub(crate) fn partitions(self, wants_time: bool) -> u32 {
        self.lag.max(if wants_time { self.time } else { 0 })
    }
}

/// One row. What a sum is not about is `None`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) topic: Option<Arc<str>>,
    pub(crate) partition: Option<i32>,
    pub(crate) owner: Option<Arc<AssignedMember>>,
    pub(crate) committed: Option<i64>,
    pub(crate) start: Option<i64>,
    pub(crate) end: Option<i64>,
    pub(crate) lag: Lag,
    /// Rates, where they are asked for.
    pub(crate) rates: Option<Box<Rates>>,
    /// No record was written to the topic for longer than this limit.
    pub(crate) stale_ms: Option<i64>,
    /// How many partitions a sum is of.
    pub(crate) partitions: u32,
    /// Of how many of them a number is not known; nothing in a row that is no sum.
    pub(crate) unknown: Unknown,
}

impl Row {
    /// The group's name; empty where the row is not about one.
    pub(crate) fn group_name(&self) -> &str {
        self.group.as_ref().map_or("", |group| &group.name)
    }

    /// The topic's name; empty where the row is not about one.
    pub(crate) fn topic_name(&self) -> &str {
        self.topic.as_deref().unwrap_or("")
    }

    /// What is still to be read, blocked or not: what a limit is about.
    pub(crate) fn behind(&self) -> Option<i64> {
        Some(self.lag.lag? + self.lag.blocked.unwrap_or(0))
    }

    /// Whether any question about it was not answered.
    pub(crate) fn has_unanswered(&self) -> bool {
        self.is_unanswered() || self.is_time_unanswered()
    }

    /// Whether a question about its offsets was not answered.
    pub(crate) fn is_unanswered(&self) -> bool {
        let mut notes = self.lag.notes.iter();
        notes.any(|note| matches!(note, LagNote::Unanswered(_)))
    }

    /// Whether a question about the time of its records was not answered.
    pub(crate) fn is_time_unanswered(&self) -> bool {
        let mut notes = self.lag.notes.iter();
        notes.any(|note| matches!(note, LagNote::TimeUnanswered(_)))
    }

    fn notes(&self) -> Cell {
        let notes: Vec<String> = self.lag.notes.iter().map(ToString::to_string).collect();
        if notes.is_empty() {
            Cell::Text(String::new())
        } else {
            notes.join("; ").into()
        }
    }
}

/// What rows are summed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SumBy {
    /// A row for each group.
    Group,
    /// A row for each topic.
    Topic,
    /// A row for each member of each group.
    Member,
}

/// Which columns there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowLayout {
    /// The cluster's name, in front of everything.
    pub(crate) cluster: Option<String>,
    pub(crate) by: Option<SumBy>,
    pub(crate) wants_rate: bool,
    /// Whether the time lag was asked for, so that its absence means something.
    pub(crate) wants_time: bool,
}

const GROUP: Column = Column::label("group");
const TOPIC: Column = Column::label("topic");
const PARTITION: Column = Column::label("partition");
const STATE: Column = Column::remark("state");
const OWNER: [Column; 3] = [
    Column::label("member"),
    Column::label("client"),
    Column::label("host"),
];
const PARTITIONS: Column = Column::value("partitions", "Partitions in the sum.");
const PARTITIONS_UNKNOWN: Column = Column::value(
    "partitions_unknown",
    "Partitions of the sum of which the lag, or the time lag that was asked for, is not known.",
);
const PLACE: [Column; 3] = [
    Column::value("committed", "The committed offset."),
    Column::value("start", "The first offset that is kept."),
    Column::value("end", "The high watermark."),
];
const BEHIND: [Column; 4] = [
    Column::value("lag", "Messages not read yet.").with_bar(),
    Column::value("lost", "Messages deleted before they were read."),
    Column::value("blocked", "Messages held back by an open transaction."),
    Column::value("time_lag", "Age of the first message not read yet.").with_bar(),
];
const RATE: [Column; 4] = [
    Column::value("produced", "Messages a second written."),
    Column::value("consumed", "Messages a second read."),
    Column::value("catch_up", "Time until all is read."),
    Column::remark("status"),
];
const NOTE: Column = Column::remark("note");

impl RowLayout {
    /// The columns, in their order.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        columns.extend(self.cluster.is_some().then(|| Column::label("cluster")));
        match self.by {
            None => {
                columns.extend([GROUP, TOPIC, PARTITION, STATE]);
                columns.extend(OWNER);
                columns.extend(PLACE);
            }
            Some(SumBy::Group) => columns.extend([GROUP, STATE, PARTITIONS]),
            Some(SumBy::Topic) => columns.extend([TOPIC, PARTITIONS]),
            Some(SumBy::Member) => {
                columns.extend([GROUP, STATE]);
                columns.extend(OWNER);
                columns.push(PARTITIONS);
            }
        }
        columns.extend(BEHIND);
        columns.extend(self.wants_rate.then_some(RATE).into_iter().flatten());
        columns.extend(self.by.map(|_| PARTITIONS_UNKNOWN));
        columns.push(NOTE);
        columns
    }

    /// An empty report with these columns.
    pub(crate) fn report(&self) -> Report {
        Report::new("klag", &self.columns())
    }

    /// A row's cells, one for each column.
    pub(crate) fn cells(&self, row: &Row) -> Vec<Cell> {
        let mut cells = Vec::with_capacity(20);
        cells.extend(self.cluster.clone().map(Cell::Text));
        let group = || -> Cell { row.group.as_ref().map(|g| g.name.clone()).into() };
        let state = || -> Cell { row.group.as_ref().and_then(|g| g.state.clone()).into() };
        let topic = || -> Cell { row.topic.as_deref().map(Cell::from).into() };
        let owner = || -> [Cell; 3] {
            let owner = row.owner.as_deref();
            [
                owner.map(|owner| owner.member.clone()).into(),
                owner.map(|owner| owner.client.clone()).into(),
                owner.map(|owner| owner.host.clone()).into(),
            ]
        };
        let partitions = Cell::Integer(row.partitions.into());
        match self.by {
            None => {
                cells.extend([group(), topic(), row.partition.into(), state()]);
                cells.extend(owner());
                cells.extend([row.committed.into(), row.start.into(), row.end.into()]);
            }
            Some(SumBy::Group) => cells.extend([group(), state(), partitions]),
            Some(SumBy::Topic) => cells.extend([topic(), partitions]),
            Some(SumBy::Member) => {
                cells.extend([group(), state()]);
                cells.extend(owner());
                cells.push(partitions);
            }
        }
        let lag = &row.lag;
        cells.extend([lag.lag.into(), lag.lost.into(), lag.blocked.into()]);
        cells.push(duration(lag.time_lag_ms));
        if self.wants_rate {
            let rates = row.rates.as_deref().copied().unwrap_or_default();
            cells.extend([rate(rates.produced), rate(rates.consumed)]);
            cells.push(duration(rates.catch_up_ms));
            cells.push(rates.status.map(Status::name).into());
        }
        if self.by.is_some() {
            let unknown = row.unknown.partitions(self.wants_time);
            cells.push(Cell::Integer(unknown.into()));
        }
        cells.push(row.notes());
        cells
    }
}

fn rate(messages: Option<f64>) -> Cell {
    messages.map_or(Cell::Unknown, Cell::Rate)
}

fn duration(ms: Option<i64>) -> Cell {
    ms.map_or(Cell::Unknown, Cell::DurationMs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_has_a_cell_for_each_column() {
        let row = Row::default();
        for by in [
            None,
            Some(SumBy::Group),
            Some(SumBy::Topic),
            Some(SumBy::Member),
        ] {
            for wants in [false, true] {
                let view = RowLayout {
                    cluster: wants.then(|| "c".to_owned()),
                    by,
                    wants_rate: wants,
                    wants_time: wants,
                };
                assert_eq!(view.cells(&row).len(), view.columns().len(), "{by:?}");
                view.report().push(view.cells(&row));
            }
        }
    }

    #[test]
    fn what_is_blocked_is_behind_too() {
        let mut row = Row::default();
        assert_eq!(row.behind(), None);
        row.lag.lag = Some(3);
        row.lag.blocked = Some(4);
        assert_eq!(row.behind(), Some(7));
    }
}
