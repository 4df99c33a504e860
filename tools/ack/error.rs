//! Why one end of the socket can't go on.

use std::io;
use std::path::PathBuf;

use super::reader::OutOfOrder;

/// Why one end of the socket can't go on.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// The socket can't be made.
    #[error("--ack {}: {error}", path.display())]
    Listen {
        /// Where it was to be.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Something else is at its place, and is not removed.
    #[error("--ack {}: is there already, and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Another source listens there, and went on doing so.
    #[error("--ack {}: another program listens there", .0.display())]
    InUse(PathBuf),
    /// No sink came.
    #[error(
        "--ack {}: nobody connected within {seconds} s; the last program of the pipe needs the same --ack",
        path.display()
    )]
    NoSink {
        /// Where it was waited for.
        path: PathBuf,
        /// How long.
        seconds: f64,
    },
    /// No source was found, or it took another sink.
    #[error(
        "--ack {}: no source there within {seconds} s; the first program of the pipe needs the same --ack",
        path.display()
    )]
    NoSource {
        /// Where it was looked for.
        path: PathBuf,
        /// How long.
        seconds: f64,
    },
    /// A signal came first.
    #[error("interrupted before both ends of the pipe had met")]
    Interrupted,
    /// The source died, or ended for a reason that it has told itself.
    #[error("the source of the pipe is gone before its end; what was not acknowledged comes again")]
    SourceGone,
    /// The sink died, or ended for a reason that it has told itself.
    #[error("the sink of the pipe is gone; what was not acknowledged comes again")]
    SinkGone,
    /// The other end says what can't be.
    #[error("the other end of --ack says what it can't say: {0}")]
    Protocol(String),
    /// The other end is of another release.
    #[error(
        "the other end of --ack speaks version {theirs} of its protocol, and this one version {ours}: both need the same release of kafkautils"
    )]
    OtherVersion {
        /// Its version.
        theirs: u64,
        /// The version of this program.
        ours: u64,
    },
    /// A line without a position.
    #[error("a line without its position ({0}); what stands between must keep it")]
    NoPosition(String),
    /// A position of a session that this pipe's source never began.
    #[error("position {0} is not of this pipe's run: what stands between must keep it")]
    Stray(String),
    /// Lines that are lost, repeated, or in another order.
    #[error(transparent)]
    OutOfOrder(#[from] OutOfOrder),
    /// The input ended before what the source wrote last.
    #[error(
        "the input ended before the last line that the source wrote: a program between died, or leaves lines out"
    )]
    CutShort,
}
