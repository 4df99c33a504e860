//! What topics take on the disks of each broker.

use std::collections::BTreeMap;

use tools::kafka::admin::{LogDirsQuery, log_dirs};
use tools::kafka::error::code;

use super::{ClusterQuery, QueryKind};

/// Bytes by topic and broker.
pub(crate) type Sizes = BTreeMap<(String, i32), u64>;

impl ClusterQuery<'_> {
    /// Asks all brokers for the logs of the scope's topics: for metrics, and because logs tell of topics that no list has.
    ///
    /// It takes a permission that who only looks at groups need not have: what is
    /// refused for want of it is no failure, and there is nothing. It comes last,
    /// because a hung disk makes a broker silent here.
    pub(super) fn ask_sizes(&mut self) -> Option<Sizes> {
        let mut sizes = Sizes::new();
        let is_wanted = self.scope.wants_all_logs || self.scope.topics.plain_names().is_none();
        if self.metadata.is_mock() || !is_wanted {
            return Some(sizes);
        }
        let mut is_refused = false;
        let brokers = self.metadata.broker_ids();
        let query = |&broker: &i32| LogDirsQuery {
            broker,
            topics: None,
        };
        let asked = brokers.iter().map(query).collect();
        let answers = log_dirs(&mut self.wire, asked, &mut self.budget);
        for (broker, answer) in brokers.into_iter().zip(answers) {
            let mut errors = Vec::new();
            let dirs = answer.unwrap_or_else(|error| {
                if error.code == code::CLUSTER_AUTHORIZATION_FAILED {
                    is_refused = true;
                } else {
                    errors.push(error);
                }
                Vec::new()
            });
            for dir in dirs {
                errors.extend(dir.error);
                for replica in dir.replicas {
                    let topic = &replica.topic;
                    if self.scope.topics.takes(topic) {
                        *sizes.entry((replica.topic, broker)).or_default() += replica.bytes;
                    }
                }
            }
            // A report has no sizes that could lack.
            errors.retain(|_| self.scope.wants_all_logs);
            for error in errors {
                let reason = format!("the log sizes of broker {broker} are unknown: {error}");
                self.fail(QueryKind::LogDirs, reason);
            }
        }
        (!is_refused).then_some(sizes)
    }
}
