//! Partitions of which nothing comes: reported once, and again when they are read on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Machine;

/// How long a partition may be silent, besides the time that a broker may hold an answer back.
const SILENCE: Duration = Duration::from_secs(4);
/// How many partitions a message names.
const NAMED: usize = 3;

impl Machine {
    /// Reports what has been silent for too long; `cause` says what is known of the connections.
    pub(in crate::kafka::fetch) fn report_silence(
        &mut self,
        now: Instant,
        cause: impl Fn() -> Option<String>,
    ) {
        let limit = self.settings.max_wait + SILENCE;
        let mut silent: BTreeMap<Option<i32>, Vec<usize>> = BTreeMap::new();
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            // What is held back for a throttle was told, and what is not asked for is not silent.
            let is_waited_for = partition.asked.is_some() || partition.leader.is_none();
            if partition.is_over || !is_waited_for {
                continue;
            }
            let since = *partition.silent_since.get_or_insert(now);
            let is_long = now.saturating_duration_since(since) >= limit;
            if is_long && !std::mem::replace(&mut partition.is_silence_said, true) {
                silent.entry(partition.leader).or_default().push(index);
            }
        }
        for (leader, partitions) in silent {
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

    /// A partition has sent something.
    pub(super) fn heard(&mut self, index: usize) {
        let partition = &mut self.partitions[index];
        partition.silent_since = None;
        if std::mem::take(&mut partition.is_silence_said) {
            log::warn!("{}: is read again", self.names(&[index]));
        }
    }

    fn names(&self, partitions: &[usize]) -> String {
        let name = |&index: &usize| {
            let (topic, id) = self.place(index);
            format!("{topic} [{id}]")
        };
        let named: Vec<String> = partitions.iter().take(NAMED).map(name).collect();
        let more = match partitions.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}{more}", named.join(", "))
    }
}
