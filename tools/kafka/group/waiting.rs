//! What a member waits for that has no partitions yet.

use std::time::{Duration, Instant};

use super::Member;
use crate::kafka::admin::{GroupKind, QueryBudget, coordinators, describe_groups};
use crate::kafka::error::KafkaError;
use crate::kafka::wire::Wire;

/// A wait that is longer is said.
const LONG: Duration = Duration::from_secs(2);
/// How long it may take to find out what is waited for.
const ASK: Duration = Duration::from_secs(1);
/// The most members that are named.
const NAMED: usize = 3;

impl Member {
    /// Says once, after a while, what this member waits for before it has partitions.
    pub(super) fn report_long_wait(&mut self) {
        if self.is_assigned {
            self.waiting_since = None;
            return;
        }
        if self
            .waiting_since
            .is_none_or(|since| since.elapsed() < LONG)
        {
            return;
        }
        self.waiting_since = None;
        if let Some(waiting) = self.wait_reason() {
            log::warn!("waiting for the group: {waiting}");
        }
    }

    /// Who is waited for; `None` where the group is at rest and has nothing for this member.
    fn wait_reason(&self) -> Option<String> {
        let silent = |error: &KafkaError| Some(format!("its coordinator does not answer: {error}"));
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= ASK || (self.interrupted)();
        let mut wire = Wire::new(&self.handle.client);
        let mut budget = QueryBudget::new(ASK, &is_over);
        let group = self.membership.group.as_str();
        let found = coordinators(&mut wire, &[group.to_owned()], &mut budget);
        let coordinator = match found.into_iter().next()? {
            Ok(coordinator) => coordinator,
            Err(error) => return silent(&error),
        };
        let kind = match self.handle.client.property("group.protocol").as_deref() {
            Some("consumer") => GroupKind::Consumer,
            _ => GroupKind::Classic,
        };
        let groups = [(group, kind, coordinator)];
        let described = describe_groups(&mut wire, &groups, &mut budget);
        let described = match described.into_iter().next()? {
            Ok(described) => described,
            Err(error) if super::is_outage(error.code) => return silent(&error),
            // It may not be described to everybody, and the mock cluster describes nothing.
            Err(_) => return None,
        };
        let own = self.metadata().member;
        let others = described.members.iter().filter(|member| member.id != own);
        let others: Vec<String> = others
            .map(|member| format!("{} at {}", member.client, member.host))
            .collect();
        // The others have everything, or this member's own next heartbeat brings what it gets.
        let is_at_rest = kind == GroupKind::Consumer && described.state == "Stable";
        if others.is_empty() || is_at_rest {
            return None;
        }
        let seconds = |property: &str| {
            let value = self.handle.client.property(property);
            value.and_then(|ms| ms.parse::<u64>().ok()).unwrap_or(0) / 1000
        };
        Some(format!(
            "{}; one that is dead times out after {} s (session.timeout.ms), \
             one that is busy after {} s (max.poll.interval.ms)",
            describe_members(&others),
            seconds("session.timeout.ms"),
            seconds("max.poll.interval.ms")
        ))
    }
}

/// `2 other members (kcat-lite at host1, kcat-lite at host2)`
fn describe_members(others: &[String]) -> String {
    let plural = if others.len() == 1 { "" } else { "s" };
    let named = others.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let more = match others.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let count = others.len();
    format!("{count} other member{plural} ({}{more})", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::describe_members;

    #[test]
    fn members_are_named_a_few_of_them() {
        let describe = |count: usize| {
            let others = (1..=count).map(|n| format!("c{n} at h"));
            describe_members(&others.collect::<Vec<_>>())
        };
        assert_eq!(describe(1), "1 other member (c1 at h)");
        assert_eq!(describe(2), "2 other members (c1 at h, c2 at h)");
        assert_eq!(
            describe(5),
            "5 other members (c1 at h, c2 at h, c3 at h and 2 more)"
        );
    }
}
