//! All input, poured into one sink.

use std::path::PathBuf;

use anyhow::Result;
use tools::cli::Exit;
use tools::cli::signals::Signals;

use crate::keys::Keys;
use crate::lines::{Ending, Sink, read_lines};
use crate::watch::Watch;

/// Where lines come from.
pub(crate) struct Input<'a> {
    /// Files, in order.
    pub(crate) paths: &'a [PathBuf],
    /// What finds a line's key.
    pub(crate) keys: Keys,
    /// The topic whose number of partitions must not change.
    pub(crate) watch: Option<Watch<'a>>,
    /// What stops reading.
    pub(crate) signals: &'a Signals,
}

impl Input<'_> {
    /// Hands every line to `sink`, which is finished even where reading failed: what came before is kept.
    ///
    /// # Errors
    /// Reading failed, or the sink did; reading comes first.
    pub(crate) fn pour(mut self, mut sink: impl Sink) -> Result<Exit> {
        let watch = self.watch.as_mut();
        let read = read_lines(self.paths, &mut self.keys, &mut sink, watch, self.signals);
        let whole = matches!(read, Ok(Ending::End));
        let finished = sink.finish(whole);
        let ending = read?;
        finished?;
        Ok(match ending {
            Ending::End | Ending::Enough => Exit::Done,
            Ending::Signal(signal) => Exit::Signal(signal),
        })
    }
}
