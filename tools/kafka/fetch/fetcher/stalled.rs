//! Partitions without a response: reported once, and again when they resume.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Fetcher;

/// How long a response may take, besides the time that a broker may delay it.
const STALL_TIMEOUT: Duration = Duration::from_secs(4);
/// The most partitions that a message names.
const MAX_NAMED: usize = 3;

impl Fetcher {
    /// Reports new stalls; `cause` is the last error of the connections.
    pub(crate) fn report_stalls(&mut self, now: Instant, cause: impl Fn() -> Option<String>) {
        let limit = self.settings.max_wait + STALL_TIMEOUT;
        let mut stalled: BTreeMap<Option<i32>, Vec<usize>> = BTreeMap::new();
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            // A throttled partition was reported, and one that is not fetched is not stalled.
            let is_awaited = partition.in_flight.is_some() || partition.leader.is_none();
            if partition.is_finished || partition.is_paused || !is_awaited {
                continue;
            }
            let since = *partition.stalled_since.get_or_insert(now);
            let is_long = now.saturating_duration_since(since) >= limit;
            if is_long && !std::mem::replace(&mut partition.is_stall_reported, true) {
                stalled.entry(partition.leader).or_default().push(index);
            }
        }
        for (leader, partitions) in stalled {
            let names = self.names(&partitions);
            let Some(leader) = leader else {
                log::warn!("{names}: no leader; waiting for one");
                continue;
            };
            let cause = cause().map_or(String::new(), |cause| format!(" ({cause})"));
            log::warn!(
                "{names}: broker {leader} does not answer{cause}; waiting for it or another leader"
            );
        }
    }

    /// A response for the partition has arrived.
    pub(super) fn resume(&mut self, index: usize) {
        let partition = &mut self.partitions[index];
        partition.stalled_since = None;
        if std::mem::take(&mut partition.is_stall_reported) {
            log::warn!("{}: is read again", self.names(&[index]));
        }
    }

    fn names(&self, partitions: &[usize]) -> String {
        let name = |&index: &usize| {
            let (topic, id) = self.topic_partition(index);
            format!("{topic} [{id}]")
        };
        let named: Vec<String> = partitions.iter().take(MAX_NAMED).map(name).collect();
        let more = match partitions.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}{more}", named.join(", "))
    }
}
