//! The end of a run: waits for delivery reports, prints the totals, sets the exit code.

use anyhow::Context;
use tools::cli::{Exit, message};
use tools::kafka::client::ContactError;
use tools::kafka::produce::Totals;
use tools::units::count;

use super::{InputEnd, Sender};

impl Sender {
    /// Waits for delivery reports and prints failures and totals; returns the exit code.
    pub(super) fn finish(mut self, input_end: anyhow::Result<InputEnd>) -> Exit {
        // Bad input may end the run before the first contact, whose time limit still applies.
        let input_end = match input_end {
            Err(error) if is_contact_error(&error) => Err(error),
            input_end => match (input_end, self.contact()) {
                (Err(error), Err(contact)) => {
                    message(format_args!("{error:#}"));
                    Err(contact)
                }
                (Ok(_), Err(contact)) => Err(contact),
                (input_end, Ok(())) => input_end,
            },
        };
        let input_end = self.deliver_or_abort(input_end);
        if let Some(tee) = &mut self.tee {
            self.has_failed |= !tee.flush(&self.signals);
        }
        let mut totals = self.producer.totals();
        if self.is_aborted {
            // The brokers have them, but no consumer will see them.
            totals.delivered = 0;
        }
        drop(self.progress);
        for failure in self.producer.failures() {
            message(format_args!(
                "{} {}, topic {}: {}",
                self.unit, failure.opaque, failure.topic, failure.error
            ));
        }
        match (&input_end, self.producer.unreported_fatal_error()) {
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
        let has_failed = input_end.is_err() || totals.failed > 0 || self.has_failed;
        print_totals(totals, has_failed, self.is_verbose);
        match input_end {
            Ok(InputEnd::Input) if !has_failed => Exit::Done,
            Ok(InputEnd::Signal(signal)) if !has_failed => Exit::Signal(signal),
            _ => Exit::Failed,
        }
    }

    /// Delivers, commits or aborts what was accepted.
    fn deliver_or_abort(
        &mut self,
        input_end: anyhow::Result<InputEnd>,
    ) -> anyhow::Result<InputEnd> {
        if input_end.as_ref().is_err_and(is_contact_error) {
            self.producer.purge();
            return input_end;
        }
        let progress = &mut self.progress;
        let bytes = self.bytes;
        let mut waiting = |totals: Totals| {
            progress.update(totals.delivered, bytes);
            true
        };
        if !self.producer.is_transactional() {
            self.producer.finish(&mut waiting);
            return input_end;
        }
        match input_end {
            Ok(InputEnd::Input) => {
                let committed = self.producer.commit(&mut waiting);
                if let Err(error) = committed {
                    self.is_aborted = true;
                    // Abort at once, instead of by the coordinator's timeout.
                    let _ = self.producer.abort();
                    return Err(error).context("the transaction was not committed");
                }
                input_end
            }
            Ok(InputEnd::Signal(_)) | Err(_) => {
                self.is_aborted = true;
                if let Err(error) = self.producer.abort() {
                    message(format_args!("cannot abort the transaction: {error}"));
                } else if self.is_in_contact {
                    message("the transaction was aborted: no record of it is visible");
                }
                self.has_failed = true;
                input_end
            }
        }
    }
}

fn is_contact_error(error: &anyhow::Error) -> bool {
    error.is::<ContactError>()
}

/// Prints the totals after a failure or with -v.
fn print_totals(totals: Totals, has_failed: bool, is_verbose: bool) {
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
