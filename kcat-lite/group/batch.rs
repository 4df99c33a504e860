//! A batch of records: what it holds, its command, what became of that.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tools::kafka::consume::Place;
use tools::kafka::group::Positions;

use super::spool::Spool;
use crate::config::Exec;
use crate::output::records;

/// A batch of more partitions than this might not fit into a command's environment.
const MAX_PARTITIONS: usize = 1000;
/// The first pause before a command is tried again; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The records of one partition in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: i64,
    last: i64,
    /// The assignment under which they were read; see [`Batch::positions`].
    assignment: u64,
}

/// Records for one run of the command.
pub(super) struct Batch {
    spool: Spool,
    spans: BTreeMap<Place, Span>,
    count: u64,
    begun: Instant,
}

impl Batch {
    pub(super) fn new() -> io::Result<Batch> {
        Ok(Batch {
            spool: Spool::new()?,
            spans: BTreeMap::new(),
            count: 0,
            begun: Instant::now(),
        })
    }

    /// Where to append the bytes of a record, before [`Batch::add`].
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.spool.buffer()
    }

    /// Notes the record whose bytes were appended.
    pub(super) fn add(&mut self, place: &Place, offset: i64, assignment: u64) -> io::Result<()> {
        self.spool.settle()?;
        self.count += 1;
        if let Some(span) = self.spans.get_mut(place) {
            span.last = offset;
            // After a partition was taken away and came back, only what was read since then may be committed.
            span.assignment = span.assignment.min(assignment);
        } else {
            let span = Span {
                first: offset,
                last: offset,
                assignment,
            };
            self.spans.insert(place.clone(), span);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether no more may be added.
    pub(super) fn is_full(&self, exec: &Exec) -> bool {
        self.count >= exec.batch_records
            || self.spool.total_bytes() >= exec.batch_bytes
            || self.spans.len() >= MAX_PARTITIONS
    }

    /// Whether it has waited long enough for more.
    pub(super) fn is_due(&self, exec: &Exec) -> bool {
        self.is_full(exec) || self.begun.elapsed() >= exec.batch_wait
    }

    /// What to commit when it is done: the partitions that are still assigned as they were when it was read.
    pub(super) fn positions(&self, assigned: &BTreeMap<Place, u64>) -> Positions {
        let mine = self
            .spans
            .iter()
            .filter(|(place, span)| assigned.get(*place) == Some(&span.assignment));
        mine.map(|(place, span)| (place.clone(), span.last + 1))
            .collect()
    }

    fn list(&self, offset: impl Fn(&Span) -> i64) -> String {
        let texts = self.spans.iter().map(|((topic, partition), span)| {
            let offset = offset(span);
            format!("{topic}:{partition}:{offset}")
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    /// `3 records (t:0:1 to t:0:3)`
    pub(super) fn describe(&self) -> String {
        let (first, last) = (self.list(|span| span.first), self.list(|span| span.last));
        format!("{} ({first} to {last})", records(self.count))
    }

    fn spawn(&mut self, command: &OsStr) -> io::Result<Child> {
        let mut topics: Vec<&str> = self.spans.keys().map(|(topic, _)| topic.as_str()).collect();
        topics.dedup();
        Command::new("sh")
            .arg("-c")
            .arg(command)
            .env("KAFKA_TOPIC", topics.join(" "))
            .env("KAFKA_FIRST", self.list(|span| span.first))
            .env("KAFKA_LAST", self.list(|span| span.last))
            .env("KAFKA_COUNT", self.count.to_string())
            .stdin(Stdio::from(self.spool.reader()?))
            .spawn()
    }
}

/// What a command is at.
enum State {
    Running(Child),
    Pausing(Instant),
}

/// How a batch ended.
pub(super) enum Ended {
    /// The command has taken it.
    Done,
    /// The command has not, and was tried as often as it may be.
    Failed(ExitStatus),
}

/// A batch in its command's hands.
pub(super) struct Running {
    pub(super) batch: Batch,
    state: State,
    tries: u32,
    since: Instant,
}

impl Running {
    pub(super) fn start(mut batch: Batch, exec: &Exec) -> io::Result<Running> {
        Ok(Running {
            state: State::Running(batch.spawn(&exec.command)?),
            batch,
            tries: 0,
            since: Instant::now(),
        })
    }

    /// How the batch ended, if it has. A command that failed is started again after a pause, if it may be.
    pub(super) fn check(
        &mut self,
        exec: &Exec,
        may_retry: bool,
        say_retry: impl FnOnce(ExitStatus, Duration),
    ) -> io::Result<Option<Ended>> {
        match &mut self.state {
            State::Running(child) => {
                let Some(status) = child.try_wait()? else {
                    return Ok(None);
                };
                if status.success() {
                    return Ok(Some(Ended::Done));
                }
                if self.tries >= exec.retries || !may_retry {
                    return Ok(Some(Ended::Failed(status)));
                }
                let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(16));
                let pause = pause.min(LONGEST_PAUSE);
                self.tries += 1;
                say_retry(status, pause);
                self.state = State::Pausing(Instant::now() + pause);
            }
            State::Pausing(until) if Instant::now() >= *until => {
                self.state = State::Running(self.batch.spawn(&exec.command)?);
            }
            State::Pausing(_) => {}
        }
        Ok(None)
    }

    /// Whether the command is not running just now.
    pub(super) fn is_between_tries(&self) -> bool {
        matches!(self.state, State::Pausing(_))
    }

    /// How long to wait before the command is looked at again: a long one less often.
    pub(super) fn tick_ms(&self) -> i32 {
        (self.since.elapsed().as_millis() / 20).clamp(1, 50) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::Batch;

    #[test]
    fn only_what_is_assigned_as_it_was_is_committed() {
        let place = |partition| ("t".to_owned(), partition);
        let mut batch = Batch::new().expect("a spool");
        for (partition, offset, assignment) in [(0, 5, 1), (0, 6, 1), (1, 9, 1), (2, 3, 1)] {
            batch
                .add(&place(partition), offset, assignment)
                .expect("added");
        }
        // 1 was taken away and came back, 2 is another's.
        let assigned = [(place(0), 1), (place(1), 2)].into();
        assert_eq!(batch.positions(&assigned), [(place(0), 7)].into());
        assert_eq!(
            batch.describe(),
            "4 records (t:0:5 t:1:9 t:2:3 to t:0:6 t:1:9 t:2:3)"
        );
    }
}
