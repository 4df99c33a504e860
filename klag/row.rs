//! A row of the report: a group's partition, or a sum of such rows.

use std::sync::Arc;

use tools::report::{Cell, Column, Report};

use crate::lag::{Lag, LagNote};
use crate::rates::{Rates, Status};

/// What all rows of a group share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Its state in the broker's words: Stable, Empty, ...
    pub(crate) state: Option<String>,
    /// Its type in the broker's words: classic, consumer, share, streams.
    pub(crate) kind: Option<String>,
    /// How many members it has, where that is known.
    pub(crate) members: Option<usize>,
    /// The broker that coordinates it.
    pub(crate) coordinator: Option<i32>,
}

/// The member that owns a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AssignedMember {
    pub(crate) member: String,
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
    pub(crate) produced: u32,
    pub(crate) consumed: u32,
}

impl Unknown {
    /// Of how many partitions something that was asked for is not known.
    pub(crate) fn partitions(self, wants_time: bool) -> u32 {
        self.lag.max(if wants_time { self.time } else { 0 })
    }
}

/// Whether no record was written to a topic for longer than `--max-stale` allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Silence {
    /// It is not silent, or that was not asked.
    #[default]
    None,
    /// All records were deleted, and with them when the last one was written.
    Unknown,
    LongerThan {
        limit_ms: i64,
    },
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
    /// For how long no record was written to the topic, where that is limited.
    pub(crate) silence: Silence,
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

impl RowLayout {
    /// The columns, in their order.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let pairs = self.pairs(&Row::default()).into_iter();
        pairs.map(|(column, _)| column).collect()
    }

    /// A report of these rows.
    pub(crate) fn report(&self, rows: &[Row]) -> Report {
        let mut report = Report::new("klag", &self.columns());
        for row in rows {
            let pairs = self.pairs(row).into_iter();
            report.push(pairs.map(|(_, cell)| cell).collect());
        }
        report
    }

    /// Every column with the row's cell.
    fn pairs(&self, row: &Row) -> Vec<(Column, Cell)> {
        let mut pairs = Vec::with_capacity(20);
        let mut label = |name, cell: Cell| pairs.push((Column::label(name), cell));
        let (group, owner) = (row.group.as_deref(), row.owner.as_deref());
        if let Some(cluster) = &self.cluster {
            label("cluster", cluster.as_str().into());
        }
        if self.by != Some(SumBy::Topic) {
            label("group", group.map(|group| group.name.clone()).into());
        }
        if matches!(self.by, None | Some(SumBy::Topic)) {
            label("topic", row.topic.as_deref().into());
        }
        if self.by.is_none() {
            label("partition", row.partition.into());
        }
        if self.by != Some(SumBy::Topic) {
            let state = group.and_then(|group| group.state.clone());
            pairs.push((Column::remark("state"), state.into()));
        }
        if matches!(self.by, None | Some(SumBy::Member)) {
            let mut label = |name, cell: Cell| pairs.push((Column::label(name), cell));
            label("member", owner.map(|owner| owner.member.clone()).into());
            label("client", owner.map(|owner| owner.client.clone()).into());
            label("host", owner.map(|owner| owner.host.clone()).into());
        }
        let mut value = |name, help, cell| pairs.push((Column::value(name, help), cell));
        if self.by.is_some() {
            let count = Cell::Integer(row.partitions.into());
            value("partitions", "Partitions in the sum.", count);
        } else {
            value("committed", "The committed offset.", row.committed.into());
            value("start", "The first offset that is kept.", row.start.into());
            value("end", "The high watermark.", row.end.into());
        }
        self.add_lag(row, &mut pairs);
        pairs
    }

    /// Adds how far behind it is, and what there is to say about that.
    fn add_lag(&self, row: &Row, pairs: &mut Vec<(Column, Cell)>) {
        let lag = Column::value("lag", "Messages not read yet.").with_bar();
        let time_lag =
            Column::value("time_lag", "Age of the first message not read yet.").with_bar();
        pairs.push((lag, row.lag.lag.into()));
        let mut value = |name, help, cell| pairs.push((Column::value(name, help), cell));
        value(
            "lost",
            "Messages deleted before they were read.",
            row.lag.lost.into(),
        );
        value(
            "blocked",
            "Messages held back by an open transaction.",
            row.lag.blocked.into(),
        );
        pairs.push((time_lag, duration(row.lag.time_lag_ms)));
        if self.wants_rate {
            let rates = row.rates.as_deref().copied().unwrap_or_default();
            let mut value = |name, help, cell| pairs.push((Column::value(name, help), cell));
            value(
                "produced",
                "Messages a second written.",
                rate(rates.produced),
            );
            value("consumed", "Messages a second read.", rate(rates.consumed));
            value(
                "catch_up",
                "Time until all is read.",
                duration(rates.catch_up_ms),
            );
            pairs.push((
                Column::remark("status"),
                rates.status.map(Status::name).into(),
            ));
        }
        if self.by.is_some() {
            let column = Column::value(
                "partitions_unknown",
                "Partitions of the sum of which the lag, or the time lag that was asked for, is not known.",
            );
            let unknown = row.unknown.partitions(self.wants_time);
            pairs.push((column, Cell::Integer(unknown.into())));
        }
        let notes: Vec<String> = row.lag.notes.iter().map(ToString::to_string).collect();
        pairs.push((Column::remark("note"), notes.join("; ").into()));
    }
}

fn rate(messages: Option<f64>) -> Cell {
    messages.map_or(Cell::Unknown, Cell::Rate)
}

fn duration(ms: Option<i64>) -> Cell {
    ms.map_or(Cell::Unknown, Cell::DurationMs)
}
