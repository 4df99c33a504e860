//! Why a pipe with `--ack` failed.

use super::watchdog::STALLED;

/// Why the pipe failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PipelineError {
    #[error(
        "nobody reads standard output any more: a program of the pipe has ended; what was not acknowledged comes again"
    )]
    NoReader,
    #[error(
        "nothing was acknowledged for {} s with {lines} lines under way: what stands between drops or buffers lines \
         (sed -u, stdbuf -oL; to drop a record print its position alone)",
        STALLED.as_secs()
    )]
    Stalled { lines: u64 },
    #[error(
        "nothing was acknowledged for {} s after the end, with {lines} lines under way: what stands between must see the \
         end of its input, and a shell around this program keeps the pipe open (exec)",
        STALLED.as_secs()
    )]
    Unended { lines: u64 },
    #[error(
        "partitions were to be given back, and {0} lines of them were not acknowledged in time; they come again"
    )]
    NotDrained(u64),
    #[error(
        "the group does not know this member yet: without its metadata a transaction would fence nobody"
    )]
    NoMetadata,
    #[error("{0} lines were not acknowledged; they come again")]
    NotAcknowledged(u64),
    #[error(
        "{0} lines were not committed before the group gave their partitions away; they come again"
    )]
    NotCommitted(u64),
    #[error("partitions came with records to read after this pipe's end; start it again")]
    TooLate,
}
