//! Problems, reported when they begin and when they are over: one line for each change. Pure.

use std::collections::BTreeMap;

/// A problem that exists now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about, however it is worded this time: `broker 3`.
    pub subject: String,
    pub text: String,
}

impl Problem {
    /// Something that is wrong, about what stands before the first colon.
    ///
    /// A broker that does not answer is one problem, whatever it was asked: it times out in one scrape, and refuses
    /// connections in the next.
    pub fn of(text: String) -> Problem {
        let end = text.find(": ").unwrap_or(text.len());
        let subject = text[..end].to_owned();
        Problem::about(&subject, text)
    }

    /// As [`Problem::of`], where the text does not begin with what it is about.
    pub fn about(subject: &str, text: String) -> Problem {
        let broker = unresponsive_broker(&text);
        let subject = broker.map_or_else(|| subject.to_owned(), |id| format!("broker {id}"));
        Problem { subject, text }
    }
}

/// The broker of which a text says that it does not answer.
fn unresponsive_broker(text: &str) -> Option<&str> {
    const SIGNS: [&str; 4] = [
        " did not answer",
        " is not reached",
        " broke before it answered",
        ", does not answer",
    ];
    text.match_indices("broker ").find_map(|(at, word)| {
        let rest = &text[at + word.len()..];
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (id, rest) = rest.split_at(end);
        let says = SIGNS.iter().any(|sign| rest.starts_with(sign));
        (says && !id.is_empty()).then_some(id)
    })
}

/// The problems of the last scrape.
#[derive(Debug, Default)]
pub struct StateLog {
    open: BTreeMap<String, String>,
}

impl StateLog {
    /// The lines for what has begun to be wrong, and for what is wrong no more.
    ///
    /// `brokers` are those that the cluster has now; none where nobody answered. What was not looked at has not
    /// recovered: after a while the cluster itself leaves out a broker that does not answer.
    pub fn changes(&mut self, now: Vec<Problem>, brokers: Option<&[i32]>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut open = BTreeMap::new();
        for problem in now {
            if open.contains_key(&problem.subject) {
                continue;
            }
            // The words of the beginning are kept: the same outage is worded differently from look to look.
            let text = self.open.remove(&problem.subject).unwrap_or_else(|| {
                lines.push(problem.text.clone());
                problem.text
            });
            open.insert(problem.subject, text);
        }
        let is_seen = |subject: &str| {
            let id = subject
                .strip_prefix("broker ")
                .and_then(|id| id.parse().ok());
            brokers.is_some_and(|brokers| id.is_none_or(|id: i32| brokers.contains(&id)))
        };
        let mut over = std::mem::replace(&mut self.open, open);
        over.retain(|subject, text| {
            let is_over = is_seen(subject);
            if !is_over {
                self.open.insert(subject.clone(), std::mem::take(text));
            }
            is_over
        });
        lines.extend(over.into_values().map(|text| format!("recovered: {text}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(log: &mut StateLog, now: &[(&str, &str)]) -> Vec<String> {
        let problem = |(subject, text): &(&str, &str)| Problem {
            subject: (*subject).to_owned(),
            text: (*text).to_owned(),
        };
        log.changes(now.iter().map(problem).collect(), Some(&[1, 2]))
    }

    #[test]
    fn a_broker_that_does_not_answer_is_one_trouble_however_it_shows() {
        for text in [
            "the groups of broker 2 can't be listed: broker 2 did not answer ListGroups in time",
            "t [0] and 3 more: broker 2 is not reached: h:1/2: Connect to ipv4#h:1 failed: refused",
            "t [0]: the connection to broker 2 broke before it answered ListOffsets",
            "group g: its coordinator, broker 2, does not answer",
        ] {
            assert_eq!(Problem::of(text.to_owned()).subject, "broker 2", "{text}");
        }
        let refused = "the log sizes of broker 2 are unknown: not authorised";
        let refused = Problem::of(refused.to_owned());
        assert_eq!(refused.subject, "the log sizes of broker 2 are unknown");
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
        // Nobody answers, and then all but the broker that the cluster has given up.
        let lost = Problem::of("cluster: no contact".to_owned());
        assert_eq!(log.changes(vec![lost], None), ["cluster: no contact"]);
        let found = log.changes(Vec::new(), Some(&[2]));
        assert_eq!(found, ["recovered: cluster: no contact"]);
        assert_eq!(changes(&mut log, &[]), ["recovered: broker 1: timed out"]);
    }
}
