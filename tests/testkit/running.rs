//! A command while it runs: write to it, wait for what it prints, send it signals. Every wait has a deadline.

use super::command::{Cmd, Input};
use super::output::{Output, has};
use super::process::memory_kib;
use super::session::Group;
use rustix::process::Signal;
use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A started command. Dropped, it is killed with all its children.
pub(crate) struct Running {
    line: String,
    group: Group,
    stdin: Option<Box<dyn Write + Send>>,
    stdout: Arc<Stream>,
    stderr: Arc<Stream>,
    screen: Arc<Stream>,
    started: Instant,
    deadline: Instant,
}

impl Running {
    #[track_caller]
    pub(super) fn start(cmd: Cmd) -> Self {
        let line = cmd.line();
        let mut command = cmd.command();
        let screen =
            (cmd.terminal.stdin || cmd.terminal.stdout || cmd.terminal.stderr).then(Screen::open);
        let on_screen = || Stdio::from(screen.as_ref().unwrap().slave.try_clone().unwrap());
        command.stdin(match &cmd.input {
            _ if cmd.terminal.stdin => on_screen(),
            Input::Null => Stdio::null(),
            Input::Bytes(_) | Input::Open => Stdio::piped(),
            Input::File(path) => File::open(path).unwrap().into(),
        });
        command.stdout(match &cmd.output {
            _ if cmd.terminal.stdout => on_screen(),
            Some(path) => File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap()
                .into(),
            None => Stdio::piped(),
        });
        command.stderr(if cmd.terminal.stderr {
            on_screen()
        } else {
            Stdio::piped()
        });
        let started = Instant::now();
        let mut group =
            Group::spawn(&mut command).unwrap_or_else(|error| panic!("$ {line}\n{error}"));
        // The command holds the parent's copies of the terminal, and the terminal ends only when all are closed.
        drop(command);
        let stdout = group
            .child()
            .stdout
            .take()
            .map_or_else(Stream::ended, Stream::collect);
        let stderr = group
            .child()
            .stderr
            .take()
            .map_or_else(Stream::ended, Stream::collect);
        let mut stdin: Option<Box<dyn Write + Send>> =
            group.child().stdin.take().map(|pipe| Box::new(pipe) as _);
        let screen = screen.map_or_else(Stream::ended, |screen| {
            if cmd.terminal.stdin {
                stdin = Some(Box::new(screen.master.try_clone().unwrap()));
            }
            Stream::collect(screen.master)
        });
        if let Input::Bytes(bytes) = cmd.input {
            // A program may stop reading before the end: that shows in its status, not here.
            let mut pipe = stdin.take().unwrap();
            std::thread::spawn(move || drop(pipe.write_all(&bytes)));
        }
        Self {
            line,
            group,
            stdin,
            stdout,
            stderr,
            screen,
            started,
            deadline: started + cmd.limit,
        }
    }

    /// The number of its process.
    pub(crate) fn id(&mut self) -> u32 {
        self.group.child().id()
    }

    /// The most memory of its own that it had so far: without the pages of its program's file, which is many times as
    /// large as users have it.
    pub(crate) fn peak_memory_kib(&mut self) -> u64 {
        memory_kib(self.id(), "VmHWM") - memory_kib(self.id(), "RssFile")
    }

    /// Writes to its input, which must be open.
    #[track_caller]
    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let stdin = self.stdin.as_mut().expect("an open stdin");
        let written = stdin.write_all(bytes.as_ref()).and_then(|()| stdin.flush());
        if let Err(error) = written {
            panic!("its input is closed: {error}\n{}", self.story());
        }
        self
    }

    /// Writes what the program may refuse to take: `false` if it has closed its input.
    pub(crate) fn offer(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stdin
            .as_mut()
            .is_some_and(|stdin| stdin.write_all(bytes.as_ref()).is_ok())
    }

    /// The end of its input.
    pub(crate) fn close_stdin(&mut self) -> &mut Self {
        self.stdin = None;
        self
    }

    /// Waits until stdout has these bytes, and returns all of it so far.
    #[track_caller]
    pub(crate) fn stdout_until(&mut self, needle: impl AsRef<[u8]>, limit: Duration) -> Vec<u8> {
        let needle = needle.as_ref();
        self.until(&self.stdout, needle, limit, "stdout")
    }

    /// Waits until stderr has these bytes, and returns all of it so far.
    #[track_caller]
    pub(crate) fn stderr_until(&mut self, needle: impl AsRef<[u8]>, limit: Duration) -> Vec<u8> {
        let needle = needle.as_ref();
        self.until(&self.stderr, needle, limit, "stderr")
    }

    /// Waits until the terminal shows these bytes, and returns all of it so far.
    #[track_caller]
    pub(crate) fn screen_until(&mut self, needle: impl AsRef<[u8]>, limit: Duration) -> Vec<u8> {
        let needle = needle.as_ref();
        self.until(&self.screen, needle, limit, "the screen")
    }

    #[track_caller]
    fn until(&self, stream: &Stream, needle: &[u8], limit: Duration, name: &str) -> Vec<u8> {
        let (found, bytes) = stream.wait_for(Instant::now() + limit, |bytes| has(bytes, needle));
        assert!(
            found,
            "expected {:?} on {name} within {limit:?}\n{}",
            String::from_utf8_lossy(needle),
            self.story()
        );
        bytes
    }

    /// What it has printed so far.
    pub(crate) fn stdout_so_far(&self) -> Vec<u8> {
        self.stdout.bytes()
    }

    /// Sends the program a signal; to the shell alone where it is one.
    pub(crate) fn signal(&mut self, signal: Signal) -> &mut Self {
        self.group.signal(signal);
        self
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.group.ended().is_none()
    }

    /// Waits for its end; past its limit it is killed and the test fails with what it had printed.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Output {
        let Some(status) = self.group.wait_until(self.deadline) else {
            self.group.kill();
            panic!(
                "still running after {:?}, killed\n{}",
                self.started.elapsed(),
                self.story()
            );
        };
        let elapsed = self.started.elapsed();
        self.stdin = None;
        // The whole group is dead by now, so the pipes end; a process that left the group may still hold them.
        let grace = Instant::now() + Duration::from_secs(5);
        let read = |stream: &Stream| {
            let (_, bytes) = stream.wait_for(grace, |_| false);
            bytes
        };
        let (stdout, stderr, screen) = (read(&self.stdout), read(&self.stderr), read(&self.screen));
        Output {
            line: self.line.clone(),
            status,
            stdout,
            stderr,
            screen,
            elapsed,
        }
    }

    fn story(&self) -> String {
        let show = |stream: &Stream| String::from_utf8_lossy(&stream.bytes()).into_owned();
        format!(
            "$ {}\n--- stdout so far\n{}\n--- stderr so far\n{}\n--- screen so far\n{}",
            self.line,
            show(&self.stdout),
            show(&self.stderr),
            show(&self.screen)
        )
    }
}

/// What has come out of a pipe so far, and whether it has ended.
#[derive(Default)]
struct Stream {
    state: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Stream {
    /// One that never was.
    fn ended() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new((Vec::new(), true)),
            changed: Condvar::new(),
        })
    }

    /// Reads `pipe` to its end on a thread.
    fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Self> {
        let stream = Arc::new(Self::default());
        let collected = Arc::clone(&stream);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = match pipe.read(&mut buffer) {
                    Ok(count) => count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    // A terminal whose programs have gone ends with EIO, which is its end of file.
                    Err(_) => 0,
                };
                let mut state = collected.state.lock().unwrap();
                state.0.extend_from_slice(&buffer[..count]);
                state.1 = count == 0;
                collected.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        stream
    }

    fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().0.clone()
    }

    /// Waits until `enough` holds, the stream ends or the deadline passes: whether it held, and the bytes so far.
    fn wait_for(
        &self,
        deadline: Instant,
        mut enough: impl FnMut(&[u8]) -> bool,
    ) -> (bool, Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if enough(&state.0) {
                return (true, state.0.clone());
            }
            if state.1 || left.is_zero() {
                return (false, state.0.clone());
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// A pseudo-terminal of 24 lines and 80 columns.
struct Screen {
    master: File,
    slave: File,
}

impl Screen {
    fn open() -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags =
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let slave = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap();
        let size = rustix::termios::Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&slave, size).unwrap();
        Self {
            master: master.into(),
            slave: slave.into(),
        }
    }
}
