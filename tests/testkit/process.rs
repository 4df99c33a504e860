//! How a process is started, and what it has in use, as /proc shows it.

use std::fmt::Display;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{RwLock, RwLockWriteGuard};

/// Held while a child is between fork and exec, when it has a copy of every descriptor of this process.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts `command`. Every child of the tests is started here: see [`while_none_starts`].
pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let _starting = STARTING.read().unwrap();
    command.spawn()
}

/// Starts `command` and waits for its end and what it printed.
pub(crate) fn output(command: &mut Command) -> std::io::Result<Output> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(command)?.wait_with_output()
}

/// Starts `command` and waits for its end.
pub(crate) fn status(command: &mut Command) -> std::io::Result<ExitStatus> {
    spawn(command)?.wait()
}

/// No child starts while this is held: a listener that is closed now is closed, and its port is free.
pub(super) fn while_none_starts() -> RwLockWriteGuard<'static, ()> {
    STARTING.write().unwrap()
}

/// A figure of `/proc/PROCESS/status`, as `RssAnon`: memory of its own, without the pages of its program's file.
pub(crate) fn memory_kib(process: impl Display, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let figure = |line: &str| {
        let (found, figure) = line.split_once(':')?;
        (found == name).then(|| figure.trim().trim_end_matches(" kB").parse().unwrap())
    };
    status.lines().find_map(figure).unwrap()
}

/// How many descriptors are open.
pub(crate) fn descriptors(process: impl Display) -> usize {
    let open = std::fs::read_dir(format!("/proc/{process}/fd"));
    open.unwrap().count()
}
