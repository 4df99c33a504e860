//! What topics take on the disks of each broker.

use std::collections::BTreeMap;

use tools::kafka::admin::{LogDirsQuery, log_dirs};
use tools::kafka::error::code;

use super::{ClusterQuery, QueryKind};

/// Bytes by topic and broker.
pub(crate) type Sizes = BTreeMap<(String, i32), u64>;

impl ClusterQuery<'_> {
    /// Asks all brokers for the sizes of the logs of the scope's topics.
    ///
    /// It takes a permission that who only looks at groups need not have: what is
    /// refused for want of it is no failure.
    pub(super) fn ask_sizes(&mut self) -> Sizes {
        let mut sizes = Sizes::new();
        if self.metadata.is_mock() {
            return sizes;
        }
        let mut brokers = self.metadata.broker_ids();
        brokers.retain(|id| !self.budget.unresponsive().contains_key(id));
        let query = |&broker: &i32| LogDirsQuery {
            broker,
            topics: None,
        };
        let asked = brokers.iter().map(query).collect();
        let answers = log_dirs(&mut self.wire, asked, &mut self.budget);
        for (broker, answer) in brokers.into_iter().zip(answers) {
            let mut errors = Vec::new();
            let dirs = answer.unwrap_or_else(|error| {
                let is_refused = error.code == code::CLUSTER_AUTHORIZATION_FAILED;
                errors.extend((!is_refused).then_some(error));
                Vec::new()
            });
            for dir in dirs {
                errors.extend(dir.error);
                for replica in dir.replicas {
                    let topic = &replica.topic;
                    if self.scope.topics.takes(topic) && self.metadata.topic(topic).is_some() {
                        *sizes.entry((replica.topic, broker)).or_default() += replica.bytes;
                    }
                }
            }
            for error in errors {
                let reason = format!("the log sizes of broker {broker} are unknown: {error}");
                self.fail(QueryKind::LogDirs, reason);
            }
        }
        sizes
    }
}
