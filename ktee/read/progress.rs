//! Records on their way out of a backup: how many there were, on a terminal, and the signal that ends it.

use anyhow::Result;
use tools::cli::progress::Progress;
use tools::cli::signals::Signals;

use super::inventory::{self, ListedLog};
use crate::segment::LogId;
use crate::store::Store;

/// Records between two looks at the clock and at signals.
const ROUND: u64 = 1000;

/// A signal came.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Counts what passes.
pub(crate) struct ReadProgress<'a> {
    signals: &'a Signals,
    progress: Progress,
    records: u64,
    bytes: u64,
}

impl<'a> ReadProgress<'a> {
    /// With a bar where `wanted`, if stderr is a terminal.
    pub(crate) fn new(wanted: bool, signals: &'a Signals) -> ReadProgress<'a> {
        ReadProgress {
            signals,
            progress: Progress::new(wanted, None),
            records: 0,
            bytes: 0,
        }
    }

    /// Looks how many records there are, if anybody sees it and the manifests say so.
    pub(crate) fn find_end<'s>(
        &mut self,
        store: &dyn Store,
        partitions: impl IntoIterator<Item = (&'s LogId, &'s ListedLog)>,
    ) -> Result<()> {
        if !self.progress.is_shown() {
            return Ok(());
        }
        let mut records = 0;
        for (log, stored) in partitions {
            for name in &stored.segments {
                let Some(manifest) = inventory::manifest(store, log, name)? else {
                    return Ok(());
                };
                records += manifest.records;
                self.stop_at_signal()?;
            }
        }
        self.progress.set_end(records);
        Ok(())
    }

    /// One record of this many bytes.
    ///
    /// # Errors
    /// [`Interrupted`]
    #[inline]
    pub(crate) fn pass(&mut self, bytes: usize) -> Result<()> {
        self.records += 1;
        self.bytes += bytes as u64;
        if self.records.is_multiple_of(ROUND) {
            self.progress.update(self.records, self.bytes);
            self.stop_at_signal()?;
        }
        Ok(())
    }

    /// # Errors
    /// [`Interrupted`]
    pub(crate) fn stop_at_signal(&self) -> Result<()> {
        match self.signals.caught() {
            Some(_) => Err(Interrupted.into()),
            None => Ok(()),
        }
    }
}
