//! Kills the commands of `--exec` and their children when this program dies, also by `kill -9`.
//!
//! A shell reads from this program which process groups start and end, and kills
//! those that still run when its input ends. It reads byte by byte: lines are short.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use tools::kafka::process::spawn_isolated;

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

/// The shell that is told of the running commands.
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
    pub(crate) fn spawn(&mut self, command: &mut Command) -> io::Result<Child> {
        let child = spawn_isolated(command)?;
        self.report('+', &child)?;
        Ok(child)
    }

    /// Removes a command that has ended.
    pub(crate) fn has_ended(&mut self, child: &Child) -> io::Result<()> {
        self.report('-', child)
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

impl Drop for ChildGuard {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::{ChildGuard, shell};
    use std::io::Read as _;
    use std::process::{Child, Stdio};

    fn spawn(guard: &mut ChildGuard, script: &str) -> Child {
        guard
            .spawn(shell(script).stdout(Stdio::piped()))
            .expect("a command")
    }

    /// The pipe ends when the last that can write to it is gone.
    fn output(child: &mut Child) -> String {
        let mut output = String::new();
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_to_string(&mut output).expect("read");
        output
    }

    #[test]
    fn what_runs_when_the_input_ends_is_killed_with_its_children() {
        let mut guard = ChildGuard::start().expect("a shell");
        let mut first = spawn(&mut guard, "sleep 60 | cat; true");
        let mut ended = spawn(&mut guard, "(sleep 1; echo left behind) &");
        let mut last = spawn(&mut guard, "sleep 60 | cat; true");
        assert!(ended.wait().expect("waited").success());
        guard.has_ended(&ended).expect("reported");
        drop(guard);
        for child in [&mut first, &mut last] {
            assert!(!child.wait().expect("waited").success());
            assert_eq!(output(child), "");
        }
        assert_eq!(output(&mut ended), "left behind\n");
    }
}
