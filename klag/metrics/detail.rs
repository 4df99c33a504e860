//! What distinguishes samples: their labels, and sums over what has the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::row::{Row, SumBy};

/// How finely metrics are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Granularity {
    /// By group.
    Group,
    /// By group and topic.
    Topic,
    /// By group, topic and partition.
    Partition,
}

/// Labels of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(super) group: bool,
    pub(super) topic: bool,
    pub(super) partition: bool,
    pub(super) member: bool,
}

/// The labels of the lag and the time lag, and those of all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(super) lag: Labels,
    pub(super) rest: Labels,
}

impl Detail {
    /// What `--granularity` and `--by` ask for.
    pub(crate) fn new(granularity: Option<Granularity>, by: Option<SumBy>) -> Detail {
        let of = |granularity: Granularity| Labels {
            group: by != Some(SumBy::Topic),
            topic: by == Some(SumBy::Topic) || granularity != Granularity::Group,
            partition: granularity == Granularity::Partition,
            member: by == Some(SumBy::Member),
        };
        match (granularity, by) {
            (Some(granularity), _) => Detail::both(of(granularity)),
            (None, Some(_)) => Detail::both(of(Granularity::Group)),
            (None, None) => Detail {
                lag: of(Granularity::Partition),
                rest: of(Granularity::Topic),
            },
        }
    }

    fn both(labels: Labels) -> Detail {
        Detail {
            lag: labels,
            rest: labels,
        }
    }
}

/// What a sample is about; `None` is a label that it does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a> {
    pub(super) group: Option<&'a str>,
    pub(super) topic: Option<&'a str>,
    pub(super) partition: Option<i32>,
    /// Host, member id, client id.
    pub(super) member: Option<[&'a str; 3]>,
}

impl<'a> Key<'a> {
    pub(super) fn of(row: &'a Row, labels: Labels) -> Key<'a> {
        let owner = row.owner.as_deref();
        let member = owner.map_or(["", "", ""], |o| [&*o.host, &*o.member, &*o.client]);
        Key {
            group: labels.group.then(|| row.group_name()),
            topic: labels.topic.then(|| row.topic_name()),
            partition: row.partition.filter(|_| labels.partition),
            member: labels.member.then_some(member),
        }
    }

    /// Its labels, the first one called `group`, in front of `more`.
    pub(super) fn with<R>(
        &self,
        group: &str,
        more: &[(&str, &str)],
        use_labels: impl FnOnce(&[(&str, &str)]) -> R,
    ) -> R {
        let partition = self.partition.map(|id| id.to_string());
        let mut labels = Vec::with_capacity(7);
        labels.extend(self.group.map(|name| (group, name)));
        labels.extend(self.topic.map(|name| ("topic", name)));
        labels.extend(partition.as_deref().map(|id| ("partition", id)));
        if let Some([host, member, client]) = self.member {
            labels.extend([
                ("member_host", host),
                ("consumer_id", member),
                ("client_id", client),
            ]);
        }
        labels.extend_from_slice(more);
        use_labels(&labels)
    }
}

/// How numbers of several rows become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Max,
}

/// The committed offsets of `rows`; a sum that lacks a part for a while, and looks like a reset, is left out.
pub(super) fn offsets(rows: &[Row], labels: Labels) -> Vec<(Key<'_>, i64)> {
    let mut offsets = folded(rows, labels, Fold::Sum, |row| row.committed);
    let is_unanswered = |row: &&Row| row.committed.is_none() && row.is_unanswered();
    let unanswered = rows.iter().filter(is_unanswered);
    let incomplete: BTreeSet<Key<'_>> = unanswered.map(|row| Key::of(row, labels)).collect();
    offsets.retain(|(key, _)| !incomplete.contains(key));
    offsets
}

/// The numbers that are known of `rows`, by what tells them apart, in its order.
pub(super) fn folded<'a>(
    rows: &'a [Row],
    labels: Labels,
    fold: Fold,
    number: impl Fn(&Row) -> Option<i64>,
) -> Vec<(Key<'a>, i64)> {
    let known = rows.iter().filter_map(|row| {
        let number = number(row)?;
        Some((Key::of(row, labels), number))
    });
    if labels.group && labels.topic && labels.partition {
        // Each row has its own.
        return known.collect();
    }
    let mut sums: BTreeMap<Key<'a>, i64> = BTreeMap::new();
    for (key, number) in known {
        let merge = |old: i64| match fold {
            Fold::Sum => old.saturating_add(number),
            Fold::Max => old.max(number),
        };
        sums.entry(key)
            .and_modify(|old| *old = merge(*old))
            .or_insert(number);
    }
    sums.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: Labels) -> String {
        let Labels {
            group,
            topic,
            partition,
            member,
        } = labels;
        let all = [(group, 'g'), (topic, 't'), (partition, 'p'), (member, 'm')];
        all.iter()
            .filter(|(has, _)| *has)
            .map(|(_, name)| name)
            .collect()
    }

    #[test]
    fn lag_is_told_by_partition_and_all_else_by_topic_unless_something_is_asked_for() {
        use Granularity::{Group, Partition, Topic};
        for (granularity, by, lag, rest) in [
            (None, None, "gtp", "gt"),
            (Some(Group), None, "g", "g"),
            (Some(Topic), None, "gt", "gt"),
            (Some(Partition), None, "gtp", "gtp"),
            (None, Some(SumBy::Group), "g", "g"),
            (None, Some(SumBy::Topic), "t", "t"),
            (None, Some(SumBy::Member), "gm", "gm"),
            (Some(Partition), Some(SumBy::Member), "gtpm", "gtpm"),
            (Some(Partition), Some(SumBy::Topic), "tp", "tp"),
            (Some(Topic), Some(SumBy::Member), "gtm", "gtm"),
        ] {
            let detail = Detail::new(granularity, by);
            assert_eq!(
                (&*names(detail.lag), &*names(detail.rest)),
                (lag, rest),
                "{granularity:?} {by:?}"
            );
        }
    }
}
