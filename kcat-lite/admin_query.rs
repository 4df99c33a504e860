//! What `-L`, `-Q` and `--commit` share: a request that a signal interrupts, and checked output.

use tools::cli::signals::Signals;
use tools::cli::stdout::{Out, OutError};
use tools::cli::{Exit, visible};
use tools::kafka::client::ContactError;
use tools::text::escape_tsv;

/// Asks the cluster once and prints the result.
pub(crate) struct AdminQuery {
    signals: Signals,
}

impl AdminQuery {
    pub(crate) fn new() -> anyhow::Result<AdminQuery> {
        Ok(AdminQuery {
            signals: Signals::catch()?,
        })
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Runs `request`; `Err` is the exit code if a signal came first.
    pub(crate) fn fetch<T>(
        &self,
        request: impl FnOnce(&dyn Fn() -> bool) -> Result<T, ContactError>,
    ) -> anyhow::Result<Result<T, Exit>> {
        match request(&|| self.signals.caught().is_some()) {
            Ok(answer) => Ok(Ok(answer)),
            Err(ContactError::Interrupted) => {
                let signal = self.signals.caught();
                Ok(Err(signal.map_or(Exit::Failed, Exit::Signal)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes `text` to stdout; on a terminal with control characters escaped.
    pub(crate) fn print(&self, text: &str) -> Result<(), OutError> {
        let mut out = Out::stdout()?;
        let text = if out.is_terminal() {
            visible(text)
        } else {
            text.into()
        };
        out.buffer().extend_from_slice(text.as_bytes());
        out.flush(&self.signals)
    }
}

/// How many reasons, or partitions, are named one by one.
pub(crate) const MAX_NAMED: usize = 5;

/// Appends a line of TSV, escaped as in kafka-records(5); `\N` for an unknown field.
pub(crate) fn push_line<'a>(text: &mut String, fields: impl IntoIterator<Item = Option<&'a str>>) {
    for (column, field) in fields.into_iter().enumerate() {
        if column > 0 {
            text.push('\t');
        }
        match field {
            None => text.push_str("\\N"),
            Some(field) => {
                let mut escaped = Vec::new();
                escape_tsv(field.as_bytes(), &mut escaped);
                text.push_str(&String::from_utf8_lossy(&escaped));
            }
        }
    }
    text.push('\n');
}
