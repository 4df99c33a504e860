//! What a member waits for that has no partitions yet.

use std::fmt;
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

/// Who is waited for, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The coordinator gives no answer.
    Coordinator(KafkaError),
    /// Other members have not answered to a rebalance yet.
    Members {
        /// `CLIENT at HOST`, of members other than this one.
        others: Vec<String>,
        /// After how many seconds one that is dead times out.
        session_s: u64,
        /// The same of one that is busy.
        max_poll_s: u64,
    },
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitReason::Coordinator(error) => write!(f, "its coordinator does not answer: {error}"),
            WaitReason::Members {
                others,
                session_s,
                max_poll_s,
            } => {
                let named = others.iter().take(NAMED).cloned().collect::<Vec<_>>();
                let more = others.len() - named.len();
                match others.len() {
                    1 => write!(f, "1 other member ({})", named[0])?,
                    count => write!(f, "{count} other members ({}", named.join(", "))?,
                }
                if more > 0 {
                    write!(f, " and {more} more")?;
                }
                if others.len() > 1 {
                    f.write_str(")")?;
                }
                write!(
                    f,
                    "; one that is dead times out after {session_s} s (session.timeout.ms), \
                     one that is busy after {max_poll_s} s (max.poll.interval.ms)"
                )
            }
        }
    }
}

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
    fn wait_reason(&self) -> Option<WaitReason> {
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= ASK || (self.interrupted)();
        let mut wire = Wire::new(&self.handle.client);
        let mut budget = QueryBudget::new(ASK, &is_over);
        let group = self.membership.group.as_str();
        let found = coordinators(&mut wire, &[group.to_owned()], &mut budget);
        let coordinator = match found.into_iter().next()? {
            Ok(coordinator) => coordinator,
            Err(error) => return Some(WaitReason::Coordinator(error)),
        };
        let kind = match self.handle.client.property("group.protocol").as_deref() {
            Some("consumer") => GroupKind::Consumer,
            _ => GroupKind::Classic,
        };
        let groups = [(group, kind, coordinator)];
        let described = describe_groups(&mut wire, &groups, &mut budget);
        let described = match described.into_iter().next()? {
            Ok(described) => described,
            Err(error) if super::is_outage(error.code) => {
                return Some(WaitReason::Coordinator(error));
            }
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
        Some(WaitReason::Members {
            others,
            session_s: seconds("session.timeout.ms"),
            max_poll_s: seconds("max.poll.interval.ms"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::WaitReason;

    #[test]
    fn members_are_named_a_few_of_them() {
        let waiting = |count: usize| {
            let others = (1..=count).map(|n| format!("c{n} at h"));
            let waiting = WaitReason::Members {
                others: others.collect(),
                session_s: 45,
                max_poll_s: 300,
            };
            let text = waiting.to_string();
            text.split(';').next().unwrap_or_default().to_owned()
        };
        assert_eq!(waiting(1), "1 other member (c1 at h)");
        assert_eq!(waiting(2), "2 other members (c1 at h, c2 at h)");
        assert_eq!(
            waiting(5),
            "5 other members (c1 at h, c2 at h, c3 at h and 2 more)"
        );
    }
}
