//! The end of a pipe: the end mark, the last acknowledgements, the last commit, and then the group is left.

use std::time::{Duration, Instant};

use tools::ack::AckError;
use tools::cli::Exit;
use tools::kafka::types::TopicPartition;

use super::{Broken, Run, STALLED};

/// What a sink may still have to acknowledge after a death in the pipe is waited for so long.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// A pipe whose lines stay under way for so long, with nothing more to send, holds them in a buffer until its input ends.
const KEPT: Duration = Duration::from_secs(2);

impl Run<'_> {
    pub(super) fn work_and_leave(mut self) -> anyhow::Result<Exit> {
        let worked = self.work().and_then(|()| self.finish());
        if worked.is_err() {
            self.hear_last_words();
        }
        let committed = self.commit_now(None);
        if worked.is_ok() && committed.is_ok() {
            // All is committed: the sink may go.
            let _ = self.source.done();
        }
        let Run {
            member, progress, ..
        } = self;
        member.leave();
        drop(progress);
        worked?;
        committed?;
        Ok(Exit::Done)
    }

    /// Whether all that was there at the start is dealt with, or on its way to be.
    pub(super) fn is_through(&mut self) -> anyhow::Result<bool> {
        let has_more = self.lines.as_ref().is_some_and(|l| l.waiting_bytes() > 0);
        let may_read = self.lines.is_some() && !self.member.has_read_its_share();
        if !self.exit_at_end || has_more || may_read {
            return Ok(false);
        }
        let window = &self.window;
        let is_mine =
            |place: &_, end: i64| window.reached(place).is_some_and(|reached| reached >= end);
        if self.group_end.is_reached(&self.member, is_mine)? {
            return Ok(true);
        }
        // Others of the group are at work, and their partitions may still come here.
        if !self.window.is_drained(None) {
            self.source.hurry(true)?;
            if self.stirred_at.max(self.written_at).elapsed() > KEPT {
                self.close()?;
            }
        }
        Ok(false)
    }

    /// Says that no more lines come, and lets the next program of the pipe see the end of its input.
    fn close(&mut self) -> anyhow::Result<()> {
        let Some(lines) = self.lines.take() else {
            return Ok(());
        };
        // A reader that has died may have left a torn line, which the end mark would make a whole one.
        if !lines.has_reader() {
            return Err(Broken::NoReader.into());
        }
        self.source.end(self.number, self.window.passed(None))?;
        // The descriptor that this process was started with is the last one on the pipe.
        let null = std::fs::File::options().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        Ok(())
    }

    /// Partitions that come after the end mark are welcome if there is nothing of them to read.
    pub(super) fn refuse_what_is_late(&self, places: &[TopicPartition]) -> anyhow::Result<()> {
        let behind = self.member.behind()?;
        let is_late = |place| behind.as_ref().is_none_or(|b| b.contains_key(place));
        if self.exit_at_end && places.iter().any(is_late) {
            return Err(Broken::TooLate.into());
        }
        Ok(())
    }

    /// Closes the pipe and waits until everything sent is acknowledged.
    fn finish(&mut self) -> anyhow::Result<()> {
        self.is_ending = true;
        while self
            .lines
            .as_ref()
            .is_some_and(|lines| lines.waiting_bytes() > 0)
        {
            self.step()?;
        }
        let closed = self.close();
        if self.window.is_drained(None) {
            // Ctrl-C in a terminal ends all programs of the pipe, and nothing is lost by it.
            return Ok(());
        }
        closed?;
        let closed_at = Instant::now();
        while !self.window.is_drained(None) {
            if self.stirred_at.max(closed_at).elapsed() > STALLED {
                let lines = self.window.unacknowledged();
                return Err(Broken::Unended { lines }.into());
            }
            match self.step() {
                Err(error) if is_sink_gone(&error) => {
                    return Err(Broken::NotAcknowledged(self.window.unacknowledged()).into());
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// One round without new records.
    fn step(&mut self) -> anyhow::Result<()> {
        self.tend()?;
        self.wait_for_room();
        let polled = self.member.attend(0)?;
        self.heed(polled)
    }

    /// After a death in the pipe the sink may still live, and see the end of its input.
    fn hear_last_words(&mut self) {
        // Without the end mark: what it has not received whole by now it must not use.
        self.lines = None;
        if let Ok(null) = std::fs::File::options().write(true).open("/dev/null") {
            let _ = rustix::stdio::dup2_stdout(&null);
        }
        let until = Instant::now() + LAST_WORDS;
        while !self.window.is_drained(None) && Instant::now() < until {
            let Ok(heard) = self.source.hear() else {
                return;
            };
            for position in &heard.positions {
                let _ = self.window.acknowledge(position);
            }
            self.wait_for_room();
            if self.member.attend(0).is_err() {
                return;
            }
        }
    }
}

fn is_sink_gone(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(AckError::SinkGone))
}
