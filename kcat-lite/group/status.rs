//! Messages about the group and the cluster.

use tools::cli::message;
use tools::kafka::error::{KafkaError, code};
use tools::kafka::group::Member;

use crate::output::report_all_down;

/// Prints messages, depending on -q and -v.
pub(super) struct StatusReporter {
    verbosity: i32,
    /// Whether "all brokers are down" was reported.
    all_brokers_down: bool,
}

impl StatusReporter {
    pub(super) fn new(verbosity: i32) -> StatusReporter {
        StatusReporter {
            verbosity,
            all_brokers_down: false,
        }
    }

    pub(super) fn is_verbose(&self) -> bool {
        self.verbosity > 0
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.verbosity < 0
    }

    /// Whether "all brokers are down" was reported and no record has arrived since.
    pub(super) fn all_brokers_down(&self) -> bool {
        self.all_brokers_down
    }

    /// A record has arrived: report the next outage again.
    pub(super) fn is_in_contact(&mut self) {
        self.all_brokers_down = false;
    }

    pub(super) fn report_partitions(&self, what: &str, topic_partitions: &[(String, i32)]) {
        if self.is_verbose() {
            let list: Vec<String> = topic_partitions
                .iter()
                .map(|(t, p)| format!("{t} [{p}]"))
                .collect();
            message(format_args!("{what}: {}", list.join(", ")));
        }
    }

    /// Reports an error of the group or the cluster; an outage once.
    pub(super) fn report_error(&mut self, member: &Member, error: &KafkaError) {
        match error.code {
            code::ALL_BROKERS_DOWN if !self.all_brokers_down => {
                self.all_brokers_down = true;
                let cause = member.cause();
                report_all_down(cause.as_deref());
            }
            code::MAX_POLL_EXCEEDED => message(error),
            _ if self.is_verbose() => message(error),
            _ => {}
        }
    }
}
