//! The sink's end: finding the source, taking positions off lines, acknowledging.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::AckError;
use super::connection::{Connection, TICK_MS};
use super::message::{Session, SinkKind, SinkMessage, SourceMessage, refusal};
use super::position::{Position, Shape, StreamKey};
use super::reader::{LineReader, ReceivedLine};

/// How long an end that has connected may take to greet.
const GREETING: Duration = Duration::from_secs(2);
/// How often to send a keep-alive to the source.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// How long a last line is alone before the source is asked about it.
const ASK_AFTER: Duration = Duration::from_millis(25);
/// How long the last line of a multiplied record is alone before the position counts as complete.
const COMPLETE_AFTER: Duration = Duration::from_secs(1);

/// How the last read of the input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes came; more may follow at once.
    More,
    /// Nothing came.
    Idle,
    /// The input has ended.
    End,
}

/// The sink's end of the connection.
pub struct Sink {
    connection: Connection,
    reader: LineReader,
    is_flush_requested: bool,
    released: Vec<StreamKey>,
    begun: Vec<Session>,
    passed: Vec<Position>,
    /// The last line that the source wrote, once it has said that no more come; 0 if it wrote none.
    end: Option<u64>,
    is_done: bool,
    arrival: Arrival,
    /// When bytes came last.
    arrived_at: Instant,
    /// The last line of which the source was asked whether it is the last one, and that of which it said so.
    asked: Option<u64>,
    confirmed: Option<u64>,
    /// When the last keep-alive was sent.
    kept_alive_at: Instant,
    /// What is durable and was not sent yet.
    unsent: BTreeMap<usize, i64>,
}

impl Sink {
    /// Waits at most `wait` for a source that listens at `path` and takes this sink, for lines of this shape.
    ///
    /// # Errors
    /// No source, one of another version, or an interruption.
    pub fn connect(
        path: &Path,
        kind: SinkKind,
        shape: Shape,
        wait: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Sink, AckError> {
        let until = Instant::now() + wait;
        loop {
            if interrupted() {
                return Err(AckError::Interrupted);
            }
            // Absent, left over from a killed run, or that of a pipe that is just ending: the source comes yet.
            if let Ok(stream) = UnixStream::connect(path)
                && let Ok(mut connection) = Connection::new(stream)
            {
                connection.send(&SinkMessage::Greeting(kind).value());
                match connection.wait(GREETING, interrupted) {
                    Some(line) => return Sink::greeted(connection, shape, &line),
                    None if interrupted() => return Err(AckError::Interrupted),
                    None => {}
                }
            }
            if Instant::now() > until {
                return Err(AckError::NoSource {
                    path: path.to_owned(),
                    seconds: wait.as_secs_f64(),
                });
            }
            std::thread::sleep(Duration::from_millis(TICK_MS / 4));
        }
    }

    fn greeted(connection: Connection, shape: Shape, greeting: &[u8]) -> Result<Sink, AckError> {
        match SourceMessage::parse(greeting) {
            Some(SourceMessage::Greeting(_)) => Ok(Sink {
                connection,
                reader: LineReader::new(shape),
                is_flush_requested: false,
                released: Vec::new(),
                begun: Vec::new(),
                passed: Vec::new(),
                end: None,
                is_done: false,
                arrival: Arrival::More,
                arrived_at: Instant::now(),
                asked: None,
                confirmed: None,
                kept_alive_at: Instant::now(),
                unsent: BTreeMap::new(),
            }),
            _ => Err(refusal(greeting)),
        }
    }

    /// Hears what the source has said so far, after a read of the input that ended so. Never waits.
    ///
    /// What the source says before it writes a line is known by this when the line is taken.
    ///
    /// # Errors
    /// [`AckError::SourceGone`]: it died.
    pub fn poll(&mut self, arrival: Arrival) -> Result<(), AckError> {
        self.arrival = arrival;
        if arrival == Arrival::More {
            self.arrived_at = Instant::now();
        }
        self.send_durable();
        while let Some(line) = self.connection.next() {
            self.note(&line)?;
        }
        if self.connection.is_over() && !self.is_done {
            return Err(AckError::SourceGone);
        }
        Ok(())
    }

    fn note(&mut self, line: &[u8]) -> Result<(), AckError> {
        match SourceMessage::parse(line) {
            Some(SourceMessage::Session(session)) => {
                self.begun.push(session.clone());
                self.reader.begin(session);
            }
            Some(SourceMessage::RequestFlush(yes)) => self.is_flush_requested = yes,
            Some(SourceMessage::Released(keys, passed)) => {
                self.released.extend(keys);
                self.passed.extend(passed);
            }
            Some(SourceMessage::Last(number)) => self.confirmed = Some(number),
            Some(SourceMessage::End(number, passed)) => {
                self.passed.extend(passed);
                self.end = Some(number);
                self.is_flush_requested = true;
            }
            Some(SourceMessage::Done) => self.is_done = true,
            Some(SourceMessage::Greeting(_)) | None => {
                return Err(AckError::Protocol(
                    String::from_utf8_lossy(line).into_owned(),
                ));
            }
        }
        Ok(())
    }

    /// The next whole line of `buffer` behind `used`, which is moved on behind it. Never waits.
    ///
    /// The last line that has arrived is handed over when the source says that
    /// it has written no other, and that standard output still had a reader
    /// when the line was here. Lines of streams that were released are passed
    /// over.
    ///
    /// # Errors
    /// No position, that of another run, or lines that are lost, repeated or in another order. The line before is not
    /// handed over either: it may be torn.
    #[inline]
    pub fn next<'a>(
        &mut self,
        buffer: &'a [u8],
        used: &mut usize,
    ) -> Result<Option<ReceivedLine<'a>>, AckError> {
        let (arrival, end, confirmed) = (self.arrival, self.end, self.confirmed);
        let may_use_last = |number| {
            let is_last = end == Some(number);
            match arrival {
                Arrival::More => false,
                Arrival::Idle => is_last || confirmed == Some(number),
                Arrival::End => is_last,
            }
        };
        let next = self.reader.next(buffer, used, may_use_last)?;
        if next.is_none() {
            self.ask();
        }
        Ok(next)
    }

    /// Asks the source once about a line that has been the last one for a while.
    fn ask(&mut self) {
        let held = self.reader.held();
        if self.arrival == Arrival::Idle
            && held.is_some()
            && held != self.asked
            && self.arrived_at.elapsed() >= ASK_AFTER
        {
            self.asked = held;
            let question = held.map(SinkMessage::IsLast);
            question.map(|question| self.connection.send(&question.value()));
        }
    }

    /// Whether no more lines come of the position of the line that was handed over last, as far as one can know.
    ///
    /// `rest` is what was received behind it.
    pub fn is_complete(&self, rest: &[u8]) -> bool {
        self.reader.is_left().unwrap_or(match self.arrival {
            Arrival::More => false,
            Arrival::Idle if self.reader.repeats() => {
                rest.is_empty() && self.arrived_at.elapsed() >= COMPLETE_AFTER
            }
            Arrival::Idle | Arrival::End => true,
        })
    }

    /// How long the input may be idle before [`Sink::poll`] and [`Sink::next`] have something to do.
    pub fn idle_ms(&self) -> u64 {
        let held = self.reader.held();
        match held {
            // The answer wakes nobody.
            Some(_) if held == self.asked && held != self.confirmed => 5,
            _ => ASK_AFTER.as_millis() as u64,
        }
    }

    /// The session of a stream.
    pub fn session(&self, stream: usize) -> Option<&Session> {
        self.reader.session(stream)
    }

    /// The name of a stream of which a line has come.
    pub fn key(&self, stream: usize) -> &StreamKey {
        self.reader.key(stream)
    }

    /// Whether the source waits for what is durable.
    pub fn is_flush_requested(&self) -> bool {
        self.is_flush_requested
    }

    /// Whether the source has said that no more lines come.
    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// The streams that the source has given back since the last call, of which lines have come: what was not acknowledged
    /// of them comes again to whoever has their partitions. Lines of theirs that still come are passed over.
    pub fn take_released(&mut self) -> Vec<usize> {
        let released = std::mem::take(&mut self.released);
        let streams = released.iter().filter_map(|key| self.reader.release(key));
        streams.collect()
    }

    /// The sessions that have begun since the last call.
    pub fn take_begun(&mut self) -> Vec<Session> {
        std::mem::take(&mut self.begun)
    }

    /// Up to where streams were read that have ended since the last call: once all that was received of them is
    /// acknowledged, no record is between the last one and this offset.
    pub fn take_passed(&mut self) -> Vec<Position> {
        std::mem::take(&mut self.passed)
    }

    /// Acknowledges: everything received of each stream up to its offset is durable. Never waits.
    pub fn acknowledge(&mut self, durable: impl IntoIterator<Item = (usize, i64)>) {
        for (stream, offset) in durable {
            let unsent = self.unsent.entry(stream).or_insert(offset);
            *unsent = offset.max(*unsent);
        }
        self.send_durable();
    }

    /// Asks the source to send again what was not acknowledged. Lines of the sessions so far are passed over.
    pub fn abort(&mut self) {
        self.queue_durable();
        let sessions = self.reader.release_all();
        self.connection
            .send(&SinkMessage::Aborted(sessions).value());
    }

    /// Sends what is durable, unless the socket is still full of what was sent before.
    fn send_durable(&mut self) {
        if self.connection.push() {
            self.queue_durable();
        }
    }

    fn queue_durable(&mut self) {
        if self.unsent.is_empty() {
            return;
        }
        let unsent = std::mem::take(&mut self.unsent).into_iter();
        let positions = unsent.map(|(stream, offset)| Position {
            key: self.reader.key(stream).clone(),
            offset,
        });
        let durable = SinkMessage::Durable(positions.collect());
        self.connection.send(&durable.value());
    }

    /// Says now and then that what was received is not durable yet because of what this sink waits for, a cluster say.
    ///
    /// To be called often while that is so: a source that hears nothing takes it that lines are dropped on their way.
    pub fn keep_alive(&mut self) {
        if self.kept_alive_at.elapsed() >= KEEP_ALIVE && self.connection.push() {
            self.kept_alive_at = Instant::now();
            self.connection.send(&SinkMessage::Holding.value());
        }
    }

    /// After the end of the input, and when all that was received is acknowledged: waits until the source has committed it.
    ///
    /// `is_whole` says that no bytes of a torn line, and no line that was not handed over, are left.
    ///
    /// # Errors
    /// The input was cut short, or the source did not come to its end.
    pub fn finish(
        mut self,
        is_whole: bool,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), AckError> {
        // A source that has written all says so before it closes the pipe.
        self.poll(Arrival::End)?;
        if self.end != Some(self.reader.last_number()) || !is_whole {
            return Err(AckError::CutShort);
        }
        while !self.is_done {
            if interrupted() {
                return Err(AckError::Interrupted);
            }
            self.poll(Arrival::End)?;
            if let Some(line) = self
                .connection
                .wait(Duration::from_millis(100), interrupted)
            {
                self.note(&line)?;
            }
        }
        Ok(())
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}
