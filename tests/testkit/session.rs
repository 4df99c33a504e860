//! One test run: its temporary folder and the processes it started.
//!
//! A test binary leaves by `exit`, which runs no destructor of a static, or by a signal, which runs none at all.
//! So a keeper, a shell outside our process group, waits for the end of a pipe that only we hold open; then it
//! kills what is still registered and removes the folder.

use super::process::spawn;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `$1` is the folder. Every name in `$1/alive` is a process group; SIGKILL may come too late for a group that has
/// just ended, which is no error. Java may still write while it dies, hence the second removal.
const KEEPER: &str = r#"
cat >/dev/null
for group in "$1"/alive/*; do kill -s KILL -- "-${group##*/}" 2>/dev/null; done
rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }
"#;

struct Session {
    folder: PathBuf,
    /// Waits for its input to close, which is this value's; it outlives us, so nobody waits for it.
    _keeper: Child,
}

fn session() -> &'static Session {
    static SESSION: OnceLock<Session> = OnceLock::new();
    SESSION.get_or_init(|| {
        let folder = tempfile::Builder::new()
            .prefix("kafkautils-tests-")
            .tempdir()
            .unwrap()
            .keep();
        std::fs::create_dir(folder.join("alive")).unwrap();
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not ours: Ctrl-C on `cargo test` must not take the keeper before it has cleaned up.
            .process_group(0);
        Session {
            folder,
            _keeper: spawn(&mut keeper).unwrap(),
        }
    })
}

/// A new empty folder, gone with the run.
pub(crate) fn folder(hint: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = session().folder.join(format!("{hint}-{count}"));
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// A name no other test of this or another run uses: `hint-PID-COUNT`.
pub(crate) fn unique(hint: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let hint: String = hint
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!(
        "{hint}-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A command inherits what its parent ignores (nohup, `cargo test &` in a script), and our programs rightly keep
/// ignoring it. What is caught here, and comes to nothing, has its default again in every child.
fn take_signals_that_are_ignored() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    static TAKEN: OnceLock<()> = OnceLock::new();
    TAKEN.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
            if ignored.unwrap_or(0) & (1 << (signal - 1)) != 0 {
                signal_hook::flag::register(signal, std::sync::Arc::default()).unwrap();
            }
        }
    });
}

/// A child in a process group of its own. Dropped, or orphaned by the end of the run, the whole group is killed.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    ended: bool,
}

impl Group {
    /// Starts `command` as the head of a new process group.
    pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Self> {
        take_signals_that_are_ignored();
        let child = spawn(command.process_group(0))?;
        std::fs::write(mark(child.id()), "")?;
        Ok(Self {
            child,
            ended: false,
        })
    }

    /// The child itself, for its pipes.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The status if the child has ended.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        let status = self.child.try_wait().unwrap();
        if status.is_some() && !self.ended {
            self.ended = true;
            // What a shell left behind in its group ends with it.
            self.kill_group();
            drop(std::fs::remove_file(mark(self.child.id())));
        }
        status
    }

    /// Waits at most until `deadline`; `None`: it is still running.
    pub(crate) fn wait_until(
        &mut self,
        deadline: std::time::Instant,
    ) -> Option<std::process::ExitStatus> {
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if std::time::Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Sends a signal to the child alone.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        if !self.ended {
            let _ = rustix::process::kill_process(self.pid(), signal);
        }
    }

    /// Kills the whole group and waits for the child.
    pub(crate) fn kill(&mut self) {
        if self.ended {
            return;
        }
        self.kill_group();
        self.child.wait().unwrap();
        self.ended();
    }

    fn kill_group(&self) {
        let _ = rustix::process::kill_process_group(self.pid(), rustix::process::Signal::KILL);
    }

    fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn mark(group: u32) -> PathBuf {
    session().folder.join("alive").join(group.to_string())
}

/// Whether `program` is on the path.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| is_program(&folder.join(program)))
    })
}

fn is_program(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
}
