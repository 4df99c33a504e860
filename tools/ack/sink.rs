//! The sink's end: finding the source, taking positions off lines, acknowledging.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use memchr::memrchr;

use super::AckError;
use super::link::{Link, TICK_MS};
use super::message::{Session, SinkKind, SinkWord, SourceWord};
use super::position::{Lane, Position, Shape, Split, cut_offset};

/// How long an end that has connected may take to greet.
const GREETING: Duration = Duration::from_secs(2);
/// How long a line that has arrived may be without the word that it was written whole.
const WHOLE: Duration = Duration::from_secs(30);

/// How often the source is told that this sink is at work.
const HOLD_EVERY: Duration = Duration::from_secs(1);

/// How the last read of the input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Bytes came; more may follow at once.
    More,
    /// Nothing came for [`Receipts::hold`](super::Receipts::hold).
    Idle,
    /// The input has ended.
    End,
}

/// What the source has said about its end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    Unsaid,
    /// It never wrote a line.
    Empty,
    /// The last line that it wrote.
    After(Position),
}

/// The sink's end of the connection.
pub struct Sink {
    link: Link,
    /// Sessions by name.
    sessions: HashMap<String, Session>,
    /// The lane of the line before: the next one is likely of the same.
    known_lane: Vec<u8>,
    /// The line that is being written in more than one piece.
    pub(super) long: Option<String>,
    is_hurried: bool,
    released: Vec<Lane>,
    end: Ending,
    is_done: bool,
    /// When the source was told last that this sink is at work.
    held_at: Instant,
    /// What is durable and was not said yet.
    unsaid: BTreeMap<Lane, i64>,
}

impl Sink {
    /// Waits at most `wait` for a source that listens at `path` and takes this sink.
    pub fn connect(
        path: &Path,
        kind: SinkKind,
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
                && let Ok(mut link) = Link::new(stream)
            {
                link.say(&SinkWord::Greeting(kind).value());
                match link.wait(GREETING, interrupted) {
                    Some(line) => return Sink::greeted(link, &line),
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

    fn greeted(link: Link, greeting: &[u8]) -> Result<Sink, AckError> {
        match SourceWord::parse(greeting) {
            Some(SourceWord::Greeting(_)) => Ok(Sink {
                link,
                sessions: HashMap::new(),
                known_lane: Vec::new(),
                long: None,
                is_hurried: false,
                released: Vec::new(),
                end: Ending::Unsaid,
                is_done: false,
                held_at: Instant::now(),
                unsaid: BTreeMap::new(),
            }),
            _ => Err(AckError::Protocol("its greeting is not known".to_owned())),
        }
    }

    /// Hears what the source has said so far; also sends what is still to be acknowledged. Never waits.
    ///
    /// To be called after each read of the input, and now and then while there is none.
    ///
    /// # Errors
    /// [`AckError::SourceGone`]: it died.
    pub fn hear(&mut self) -> Result<(), AckError> {
        self.say_durable();
        while let Some(line) = self.link.next() {
            self.note(&line)?;
        }
        if self.link.is_over() && !self.is_done {
            return Err(AckError::SourceGone);
        }
        Ok(())
    }

    fn note(&mut self, line: &[u8]) -> Result<(), AckError> {
        match SourceWord::parse(line) {
            Some(SourceWord::Session(session)) => {
                self.sessions.insert(session.name.clone(), session);
            }
            Some(SourceWord::Long(position)) => self.long = Some(position.to_string()),
            Some(SourceWord::Whole) => self.long = None,
            Some(SourceWord::Hurry(yes)) => self.is_hurried = yes,
            Some(SourceWord::Released(lanes)) => self.released.extend(lanes),
            Some(SourceWord::End(last)) => {
                self.end = last.map_or(Ending::Empty, Ending::After);
                self.is_hurried = true;
            }
            Some(SourceWord::Done) => self.is_done = true,
            Some(SourceWord::Greeting(_)) | None => {
                return Err(AckError::Protocol(
                    String::from_utf8_lossy(line).into_owned(),
                ));
            }
        }
        Ok(())
    }

    /// How many bytes at the start of `buffer` are lines that may be used.
    ///
    /// A line is used when another one follows it or when nothing came for a
    /// while, because one that a dead program left torn may have been ended by
    /// the next program of the pipe, and is then followed by the end of the
    /// input. At the end the last line is used if the source says that it
    /// wrote none after it.
    pub fn settled(&self, buffer: &[u8], arrival: Arrival, shape: Shape) -> usize {
        let Some(last) = memrchr(b'\n', buffer) else {
            return 0;
        };
        let is_followed = last + 1 < buffer.len();
        let before = memrchr(b'\n', &buffer[..last]).map_or(0, |newline| newline + 1);
        let may_use_last = match arrival {
            Arrival::Idle => true,
            Arrival::More => is_followed,
            Arrival::End => is_followed || self.is_last(&buffer[before..=last], shape),
        };
        if may_use_last { last + 1 } else { before }
    }

    fn is_last(&self, line: &[u8], shape: Shape) -> bool {
        let (Ending::After(end), Ok(split)) = (&self.end, Split::of(line, shape)) else {
            return false;
        };
        Position::parse(split.position).as_ref() == Some(end)
    }

    /// Takes the position off a whole line, newline and all.
    ///
    /// Waits, for a line of more than 4096 bytes, until the source has
    /// confirmed that it was written whole.
    ///
    /// # Errors
    /// No position, or that of another run; the source died while it wrote the line.
    #[inline]
    pub fn take<'a>(&mut self, line: &'a [u8], shape: Shape) -> Result<Split<'a>, AckError> {
        let split = Split::of(line, shape)?;
        let came_from = cut_offset(split.position).map_or(&[][..], |(lane, _)| lane);
        if came_from != self.known_lane {
            self.check_lane(came_from)?;
        }
        if let Some(long) = &self.long
            && long.as_bytes() == split.position
        {
            self.wait_until_whole()?;
        }
        Ok(split)
    }

    #[cold]
    fn check_lane(&mut self, lane: &[u8]) -> Result<(), AckError> {
        let is_known = Lane::parse(lane).is_some_and(|lane| {
            let session = self.sessions.get(&lane.session);
            let place = (lane.topic, lane.partition);
            session.is_some_and(|session| session.places.contains(&place))
        });
        if !is_known {
            return Err(AckError::Stray(String::from_utf8_lossy(lane).into_owned()));
        }
        self.known_lane.clear();
        self.known_lane.extend_from_slice(lane);
        Ok(())
    }

    #[cold]
    fn wait_until_whole(&mut self) -> Result<(), AckError> {
        while self.long.is_some() {
            let line = self.link.wait(WHOLE, &|| false);
            let line = line.ok_or(AckError::SourceGone)?;
            self.note(&line)?;
        }
        Ok(())
    }

    /// A session that the source has begun.
    pub fn session(&self, name: &str) -> Option<&Session> {
        self.sessions.get(name)
    }

    /// Whether the source waits for what is durable.
    pub fn is_hurried(&self) -> bool {
        self.is_hurried
    }

    /// Whether the source has said that no more lines come.
    pub fn has_ended(&self) -> bool {
        self.end != Ending::Unsaid
    }

    /// What the source has given back since the last call: what was not acknowledged of it comes to another source.
    pub fn take_released(&mut self) -> Vec<Lane> {
        std::mem::take(&mut self.released)
    }

    /// Acknowledges: everything received of each lane up to its position is durable. Never waits.
    pub fn acknowledge(
        &mut self,
        durable: impl IntoIterator<Item = Position>,
    ) -> Result<(), AckError> {
        for Position { lane, offset } in durable {
            let said = self.unsaid.entry(lane).or_insert(offset);
            *said = offset.max(*said);
        }
        self.say_durable();
        Ok(())
    }

    /// Sends what is durable, unless the socket is still full of what was said before.
    fn say_durable(&mut self) {
        if !self.link.push() || self.unsaid.is_empty() {
            return;
        }
        let unsaid = std::mem::take(&mut self.unsaid).into_iter();
        let positions = unsaid.map(|(lane, offset)| Position { lane, offset });
        self.link
            .say(&SinkWord::Durable(positions.collect()).value());
    }

    /// Says now and then that what was received is not durable yet because of what this sink waits for, a cluster say.
    ///
    /// To be called often while that is so: a source that hears nothing takes it that lines are dropped on their way.
    pub fn hold(&mut self) {
        if self.held_at.elapsed() >= HOLD_EVERY && self.link.push() {
            self.held_at = Instant::now();
            self.link.say(&SinkWord::Holding.value());
        }
    }

    /// After the end of the input, and when all that was received is acknowledged: waits until the source has committed it.
    ///
    /// `is_whole` says that no bytes of a torn line, and no line that was not
    /// [settled](Sink::settled), are left.
    ///
    /// # Errors
    /// The input was cut short, or the source did not come to its end.
    pub fn finish(
        mut self,
        is_whole: bool,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<(), AckError> {
        // A source that has written all says so before it closes the pipe.
        self.hear()?;
        if !self.has_ended() || !is_whole {
            return Err(AckError::CutShort);
        }
        while !self.is_done {
            if interrupted() {
                return Err(AckError::Interrupted);
            }
            self.hear()?;
            if let Some(line) = self.link.wait(Duration::from_millis(100), interrupted) {
                self.note(&line)?;
            }
        }
        Ok(())
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}
