//! Both ends of the Unix socket by which the end of a pipe tells its beginning what was dealt with.
//!
//! ```text
//! kcat-lite -G g --ack s --tsv t | sed -u ... | kcat-lite -P --ack s --tsv -t u
//!     source  ------- lines, each with its position ------->  sink
//!             <------ the last position that is durable -----
//! ```
//!
//! The **source** reads partitions and writes a line for each record. Every
//! line carries its [`Position`], `session:topic:partition:offset`: as its
//! first column ([`Shape::Tsv`]), or as the first member `position` of its
//! object ([`Shape::Json`]). The **sink** takes it off and acknowledges it when
//! the record is durable; the source commits what was acknowledged.
//!
//! # What an acknowledgement says
//! It is cumulative for each [`Lane`], which is one partition as it was read
//! under one session: everything that the sink received up to this position
//! is durable. A position that is repeated on several lines counts with the
//! last of them; [`Receipts`] knows that. A session begins with each
//! assignment of partitions and has a name of its own in every run, so that
//! nothing of an old run or of an old assignment is ever taken ([`Window`]).
//!
//! # What is whole
//! - Lines of up to 4096 bytes are written in one piece (pipe(7), `PIPE_BUF`).
//! - A longer line is announced before it is written and confirmed after it;
//!   the sink uses it only then ([`Sink::take`]).
//! - A last line without its newline is never used, nor is the last line
//!   before the input's end unless the source says that it is the last of all
//!   ([`Sink::settled`]): `awk` ends a torn line as if it were whole.
//!
//! # How a sink is written
//! ```no_run
//! # use std::{path::Path, time::Duration};
//! # use tools::ack::{Arrival, Receipts, Shape, Sink, SinkKind};
//! # fn fill(_: &mut Vec<u8>) -> Arrival { Arrival::End }
//! # fn store(_: &[u8]) {}
//! # fn sync() {}
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut sink = Sink::connect(Path::new("s"), SinkKind::Segment, Duration::from_secs(5), &|| false)?;
//! let (mut receipts, mut buffer) = (Receipts::default(), Vec::new());
//! loop {
//!     let arrival = fill(&mut buffer); // waits at most `receipts.hold()`
//!     sink.hear()?; // after each read: what was said before the lines were written
//!     let settled = sink.settled(&buffer, arrival, Shape::Tsv);
//!     for line in buffer[..settled].split_inclusive(|&byte| byte == b'\n') {
//!         let taken = sink.take(line, Shape::Tsv)?;
//!         let receipt = receipts.receive(taken.position)?;
//!         if let Some(record) = taken.record {
//!             store(&record);
//!         }
//!         receipts.settle(receipt); // once it is durable; any order
//!     }
//!     buffer.drain(..settled);
//!     sync();
//!     sink.acknowledge(receipts.durable(arrival != Arrival::More))?;
//!     if arrival == Arrival::End {
//!         break;
//!     }
//! }
//! sink.finish(buffer.is_empty(), &|| false)?; // all is acknowledged, and committed
//! # Ok(())
//! # }
//! ```
//! A sink that keeps records back (a transaction, a segment) makes them
//! durable and acknowledges them while [`Sink::is_hurried`]: the source then
//! waits for them, because it gives partitions back or has come to the end.
//! While it keeps them it calls [`Sink::hold`].
//!
//! # On the wire
//! One JSON object a line, both ways. The source sends `{"ack":1,"run":R}`, the
//! sink `{"ack":1,"sink":KIND}`; then the source sends `session`, `long`,
//! `whole`, `hurry`, `released`, `end` and `done`, and the sink
//! `{"durable":[POSITION,...]}` and `{"holding":true}`. Either end that closes is dead, but for a sink
//! that has heard `done`.
//!
//! Nothing here knows Kafka beyond these names, and nothing here blocks but
//! where it says so.

mod error;
mod lines;
mod link;
mod message;
mod position;
mod receipts;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod window;

pub use error::AckError;
pub use lines::{Lines, Written};
pub use message::{GroupMetadata, Session, SinkKind};
pub use position::{Lane, Position, Shape, Split, begin_line, end_line};
pub use receipts::{Disorder, Receipt, Receipts};
pub use sink::{Arrival, Sink};
pub use source::{Heard, Listener, Source, new_run};
pub use window::Window;
