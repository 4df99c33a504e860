//! Kills the commands of `--exec` and their children when this program dies, also by `kill -9`.
//!
//! A shell reads the running process groups from this program, one line for
//! each change, and kills those of the last line when its input ends.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use tools::kafka::process::isolate;

const SCRIPT: &str = "trap '' INT TERM HUP QUIT
groups=
while read -r line; do groups=$line; done
[ -z \"$groups\" ] || kill -s KILL -- $groups";

/// The shell and the running commands.
pub(crate) struct ChildGuard {
    shell: Child,
    stdin: Option<ChildStdin>,
    running: BTreeSet<u32>,
}

impl ChildGuard {
    pub(crate) fn start() -> io::Result<ChildGuard> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // It outlives this program for a moment.
        let mut shell = tools::kafka::process::detach(&mut shell).spawn()?;
        let stdin = shell.stdin.take();
        Ok(ChildGuard {
            shell,
            stdin,
            running: BTreeSet::new(),
        })
    }

    /// Starts a command that is killed when this program dies.
    pub(crate) fn spawn(&mut self, command: &mut Command) -> io::Result<Child> {
        let child = isolate(command).spawn()?;
        self.running.insert(child.id());
        self.report()?;
        Ok(child)
    }

    /// Removes a command that has ended.
    pub(crate) fn has_ended(&mut self, child: &Child) -> io::Result<()> {
        self.running.remove(&child.id());
        self.report()
    }

    fn report(&mut self) -> io::Result<()> {
        let groups: Vec<String> = self.running.iter().map(|id| format!("-{id}")).collect();
        let line = groups.join(" ") + "\n";
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
    use super::ChildGuard;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    #[test]
    fn what_runs_when_the_input_ends_is_killed_with_its_children() {
        let mut guard = ChildGuard::start().expect("a shell");
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 60 | cat; true"])
            .stdout(Stdio::piped());
        let mut child = guard.spawn(&mut command).expect("a command");
        drop(guard);
        assert!(!child.wait().expect("waited").success());
        // The pipe ends when the last of them is gone.
        let mut output = String::new();
        let mut stdout = child.stdout.take().expect("a pipe");
        stdout.read_to_string(&mut output).expect("read");
        assert_eq!(output, "");
    }
}
