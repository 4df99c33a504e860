//! Label mode: `partition TAB line` on stdout.

use anyhow::Result;
use tools::cli::signals::Signals;
use tools::cli::stdout::Out;
use tools::partition::Partitioner;

use crate::keys::Key;
use crate::lines::Sink;

pub(crate) struct Label<'a> {
    partitioner: Partitioner,
    digits: itoa::Buffer,
    out: Out,
    signals: &'a Signals,
}

impl<'a> Label<'a> {
    pub(crate) fn new(partitioner: Partitioner, signals: &'a Signals) -> Result<Label<'a>> {
        Ok(Label {
            partitioner,
            digits: itoa::Buffer::new(),
            out: Out::stdout()?,
            signals,
        })
    }
}

impl Sink for Label<'_> {
    #[inline]
    fn line(&mut self, key: Key<'_>, line: &[u8]) -> Result<()> {
        let partition = self.partitioner.partition(key)?;
        let buffer = self.out.buffer();
        // One check of the capacity for all three parts: a label has at most 20 characters and a tab.
        buffer.reserve(line.len() + 21);
        buffer.extend_from_slice(self.digits.format(partition.label()).as_bytes());
        buffer.push(b'\t');
        buffer.extend_from_slice(line);
        if self.out.is_full() || self.out.is_terminal() {
            self.out.flush_lines(self.signals)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush_lines(self.signals)?)
    }

    fn has_reader(&mut self) -> Result<bool> {
        Ok(self.out.has_reader())
    }

    fn finish(mut self, _is_complete: bool) -> Result<()> {
        self.flush()
    }
}
