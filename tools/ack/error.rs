//! Why one end of the socket can't go on.

use std::io;
use std::path::PathBuf;

use super::reader::OutOfOrder;

/// Why one end of the socket can't go on.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    #[error("--ack {}: {error}", path.display())]
    Listen { path: PathBuf, error: io::Error },
    #[error("--ack {}: is there already, and is not a socket", .0.display())]
    NotASocket(PathBuf),
    #[error("--ack {}: another program listens there", .0.display())]
    InUse(PathBuf),
    #[error(
        "--ack {}: nobody connected within {seconds} s; the last program of the pipe needs the same --ack",
        path.display()
    )]
    NoSink { path: PathBuf, seconds: f64 },
    #[error(
        "--ack {}: no source there within {seconds} s; the first program of the pipe needs the same --ack",
        path.display()
    )]
    NoSource { path: PathBuf, seconds: f64 },
    #[error("interrupted before both ends of the pipe had met")]
    Interrupted,
    #[error("the source of the pipe is gone before its end; what was not acknowledged comes again")]
    SourceGone,
    #[error("the sink of the pipe is gone; what was not acknowledged comes again")]
    SinkGone,
    #[error("the other end of --ack says what it can't say: {0}")]
    Protocol(String),
    #[error(
        "the other end of --ack speaks version {theirs} of its protocol, and this one version {ours}: both need the same release of kafkautils"
    )]
    OtherVersion { theirs: u64, ours: u64 },
    #[error("a line without its position ({0}); what stands between must keep it")]
    NoPosition(String),
    #[error("position {0} is not of this pipe's run: what stands between must keep it")]
    UnknownSession(String),
    #[error(transparent)]
    OutOfOrder(#[from] OutOfOrder),
    #[error(
        "the input ended before the last line that the source wrote: a program between died, or leaves lines out"
    )]
    CutShort,
}
