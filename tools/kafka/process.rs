//! This process and those that it starts: which standard descriptors it was given, and what it hands on.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process_group};

unsafe extern "C" {
    safe fn kafkautils_closed_at_start() -> c_int;
}

/// The first of standard input, output and error that was closed when this process was started.
pub fn closed_at_start() -> Option<&'static str> {
    let names = ["standard input", "standard output", "standard error"];
    let closed = kafkautils_closed_at_start();
    let is_closed = |fd: &usize| closed & (1 << fd) != 0;
    (0..names.len()).find(is_closed).map(|fd| names[fd])
}

/// Starts a command in a process group of its own, with nothing of this process but its three standard descriptors.
///
/// No code of ours runs between fork and exec: the standard library then uses `posix_spawn`, which copies no memory map.
pub fn spawn_isolated(command: &mut Command) -> std::io::Result<Child> {
    keep_descriptors();
    command.process_group(0).spawn()
}

/// Kills a command of [`spawn_isolated`] and what it has started, and waits for it.
pub fn kill_group(child: &mut Child) -> std::io::Result<()> {
    // It may have ended just now.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    child.wait().map(drop)
}

/// Hands no descriptor on but the first three: librdkafka opens some without `O_CLOEXEC`.
fn keep_descriptors() {
    // SAFETY: system calls with plain numbers; what is not open is an error that says so.
    unsafe {
        #[cfg(target_os = "linux")]
        {
            const CLOSE_ON_EXEC: u32 = 4;
            if libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, CLOSE_ON_EXEC) == 0 {
                return;
            }
        }
        for fd in 3..MOST_DESCRIPTORS {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Descriptors up to this number are marked where close_range() is missing.
const MOST_DESCRIPTORS: c_int = 4096;
