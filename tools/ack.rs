//! Both ends of the Unix socket by which the end of a pipe tells its beginning what was dealt with.
//!
//! ```text
//! kcat-lite -G g --ack s --tsv t | sed -u ... | kcat-lite -P --ack s --tsv -t u
//!     source  ------- lines, each with its position ------->  sink
//!             <------ the last position that is durable -----
//! ```
//!
//! The **source** reads partitions and writes a line for each record. Every
//! line carries its position, `session:number:topic:partition:offset`: as its
//! first column ([`Shape::Tsv`]), or as the first member `position` of its
//! object ([`Shape::Json`]). The **sink** takes it off and acknowledges it when
//! the record is durable; the source commits what was acknowledged.
//!
//! # What an acknowledgement says
//! It is cumulative for each [`StreamKey`], which is one partition as it was
//! read under one session: everything that the sink received up to this offset
//! is durable. A position that is repeated on several lines counts with the
//! last of them; [`AckTracker`] knows that. A session begins with each
//! assignment of partitions and has a name of its own in every run, so that
//! nothing of an old run or of an old assignment is ever taken ([`InFlight`]).
//! Lines of a session that was released are passed over, however late they come.
//!
//! # What is whole
//! The number counts the lines of a source from 1, whatever session they are
//! of. So the sink sees at once where lines were lost, repeated or brought into
//! another order ([`OutOfOrder`]), and nothing behind that place is used.
//!
//! A member of the pipe that dies may leave a torn line, and the next program
//! may end it as if it were whole: `awk` does. Therefore the last line that has
//! arrived is not used before
//! - another one has come behind it, with the number that it must have, or
//! - the sink has asked, and the source has answered that it wrote no other
//!   line, and that its standard output has a reader still: where the torn line
//!   is that of the source's own reader, it has none. Or
//! - the source has said that it was the last of all, before it closed the pipe.
//!
//! A sink that keeps records back (a transaction, a segment) makes them
//! durable and acknowledges them while [`Sink::is_flush_requested`]: the source
//! then waits for them, because it gives partitions back or has come to the
//! end. While it keeps them it calls [`Sink::keep_alive`].
//!
//! A transaction that is aborted is started over: [`Sink::abort`] asks for its
//! records again. The source reads them again and sends them under another
//! session; lines of the sessions before, however late, are passed over.
//!
//! # Offsets without records
//! A session says where reading began and where the log starts, and its end up
//! to where the source has read. So a sink of segments knows of the offsets
//! before the first and behind the last line that they have no records
//! ([`Session::starts`], [`Sink::take_passed`]), and of those before the log's
//! start that they were deleted.
//!
//! # On the wire
//! One JSON object a line, both ways. The source sends `{"ack":4,"run":R}`, the
//! sink `{"ack":4,"sink":KIND}`; ends of different versions refuse each other.
//! Then the source sends `session`, `flush`, `released`, `last`, `end` and
//! `done`, and the sink `{"durable":[SESSION:TOPIC:PARTITION:OFFSET,...]}`,
//! `{"last":NUMBER}`, `{"holding":true}` and `{"aborted":[SESSION,...]}`. Either
//! end that closes is dead, but for a sink that has heard `done`.
//!
//! Nothing here knows Kafka beyond these names, and nothing here blocks but
//! where it says so.

mod connection;
mod error;
mod in_flight;
mod line_writer;
mod message;
mod position;
mod reader;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod tracker;

pub use error::AckError;
pub use in_flight::InFlight;
pub use line_writer::{LineWriter, WriteProgress};
pub use message::{GroupMetadata, ReadStart, Session, SinkKind};
pub use position::{LineStart, Position, Shape, StreamKey};
pub use reader::{OutOfOrder, ReceivedLine};
pub use sink::{Arrival, Sink};
pub use source::{Listener, SinkUpdate, Source, new_run};
pub use tracker::{AckTracker, DeliveryTag};
