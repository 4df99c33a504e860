//! `--txn`: commits records and their source offsets in one transaction after the other.
//!
//! The offsets are committed under the group metadata of the session in which
//! their records were read. The metadata is never refreshed for them: the
//! coordinator would accept newer metadata also after the partition went to
//! another member, and the records would be duplicated.

use std::time::{Duration, Instant};

use anyhow::Context;
use tools::ack::{AckError, AckTracker, ReceivedLine, Session, Sink};
use tools::cli::message;
use tools::kafka::error::{KafkaError, code};
use tools::kafka::group::Positions;
use tools::kafka::produce::Totals;

use super::ack_sink::AckSink;
use crate::config::Transactions;

/// How often to keep the source alive while a commit waits for delivery.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);

/// The open transaction, if there is one, and the limits of its size.
pub(super) struct Transaction {
    batch_records: u64,
    batch_wait: Duration,
    open: Option<OpenTransaction>,
}

struct OpenTransaction {
    /// The session in which all of its records were read.
    session: Session,
    records: u64,
    begun: Instant,
}

impl Transaction {
    pub(super) fn new(transactions: &Transactions) -> Transaction {
        Transaction {
            batch_records: transactions.batch_records,
            batch_wait: transactions.batch_wait,
            open: None,
        }
    }

    /// Whether the open transaction must be committed before a line of this session.
    fn must_end_before(&self, session: &str, begins_position: bool) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.session.name != session || begins_position && self.is_full(open)
        })
    }

    fn is_full(&self, open: &OpenTransaction) -> bool {
        open.records >= self.batch_records || open.begun.elapsed() >= self.batch_wait
    }
}

impl AckSink {
    /// Adds a line to the open transaction, or begins another one.
    pub(super) fn add_line(&mut self, line: &ReceivedLine<'_>) -> anyhow::Result<()> {
        let (Some(transaction), Some(sink)) = (&mut self.transaction, &self.sink) else {
            return Ok(());
        };
        let session = sink.session(line.stream);
        let session = session.context("a line of a session that was not begun")?;
        if transaction.must_end_before(&session.name, !line.is_copy) {
            self.commit_transaction()?;
        } else if let Some(open) = &mut transaction.open {
            open.records += 1;
            return Ok(());
        }
        self.sender
            .producer
            .begin_next()
            .context("cannot begin a transaction")?;
        let session = self.sink().session(line.stream).cloned();
        if let Some(transaction) = &mut self.transaction {
            transaction.open = session.map(|session| OpenTransaction {
                session,
                records: 1,
                begun: Instant::now(),
            });
        }
        Ok(())
    }

    /// Commits a transaction that is full, old enough or requested, between complete lines.
    pub(super) fn commit_if_due(&mut self, is_complete: bool) -> anyhow::Result<()> {
        let is_requested = self.sink().is_flush_requested();
        let is_due = |transaction: &Transaction| {
            let open = transaction.open.as_ref();
            open.is_some_and(|open| is_requested || transaction.is_full(open))
        };
        if is_complete && self.transaction.as_ref().is_some_and(is_due) {
            self.commit_transaction()?;
        } else if self.tracker.open() > 0 {
            self.sink().keep_alive();
        }
        Ok(())
    }

    /// Commits the open transaction and acknowledges it. After an error nothing of it is committed.
    pub(super) fn commit_transaction(&mut self) -> anyhow::Result<()> {
        let open = self.transaction.as_mut().and_then(|it| it.open.take());
        let Some(open) = open else {
            return Ok(());
        };
        let committed = self.try_commit(&open);
        if let Err(error) = committed {
            // Abort at once, instead of in the next run.
            let error = match self.sender.producer.abort() {
                Ok(()) if is_refused_by_group(&error) => Aborted::GivenAway.into(),
                _ => error,
            };
            return Err(error.context("the transaction was not committed; its records come again"));
        }
        self.tracker.ack_all();
        let durable = self.tracker.durable(true);
        self.sink().acknowledge(durable);
        Ok(())
    }

    fn try_commit(&mut self, open: &OpenTransaction) -> anyhow::Result<()> {
        let AckSink {
            sender,
            sink,
            tracker,
            ..
        } = self;
        let sink = sink.as_mut().context("no source")?;
        let next = |(stream, offset)| {
            let key = sink.key(stream);
            ((key.topic.clone(), key.partition), offset + 1)
        };
        let positions: Positions = tracker.received().map(next).collect();
        let mut kept_alive_at = Instant::now();
        let mut waiting = |_: Totals| {
            if kept_alive_at.elapsed() >= KEEP_ALIVE_EVERY {
                kept_alive_at = Instant::now();
                sink.keep_alive();
            }
            true
        };
        sender.producer.finish(&mut waiting);
        sender.check_failures()?;
        let producer = &mut sender.producer;
        producer.add_positions(&positions, &open.session.metadata, &mut waiting)?;
        producer.commit(&mut waiting)?;
        Ok(())
    }

    /// Aborts the open transaction if streams of it were released before the commit: their new owner reads them again.
    pub(super) fn abort_released_transaction(&mut self, released: &[usize]) -> anyhow::Result<()> {
        let is_released = |(stream, _): (usize, i64)| released.contains(&stream);
        if self.transaction.is_none() || !self.tracker.received().any(is_released) {
            return Ok(());
        }
        let aborted = self.sender.producer.abort();
        aborted.context("cannot abort the transaction")?;
        Err(Aborted::GivenAway.into())
    }

    /// Asks the source to send the records of an aborted transaction again; returns `error` where nobody knows that it is
    /// aborted, and where the source has ended.
    ///
    /// Records that may have been committed are never sent again within a run: they might be duplicated.
    pub(super) fn start_over(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        let Some(transaction) = &mut self.transaction else {
            return Err(error);
        };
        if error.is::<AckError>() || self.sink.as_ref().is_none_or(Sink::has_ended) {
            return Err(error);
        }
        let aborted = match error.downcast_ref::<Aborted>() {
            Some(aborted) => *aborted,
            None if self.sender.producer.recover_timed_out()? => Aborted::TimedOut,
            None => return Err(error),
        };
        message(format_args!("{aborted}; its records are read again"));
        transaction.open = None;
        self.tracker = AckTracker::default();
        self.sender.sent_again = self.sender.producer.totals().failed;
        self.sink().abort();
        Ok(())
    }

    pub(super) fn abort_transaction(&mut self) {
        let open = self.transaction.as_mut().and_then(|it| it.open.take());
        if open.is_some()
            && let Err(error) = self.sender.producer.abort()
        {
            message(format_args!("cannot abort the transaction: {error}"));
        }
    }
}

/// Why a transaction was aborted, and nothing of it is committed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Aborted {
    #[error(
        "the cluster has aborted a transaction that was open for longer than transaction.timeout.ms"
    )]
    TimedOut,
    #[error(
        "a transaction was aborted, because the group has given partitions of its records away"
    )]
    GivenAway,
}

/// Whether the group no longer knows the member that has read the records.
fn is_refused_by_group(error: &anyhow::Error) -> bool {
    let error: Option<&KafkaError> = error.downcast_ref();
    error.is_some_and(|error| {
        matches!(
            error.code,
            code::ILLEGAL_GENERATION | code::UNKNOWN_MEMBER_ID | code::STALE_MEMBER_EPOCH
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{OpenTransaction, Transaction};
    use std::time::{Duration, Instant};
    use tools::ack::Session;

    #[test]
    fn a_transaction_ends_before_another_session_and_never_within_a_position() {
        let mut transaction = Transaction {
            batch_records: 2,
            batch_wait: Duration::from_secs(3600),
            open: None,
        };
        assert!(!transaction.must_end_before("a", true));
        transaction.open = Some(OpenTransaction {
            session: Session {
                name: "a".to_owned(),
                ..Session::default()
            },
            records: 1,
            begun: Instant::now(),
        });
        assert!(!transaction.must_end_before("a", true));
        assert!(transaction.must_end_before("b", true));
        if let Some(open) = &mut transaction.open {
            open.records = 2;
        }
        assert!(transaction.must_end_before("a", true));
        assert!(!transaction.must_end_before("a", false));
    }
}
