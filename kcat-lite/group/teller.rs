//! What a member of a group tells its user about the group and the cluster.

use tools::cli::message;
use tools::kafka::error::{KafkaError, code};
use tools::kafka::group::Member;

use crate::output::say_all_down;

/// Says things on standard error, as loud as the user wants.
pub(super) struct Teller {
    verbosity: i32,
    /// Whether the user knows that no broker is there.
    is_cut_off: bool,
}

impl Teller {
    pub(super) fn new(verbosity: i32) -> Teller {
        Teller {
            verbosity,
            is_cut_off: false,
        }
    }

    pub(super) fn is_verbose(&self) -> bool {
        self.verbosity > 0
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.verbosity < 0
    }

    /// Whether no broker is there.
    pub(super) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Records come again: the next outage is news.
    pub(super) fn is_in_contact(&mut self) {
        self.is_cut_off = false;
    }

    pub(super) fn say_places(&self, what: &str, places: &[(String, i32)]) {
        if self.is_verbose() {
            let list: Vec<String> = places.iter().map(|(t, p)| format!("{t} [{p}]")).collect();
            message(format_args!("{what}: {}", list.join(", ")));
        }
    }

    /// After first contact the cluster may go and come back; that is said once.
    pub(super) fn say_trouble(&mut self, member: &Member, trouble: &KafkaError) {
        match trouble.code {
            code::ALL_BROKERS_DOWN if !self.is_cut_off => {
                self.is_cut_off = true;
                let cause = member.cause();
                say_all_down(cause.as_deref());
            }
            code::MAX_POLL_EXCEEDED => message(trouble),
            _ if self.is_verbose() => message(trouble),
            _ => {}
        }
    }
}
