//! A destination with its name: what is said when it fails.

use anyhow::Result;
use tools::cli::message;

use super::file::ReaderLeft;
use crate::destination::Destination;

/// A destination with its name; none once it has failed.
pub(super) struct Output {
    pub(super) name: String,
    pub(super) destination: Option<Box<dyn Destination>>,
}

impl Output {
    pub(super) fn new<D: Destination + 'static>(
        name: String,
        opened: Result<D>,
        has_failed: &mut bool,
    ) -> Output {
        let mut output = Output {
            name,
            destination: None,
        };
        match opened {
            Ok(opened) => output.destination = Some(Box::new(opened)),
            Err(error) => output.fail(&error, has_failed),
        }
        output
    }

    /// Does something with the destination; if that fails, it was the last time.
    pub(super) fn with(
        &mut self,
        has_failed: &mut bool,
        act: impl FnOnce(&mut dyn Destination) -> Result<()>,
    ) {
        if let Some(destination) = &mut self.destination
            && let Err(error) = act(&mut **destination)
        {
            self.fail(&error, has_failed);
        }
    }

    fn fail(&mut self, error: &anyhow::Error, has_failed: &mut bool) {
        self.destination = None;
        let text = format!("{error:#}");
        // An error about a file in it names the destination itself.
        if text.starts_with(self.name.trim_end_matches('/')) {
            message(text);
        } else {
            message(format_args!("{}: {text}", self.name));
        }
        *has_failed |= !error.is::<ReaderLeft>();
    }
}
