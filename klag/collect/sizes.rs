//! What topics take on the disks of each broker.

use std::collections::BTreeMap;

use tools::kafka::cluster::{LogDirsQuery, Metadata, QueryBudget, log_dirs};
use tools::kafka::error::code;
use tools::kafka::wire::Wire;

use super::{Failure, QueryKind, Scope};

/// Bytes by topic and broker.
pub(crate) type Sizes = BTreeMap<(String, i32), u64>;

/// Asks all brokers for the sizes of the logs of the scope's topics.
///
/// It takes a permission that who only looks at groups need not have: what is
/// not told for want of it is no failure, it is only not told.
pub(super) fn ask(
    wire: &mut Wire<'_>,
    metadata: &Metadata,
    scope: &Scope,
    budget: &mut QueryBudget<'_>,
    failures: &mut Vec<Failure>,
) -> Sizes {
    let mut sizes = Sizes::new();
    let answering = metadata.brokers.iter().map(|broker| broker.id);
    let answering = answering.filter(|id| !budget.unresponsive().contains_key(id));
    let brokers: Vec<i32> = answering.collect();
    if metadata.is_mock() {
        return sizes;
    }
    let asked = brokers.iter().map(|&broker| LogDirsQuery {
        broker,
        topics: None,
    });
    let answers = log_dirs(wire, asked.collect(), budget);
    for (broker, answer) in brokers.into_iter().zip(answers) {
        let failed = |error| {
            let reason = format!("the log sizes of broker {broker} are not told: {error}");
            QueryKind::LogDirs.failed(reason)
        };
        let dirs = match answer {
            Ok(dirs) => dirs,
            Err(error) if error.code == code::CLUSTER_AUTHORIZATION_FAILED => continue,
            Err(error) => {
                failures.push(failed(error));
                continue;
            }
        };
        for dir in dirs {
            failures.extend(dir.error.map(failed));
            let replicas = dir.replicas.into_iter();
            let is_exported =
                |topic: &str| scope.topics.takes(topic) && metadata.topic(topic).is_some();
            for replica in replicas.filter(|replica| is_exported(&replica.topic)) {
                *sizes.entry((replica.topic, broker)).or_default() += replica.bytes;
            }
        }
    }
    sizes
}
