//! `-T`: copies the input to standard output.

use tools::cli::message;
use tools::cli::signals::Signals;
use tools::cli::stdout::{Out, OutError};

/// A copy of the input on standard output. If it closes or its disk is full, records are still sent.
pub(super) struct Tee {
    out: Option<Out>,
}

impl Tee {
    pub(super) fn open() -> Result<Tee, OutError> {
        Ok(Tee {
            out: Some(Out::stdout()?),
        })
    }

    /// Appends `bytes`; returns false after an error, which it reports.
    pub(super) fn copy(&mut self, bytes: &[u8], signals: &Signals) -> bool {
        let Some(out) = &mut self.out else {
            return true;
        };
        out.buffer().extend_from_slice(bytes);
        !out.is_full() || self.flush(signals)
    }

    pub(super) fn flush(&mut self, signals: &Signals) -> bool {
        let Some(out) = &mut self.out else {
            return true;
        };
        match out.flush_lines(signals) {
            Ok(()) => true,
            Err(error) => {
                self.out = None;
                let is_closed = matches!(error, OutError::Closed);
                if !is_closed {
                    message(format_args!(
                        "{:#}; records are still sent",
                        anyhow::Error::new(error)
                    ));
                }
                is_closed
            }
        }
    }
}
