//! The end of a run: reports are waited for, what became of the records is told, and that is the exit code.

use anyhow::Context;
use tools::cli::{Exit, message};
use tools::kafka::client::ContactError;
use tools::kafka::produce::Totals;

use super::{End, Sender};

impl Sender {
    /// Waits for the reports, says what became of the records, and turns that into the exit code.
    pub(super) fn finish(mut self, fed: anyhow::Result<End>) -> Exit {
        // Bad input ends the feed perhaps before the first contact, whose time limit holds all the same.
        let fed = match (fed, self.contact()) {
            (Err(error), Err(contact)) if !is_without_contact(&error) => {
                message(format_args!("{error:#}"));
                Err(contact)
            }
            (Ok(_), Err(contact)) => Err(contact),
            (fed, _) => fed,
        };
        let fed = self.settle(fed);
        if let Some(tee) = &mut self.tee {
            self.has_failed |= !tee.flush(&self.signals);
        }
        let mut totals = self.producer.totals();
        if self.is_aborted {
            // The brokers had them, and nobody will see them.
            totals.delivered = 0;
        }
        drop(self.progress);
        for failure in self.producer.failures() {
            message(format_args!(
                "{} {}, topic {}: {}",
                self.unit, failure.opaque, failure.topic, failure.error
            ));
        }
        match (&fed, self.producer.unreported_fatal_error()) {
            (Err(error), _) => message(format_args!("{error:#}")),
            (Ok(_), Some(error)) => message(error),
            (Ok(_), None) => {}
        }
        if self.skipped > 0 && !self.is_quiet {
            message(format_args!(
                "{} skipped (--tsv and -J send them)",
                count(self.skipped, "empty line")
            ));
        }
        let has_failed = fed.is_err() || totals.failed > 0 || self.has_failed;
        tell_totals(totals, has_failed, self.is_verbose);
        match fed {
            Ok(End::Input) if !has_failed => Exit::Done,
            Ok(End::Signal(signal)) if !has_failed => Exit::Signal(signal),
            _ => Exit::Failed,
        }
    }

    /// Delivers, commits or aborts what was accepted.
    fn settle(&mut self, fed: anyhow::Result<End>) -> anyhow::Result<End> {
        if fed.as_ref().is_err_and(is_without_contact) {
            self.producer.purge();
            return fed;
        }
        let progress = &mut self.progress;
        let bytes = self.bytes;
        let mut waiting = |totals: Totals| {
            progress.update(totals.delivered, bytes);
            true
        };
        if !self.producer.is_transactional() {
            self.producer.finish(&mut waiting);
            return fed;
        }
        match fed {
            Ok(End::Input) => {
                let committed = self.producer.commit(&mut waiting);
                if let Err(error) = committed {
                    self.is_aborted = true;
                    // What can't be committed may still be taken back at once, instead of by the coordinator's time-out.
                    let _ = self.producer.abort();
                    return Err(error).context("the transaction was not committed");
                }
                fed
            }
            Ok(End::Signal(_)) | Err(_) => {
                self.is_aborted = true;
                if let Err(error) = self.producer.abort() {
                    message(format_args!("cannot abort the transaction: {error}"));
                } else if self.is_in_contact {
                    message("the transaction was aborted: no record of it is visible");
                }
                self.has_failed = true;
                fed
            }
        }
    }
}

fn is_without_contact(error: &anyhow::Error) -> bool {
    error.is::<ContactError>()
}

/// What became of the records; without a failure only where that was asked for.
fn tell_totals(totals: Totals, has_failed: bool, is_verbose: bool) {
    let open = totals.accepted - totals.delivered;
    let (accepted, delivered) = (totals.accepted, totals.delivered);
    if open > 0 {
        message(format_args!(
            "{} not delivered ({accepted} accepted, {delivered} delivered)",
            count(open, "record"),
        ));
    } else if has_failed || is_verbose {
        message(format_args!(
            "{} accepted, {delivered} delivered",
            count(accepted, "record")
        ));
    }
}

/// `1 record`, `2 records`.
pub(super) fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
