//! The source's end: the socket's file, the one sink that connects, what is said to it and heard from it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Mode;

use super::AckError;
use super::link::{Link, TICK_MS};
use super::message::{Session, SinkKind, SinkWord, SourceWord, refusal};
use super::position::{Position, StreamKey};

/// How long a connection may take to say who it is.
const GREETING: Duration = Duration::from_secs(2);
/// A message that the socket does not take for so long has nobody who reads it.
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
            let Ok(mut link) = Link::new(stream) else {
                continue;
            };
            link.say(&SourceWord::Greeting(run.to_owned()).value());
            // Whoever only looks whether somebody listens says nothing, and closes.
            let greeting = link.wait(GREETING, interrupted);
            let Some(greeting) = greeting else {
                continue;
            };
            match SinkWord::parse(&greeting) {
                Some(SinkWord::Greeting(kind)) => {
                    return Ok(Source {
                        link,
                        kind,
                        is_hurried: false,
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
        // Nobody can be told that it stays behind; the next run replaces it.
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

/// What a sink has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Everything up to these is durable.
    pub positions: Vec<Position>,
    /// It has received what it has not acknowledged yet, and works on it.
    pub is_holding: bool,
    /// It asks whether the line of this number, the last one that it has received, is the last one that was written.
    pub asks_about: Option<u64>,
}

/// The source's end of the connection.
pub struct Source {
    link: Link,
    kind: SinkKind,
    is_hurried: bool,
    listener: Listener,
}

impl Source {
    /// What the sink is.
    pub fn kind(&self) -> SinkKind {
        self.kind
    }

    /// Says that lines of this session may come. To be called before one is written.
    pub fn begin(&mut self, session: &Session) -> Result<(), AckError> {
        self.tell(&SourceWord::Session(session.clone()))
    }

    /// Says whether what is durable is waited for; once is enough.
    pub fn hurry(&mut self, yes: bool) -> Result<(), AckError> {
        if self.is_hurried == yes {
            return Ok(());
        }
        self.is_hurried = yes;
        self.tell(&SourceWord::Hurry(yes))
    }

    /// Says that no more lines come of these, and up to where they were [read](super::Window::passed).
    pub fn released(
        &mut self,
        keys: Vec<StreamKey>,
        passed: Vec<Position>,
    ) -> Result<(), AckError> {
        self.tell(&SourceWord::Released(keys, passed))
    }

    /// Answers a [question](Heard::asks_about): the line of this number is the last one written, and standard output has a
    /// reader. A line that a dead program left torn never gets this answer from a source whose reader that program was.
    pub fn confirm(&mut self, number: u64) -> Result<(), AckError> {
        self.tell(&SourceWord::Last(number))
    }

    /// Says that no more lines come, the number of the last one written, 0 if there is none, and up to where partitions were
    /// [read](super::Window::passed).
    pub fn end(&mut self, last: u64, passed: Vec<Position>) -> Result<(), AckError> {
        self.tell(&SourceWord::End(last, passed))
    }

    /// Says that all is committed: the sink may go.
    pub fn done(&mut self) -> Result<(), AckError> {
        self.tell(&SourceWord::Done)
    }

    fn tell(&mut self, word: &SourceWord) -> Result<(), AckError> {
        self.link.say(&word.value());
        if self.link.push_all(UNREAD) {
            Ok(())
        } else {
            Err(AckError::SinkGone)
        }
    }

    /// What the sink has said since the last call. Never waits.
    ///
    /// # Errors
    /// The sink is gone, and all that it acknowledged was returned before.
    pub fn hear(&mut self) -> Result<Heard, AckError> {
        self.link.push();
        self.refuse_others();
        let mut heard = Heard::default();
        while let Some(line) = self.link.next() {
            match SinkWord::parse(&line) {
                Some(SinkWord::Durable(more)) => heard.positions.extend(more),
                Some(SinkWord::IsLast(number)) => heard.asks_about = Some(number),
                Some(SinkWord::Holding) => heard.is_holding = true,
                Some(SinkWord::Greeting(_)) | None => {
                    return Err(AckError::Protocol(
                        String::from_utf8_lossy(&line).into_owned(),
                    ));
                }
            }
        }
        if heard.positions.is_empty() && self.link.is_over() {
            return Err(AckError::SinkGone);
        }
        Ok(heard)
    }

    /// A second sink is sent away at once, instead of being left to wait.
    fn refuse_others(&self) {
        while self.listener.listener.accept().is_ok() {}
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}
