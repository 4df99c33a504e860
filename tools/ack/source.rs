//! The source's end: the socket, the one sink that connects, messages to it and from it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Mode;

use super::AckError;
use super::connection::{Connection, TICK_MS};
use super::message::{Session, SinkKind, SinkMessage, SourceMessage, refusal};
use super::position::{Position, StreamKey};

/// How long a connection may take to send its greeting.
const GREETING: Duration = Duration::from_secs(2);
/// A sink that does not read for this long is gone.
const UNREAD: Duration = Duration::from_secs(10);

/// A name for this run that no other run has: a number, because a program that changes words of a line may meet any of them.
pub fn new_run() -> String {
    // The standard library seeds its hashers from the system's randomness.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish().to_string()
}

/// The socket, waiting for its sink. Its file is removed when this is dropped.
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Makes the socket at `path`, for this user alone.
    ///
    /// One that nobody listens on any more is replaced; for a live one, which
    /// may be that of a pipe that is just ending, this waits at most `wait`.
    pub fn bind(
        path: &Path,
        wait: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Listener, AckError> {
        let until = Instant::now() + wait;
        let failed = |error| AckError::Listen {
            path: path.to_owned(),
            error,
        };
        loop {
            match bind_private(path) {
                Ok(listener) => {
                    listener.set_nonblocking(true).map_err(failed)?;
                    return Ok(Listener {
                        listener,
                        path: path.to_owned(),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(failed(error)),
            }
            if !remove_stale(path)? {
                if interrupted() {
                    return Err(AckError::Interrupted);
                }
                if Instant::now() > until {
                    return Err(AckError::InUse(path.to_owned()));
                }
                std::thread::sleep(Duration::from_millis(TICK_MS));
            }
        }
    }

    /// Waits until a sink has connected and both have greeted.
    pub fn accept(
        self,
        run: &str,
        wait: Duration,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Source, AckError> {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if interrupted() {
                return Err(AckError::Interrupted);
            }
            let Ok((stream, _)) = self.listener.accept() else {
                std::thread::sleep(Duration::from_millis(TICK_MS / 4));
                continue;
            };
            let Ok(mut connection) = Connection::new(stream) else {
                continue;
            };
            connection.send(&SourceMessage::Greeting(run.to_owned()).value());
            // Whoever only looks whether somebody listens says nothing, and closes.
            let greeting = connection.wait(GREETING, interrupted);
            let Some(greeting) = greeting else {
                continue;
            };
            match SinkMessage::parse(&greeting) {
                Some(SinkMessage::Greeting(kind)) => {
                    return Ok(Source {
                        connection,
                        kind,
                        is_flush_requested: false,
                        listener: self,
                    });
                }
                _ => return Err(refusal(&greeting)),
            }
        }
        Err(AckError::NoSink {
            path: self.path.clone(),
            seconds: wait.as_secs_f64(),
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Nobody hears that it stays behind; the next run replaces it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Binds a socket whose file is for this user alone from the first moment on.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let umask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(umask);
    bound
}

/// Removes a socket that nobody listens on; says whether the path is free now.
fn remove_stale(path: &Path) -> Result<bool, AckError> {
    let is_socket = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(_) => return Ok(true),
    };
    if !is_socket {
        return Err(AckError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| AckError::Listen {
                path: path.to_owned(),
                error,
            })?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        _ => Ok(false),
    }
}

/// What a sink has sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkUpdate {
    /// Everything up to these is durable.
    pub positions: Vec<Position>,
    /// It has received what it has not acknowledged yet, and works on it.
    pub is_working: bool,
    /// It asks whether the line of this number, the last one that it has received, is the last one that was written.
    pub queried_line: Option<u64>,
    /// What it has not acknowledged of these sessions is to be sent again under another session.
    pub aborted: Vec<String>,
}

/// The source's end of the connection.
pub struct Source {
    connection: Connection,
    kind: SinkKind,
    is_flush_requested: bool,
    listener: Listener,
}

impl Source {
    pub fn kind(&self) -> SinkKind {
        self.kind
    }

    /// Announces a session. Call it before its first line is written.
    pub fn begin(&mut self, session: &Session) -> Result<(), AckError> {
        self.send(&SourceMessage::Session(session.clone()))
    }

    /// Asks the sink to flush what it collects, or no longer.
    pub fn request_flush(&mut self, yes: bool) -> Result<(), AckError> {
        if self.is_flush_requested == yes {
            return Ok(());
        }
        self.is_flush_requested = yes;
        self.send(&SourceMessage::RequestFlush(yes))
    }

    /// No more lines come of these, and up to where they were [read](super::InFlight::passed).
    pub fn released(
        &mut self,
        keys: Vec<StreamKey>,
        passed: Vec<Position>,
    ) -> Result<(), AckError> {
        self.send(&SourceMessage::Released(keys, passed))
    }

    /// Answers a [question](SinkUpdate::queried_line): the line of this number is the last one written, and standard output has a
    /// reader. A line that a dead program left torn never gets this answer from a source whose reader that program was.
    pub fn confirm(&mut self, number: u64) -> Result<(), AckError> {
        self.send(&SourceMessage::Last(number))
    }

    /// Says that no more lines come, the number of the last one written, 0 if there is none, and up to where partitions were
    /// [read](super::InFlight::passed).
    pub fn end(&mut self, last: u64, passed: Vec<Position>) -> Result<(), AckError> {
        self.send(&SourceMessage::End(last, passed))
    }

    /// Reports that everything is committed: the sink may exit.
    pub fn done(&mut self) -> Result<(), AckError> {
        self.send(&SourceMessage::Done)
    }

    fn send(&mut self, message: &SourceMessage) -> Result<(), AckError> {
        self.connection.send(&message.value());
        if self.connection.push_all(UNREAD) {
            Ok(())
        } else {
            Err(AckError::SinkGone)
        }
    }

    /// What the sink has sent since the last call. Never blocks.
    ///
    /// # Errors
    /// The sink is gone, and all that it acknowledged was returned before.
    pub fn poll(&mut self) -> Result<SinkUpdate, AckError> {
        self.connection.push();
        self.refuse_others();
        let mut update = SinkUpdate::default();
        while let Some(line) = self.connection.next() {
            match SinkMessage::parse(&line) {
                Some(SinkMessage::Durable(more)) => update.positions.extend(more),
                Some(SinkMessage::IsLast(number)) => update.queried_line = Some(number),
                Some(SinkMessage::Holding) => update.is_working = true,
                Some(SinkMessage::Aborted(sessions)) => update.aborted.extend(sessions),
                Some(SinkMessage::Greeting(_)) | None => {
                    return Err(AckError::Protocol(
                        String::from_utf8_lossy(&line).into_owned(),
                    ));
                }
            }
        }
        if update.positions.is_empty() && self.connection.is_over() {
            return Err(AckError::SinkGone);
        }
        Ok(update)
    }

    /// Disconnects a second sink at once.
    fn refuse_others(&self) {
        while self.listener.listener.accept().is_ok() {}
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.as_fd()
    }
}
