//! Kills the commands of `--exec` and their children when this program dies, also by `kill -9`.
//!
//! A shell reads from this program which process groups start and end, and kills
//! those that still run when its input ends. It reads byte by byte: lines are short.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tools::kafka::process::{kill_group, spawn_isolated};

const SCRIPT: &str = "trap '' INT TERM HUP QUIT
groups=' '
while read -r change group; do
    case $change in
    +) groups=\"$groups-$group \" ;;
    *) groups=\"${groups%% -$group *} ${groups#* -$group }\" ;;
    esac
done
[ -z \"${groups# }\" ] || kill -s KILL -- $groups";

/// `sh -c COMMAND`; the full path saves each command the search for it.
pub(crate) fn shell(command: impl AsRef<OsStr>) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    shell
}

/// The shell that knows the running commands.
pub(crate) struct ChildGuard {
    shell: Child,
    stdin: Option<ChildStdin>,
}

impl ChildGuard {
    pub(crate) fn start() -> io::Result<ChildGuard> {
        let mut shell = shell(SCRIPT);
        shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // It outlives this program for a moment.
        let mut shell = spawn_isolated(&mut shell)?;
        let stdin = shell.stdin.take();
        Ok(ChildGuard { shell, stdin })
    }

    /// Starts a command that is killed when this program dies.
    pub(crate) fn spawn(&mut self, command: &mut Command) -> io::Result<GuardedChild> {
        let child = spawn_isolated(command)?;
        self.report('+', &child)?;
        Ok(GuardedChild {
            child,
            pidfd: OnceCell::new(),
        })
    }

    /// How a command has ended, if it has. Ask once only: the guard then forgets it.
    pub(crate) fn try_wait(
        &mut self,
        guarded: &mut GuardedChild,
    ) -> io::Result<Option<ExitStatus>> {
        let status = guarded.child.try_wait()?;
        if status.is_some() {
            self.report('-', &guarded.child)?;
        }
        Ok(status)
    }

    /// Kills a command and its children.
    pub(crate) fn kill(&mut self, guarded: &mut GuardedChild) -> io::Result<()> {
        kill_group(&mut guarded.child)?;
        self.report('-', &guarded.child)
    }

    fn report(&mut self, change: char, child: &Child) -> io::Result<()> {
        // One write: the shell wakes up once.
        let line = format!("{change} {}\n", child.id());
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(line.as_bytes()),
            None => Ok(()),
        }
    }
}

/// A command that is killed when this program dies.
pub(crate) struct GuardedChild {
    child: Child,
    /// Opened when it is waited for; `None` before Linux 5.3.
    pidfd: OnceCell<Option<OwnedFd>>,
}

impl GuardedChild {
    /// What becomes readable when the command ends, where the kernel has such a thing.
    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        let open = || pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).ok();
        self.pidfd.get_or_init(open).as_ref().map(AsFd::as_fd)
    }
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::{ChildGuard, GuardedChild, shell};
    use std::io::Read as _;
    use std::process::Stdio;

    use rustix::event::{PollFd, PollFlags, poll};

    fn spawn(guard: &mut ChildGuard, script: &str) -> GuardedChild {
        guard
            .spawn(shell(script).stdout(Stdio::piped()))
            .expect("a command")
    }

    /// The pipe ends when the last that can write to it is gone.
    fn output(guarded: &mut GuardedChild) -> String {
        let mut output = String::new();
        let mut stdout = guarded.child.stdout.take().expect("a pipe");
        stdout.read_to_string(&mut output).expect("read");
        output
    }

    #[test]
    fn what_runs_when_the_input_ends_is_killed_with_its_children() {
        let mut guard = ChildGuard::start().expect("a shell");
        let mut first = spawn(&mut guard, "sleep 60 | cat; true");
        let mut ended = spawn(&mut guard, "(sleep 1; echo left behind) &");
        let mut last = spawn(&mut guard, "sleep 60 | cat; true");
        let pidfd = ended.pidfd().expect("a pidfd");
        let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
        poll(&mut fds, None).expect("the command ends");
        let status = guard.try_wait(&mut ended).expect("reported");
        assert!(status.expect("it has ended").success());
        drop(guard);
        for killed in [&mut first, &mut last] {
            assert!(!killed.child.wait().expect("waited").success());
            assert_eq!(output(killed), "");
        }
        assert_eq!(output(&mut ended), "left behind\n");
    }
}
