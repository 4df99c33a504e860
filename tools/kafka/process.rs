//! This process and those that it starts: which standard descriptors it was given, and what it hands on.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

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

/// Gives a command nothing of this process but its three standard descriptors, and no life beyond it.
///
/// The command is in a process group of its own. The kernel kills it, but
/// not its children, when this thread ends.
pub fn isolate(command: &mut Command) -> &mut Command {
    command.process_group(0);
    let parent = std::process::id();
    // SAFETY: between fork and exec the closure makes system calls only, which are async-signal-safe.
    unsafe { command.pre_exec(move || isolate_child(parent)) }
}

/// As [`isolate`], for a process that has to see this one's end.
pub fn detach(command: &mut Command) -> &mut Command {
    command.process_group(0);
    // SAFETY: as in `isolate`.
    unsafe {
        command.pre_exec(|| {
            keep_descriptors();
            Ok(())
        })
    }
}

#[cfg(target_os = "linux")]
fn isolate_child(parent: u32) -> std::io::Result<()> {
    keep_descriptors();
    // SAFETY: system calls with plain numbers.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        // It may have died before the kernel was asked.
        if libc::getppid() != parent.cast_signed() {
            libc::_exit(1);
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn isolate_child(_parent: u32) -> std::io::Result<()> {
    keep_descriptors();
    Ok(())
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

/// Where the kernel can't mark them all at once, so many are looked at.
const MOST_DESCRIPTORS: c_int = 4096;
