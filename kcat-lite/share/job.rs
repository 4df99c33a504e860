//! One command of `--share --exec`: its records, and what its exit code means for them.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use tools::kafka::share::RecordPosition;
use tools::record::{Header, Record};

use crate::config::Jobs;
use crate::group::child_guard::{ChildGuard, GuardedChild, shell};
use crate::group::spool::Spool;

/// sysexits.h: the input data was incorrect.
const EX_DATAERR: i32 = 65;
/// The shell's codes for a command that can't be run, and for one that is not found.
const CANNOT_RUN: [i32; 2] = [126, 127];

/// What a command's end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobEnd {
    Accepted,
    /// The command can't process the record, ever.
    Rejected,
    /// It may be able to at another time.
    Failed,
    /// There is no such command.
    NoCommand,
}

impl JobEnd {
    pub(super) fn of(status: ExitStatus) -> JobEnd {
        match status.code() {
            Some(0) => JobEnd::Accepted,
            Some(EX_DATAERR) => JobEnd::Rejected,
            Some(code) if CANNOT_RUN.contains(&code) => JobEnd::NoCommand,
            _ => JobEnd::Failed,
        }
    }
}

/// A record that a command has; a copy, for `--reject-to`.
#[derive(Clone, Debug)]
pub(super) struct JobRecord {
    pub(super) position: RecordPosition,
    pub(super) delivery_count: i16,
    /// When its lock began.
    pub(super) locked_at: Instant,
    timestamp_ms: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl JobRecord {
    pub(super) fn new(position: &RecordPosition, record: &Record<'_>, count: i16) -> JobRecord {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let headers = record.headers.iter();
        JobRecord {
            position: position.clone(),
            delivery_count: count,
            locked_at: Instant::now(),
            timestamp_ms: record.timestamp_ms,
            key: owned(record.key),
            value: owned(record.value),
            headers: headers
                .map(|header| (header.name.to_vec(), owned(header.value)))
                .collect(),
        }
    }

    /// The record with these headers after its own.
    pub(super) fn with_headers<T>(
        &self,
        added: &[(&str, String)],
        take: impl FnOnce(&Record<'_>) -> T,
    ) -> T {
        let own = self.headers.iter();
        let own = own.map(|(name, value)| Header::new(name, value.as_deref()));
        let added = added
            .iter()
            .map(|(name, value)| Header::new(name.as_bytes(), Some(value.as_bytes())));
        let headers: Vec<Header<'_>> = own.chain(added).collect();
        take(&Record {
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            ..Record::default()
        })
    }
}

/// `t [0] offset 5`, or how many records there are from which on.
pub(super) fn describe(records: &[JobRecord]) -> String {
    let Some(first) = records.first() else {
        return String::new();
    };
    match records.len() {
        1 => first.position.to_string(),
        count => format!("{count} records from {} on", first.position),
    }
}

/// Records and the command that has them on its standard input.
pub(super) struct Job {
    pub(super) records: Vec<JobRecord>,
    input: Spool,
}

impl Job {
    pub(super) fn new() -> Job {
        Job {
            records: Vec::new(),
            input: Spool::default(),
        }
    }

    /// Where to append a record's bytes.
    pub(super) fn input(&mut self) -> &mut Vec<u8> {
        self.input.buffer()
    }

    /// The highest delivery count of its records.
    pub(super) fn delivery_count(&self) -> i16 {
        let counts = self.records.iter().map(|record| record.delivery_count);
        counts.max().unwrap_or(0)
    }

    /// Starts the command. `lock` is the time for which its records are locked, if that can't be renewed.
    pub(super) fn spawn(
        &mut self,
        jobs: &Jobs,
        lock: Option<Duration>,
        guard: &mut ChildGuard,
    ) -> anyhow::Result<GuardedChild> {
        let input = self.input.reader().context("cannot keep a record")?;
        let mut shell = shell(&jobs.command);
        shell
            .stdin(Stdio::from(input))
            .env("KAFKA_COUNT", self.records.len().to_string())
            .env("KAFKA_DELIVERY_COUNT", self.delivery_count().to_string());
        let position = self.records.first().map(|record| &record.position);
        let position = position.filter(|_| self.records.len() == 1);
        let variables = [
            ("KAFKA_TOPIC", position.map(|p| p.topic.to_string())),
            (
                "KAFKA_PARTITION",
                position.map(|p| p.partition().to_string()),
            ),
            ("KAFKA_OFFSET", position.map(|p| p.offset.to_string())),
            (
                "KAFKA_LOCKED_UNTIL",
                lock.map(|lock| self.locked_until(lock)),
            ),
        ];
        for (name, value) in variables {
            // A variable of that name may be this program's own.
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        guard.spawn(&mut shell).context("--exec: sh")
    }

    /// Milliseconds since 1970.
    fn locked_until(&self, lock: Duration) -> String {
        let ages = self.records.iter().map(|record| record.locked_at.elapsed());
        let left = lock.saturating_sub(ages.max().unwrap_or_default());
        let until = SystemTime::now() + left;
        let since = until.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default().as_millis().to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::JobEnd;

    #[test]
    fn the_exit_code_decides_and_a_signal_is_a_failure() {
        let end = |raw| JobEnd::of(ExitStatus::from_raw(raw));
        assert_eq!(end(0), JobEnd::Accepted);
        assert_eq!(end(65 << 8), JobEnd::Rejected);
        assert_eq!(end(127 << 8), JobEnd::NoCommand);
        assert_eq!(end(126 << 8), JobEnd::NoCommand);
        for raw in [1 << 8, 75 << 8, 137 << 8, 9, 15] {
            assert_eq!(end(raw), JobEnd::Failed, "{raw}");
        }
    }
}
