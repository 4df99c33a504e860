//! What is wrong, reported when it begins and when it is over: one line for each change. Pure.

use std::collections::BTreeMap;

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is about, however it is worded this time: `broker 3`.
    pub subject: String,
    /// All there is to say.
    pub text: String,
}

/// What was wrong at the last look.
#[derive(Debug, Default)]
pub struct StateLog {
    open: BTreeMap<String, String>,
}

impl StateLog {
    /// The lines for what has begun to be wrong, and for what is wrong no more.
    pub fn changes(&mut self, now: Vec<Trouble>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut open = BTreeMap::new();
        for trouble in now {
            if open.contains_key(&trouble.subject) {
                continue;
            }
            // The words of the beginning are kept: the same outage is worded differently from look to look.
            let text = self.open.remove(&trouble.subject).unwrap_or_else(|| {
                lines.push(trouble.text.clone());
                trouble.text
            });
            open.insert(trouble.subject, text);
        }
        let over = std::mem::replace(&mut self.open, open);
        lines.extend(over.into_values().map(|text| format!("recovered: {text}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(log: &mut StateLog, now: &[(&str, &str)]) -> Vec<String> {
        let trouble = |(subject, text): &(&str, &str)| Trouble {
            subject: (*subject).to_owned(),
            text: (*text).to_owned(),
        };
        log.changes(now.iter().map(trouble).collect())
    }

    #[test]
    fn each_change_of_state_is_one_line() {
        let mut log = StateLog::default();
        assert!(changes(&mut log, &[]).is_empty());
        let refused = ("broker 1", "broker 1: refused");
        assert_eq!(changes(&mut log, &[refused]), ["broker 1: refused"]);
        assert!(changes(&mut log, &[refused]).is_empty());
        let late = ("broker 1", "broker 1: timed out");
        assert!(
            changes(&mut log, &[late]).is_empty(),
            "the same outage in other words"
        );
        let other = ("broker 2", "broker 2: refused");
        assert_eq!(changes(&mut log, &[late, other]), ["broker 2: refused"]);
        assert_eq!(
            changes(&mut log, &[other]),
            ["recovered: broker 1: refused"]
        );
        assert_eq!(changes(&mut log, &[]), ["recovered: broker 2: refused"]);
        assert_eq!(
            changes(&mut log, &[late]),
            ["broker 1: timed out"],
            "a new outage"
        );
    }
}
