//! What `-L` and `-Q` share: asking until somebody answers or a signal comes, and writing the answer once, checked.

use tools::cli::signals::Signals;
use tools::cli::stdout::{Out, OutError};
use tools::cli::{Exit, visible};
use tools::kafka::client::ContactError;

/// A question to the cluster that a signal can end.
pub(crate) struct Asker {
    signals: Signals,
}

impl Asker {
    pub(crate) fn new() -> anyhow::Result<Asker> {
        Ok(Asker {
            signals: Signals::catch()?,
        })
    }

    /// Asks; `Err` is how the program ends because a signal came first.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&dyn Fn() -> bool) -> Result<T, ContactError>,
    ) -> anyhow::Result<Result<T, Exit>> {
        match question(&|| self.signals.caught().is_some()) {
            Ok(answer) => Ok(Ok(answer)),
            Err(ContactError::Interrupted) => {
                let signal = self.signals.caught();
                Ok(Err(signal.map_or(Exit::Failed, Exit::Signal)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the whole answer to stdout; on a terminal a broker's words can't drive it.
    pub(crate) fn print(&self, answer: &str) -> Result<(), OutError> {
        let mut out = Out::stdout()?;
        let text = if out.is_terminal() {
            visible(answer)
        } else {
            answer.into()
        };
        out.buffer().extend_from_slice(text.as_bytes());
        out.flush(&self.signals)
    }
}

/// Adds a column to a line of TSV, escaped as in kafka-records(5); what is not known is `\N`.
pub(crate) fn push_field(line: &mut String, field: Option<&str>) {
    let Some(field) = field else {
        line.push_str("\\N");
        return;
    };
    for c in field.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\0' => line.push_str("\\0"),
            c => line.push(c),
        }
    }
}

/// A line of TSV of these columns, with its end.
pub(crate) fn push_line<'a>(text: &mut String, fields: impl IntoIterator<Item = Option<&'a str>>) {
    for (column, field) in fields.into_iter().enumerate() {
        if column > 0 {
            text.push('\t');
        }
        push_field(text, field);
    }
    text.push('\n');
}
