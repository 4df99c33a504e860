//! What kills the commands of `--exec`, with all that they have started, when this program dies.
//!
//! A program that is killed by `kill -9` can do nothing more itself. So a
//! shell reads from it which process groups run, and kills those of the last
//! line when its input ends.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use tools::kafka::process::isolate;

const SCRIPT: &str = "trap '' INT TERM HUP QUIT
groups=
while read -r line; do groups=$line; done
[ -z \"$groups\" ] || kill -s KILL -- $groups";

/// The shell, and what it knows.
pub(super) struct Guard {
    shell: Child,
    /// Taken at the end.
    stdin: Option<ChildStdin>,
    running: BTreeSet<u32>,
}

impl Guard {
    pub(super) fn start() -> io::Result<Guard> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // It outlives this program, for a moment.
        let mut shell = tools::kafka::process::detach(&mut shell).spawn()?;
        let stdin = shell.stdin.take();
        Ok(Guard {
            shell,
            stdin,
            running: BTreeSet::new(),
        })
    }

    /// Starts a command that does not outlive this program.
    pub(super) fn spawn(&mut self, command: &mut Command) -> io::Result<Child> {
        let child = isolate(command).spawn()?;
        self.running.insert(child.id());
        self.report()?;
        Ok(child)
    }

    /// Forgets a command that has ended.
    pub(super) fn has_ended(&mut self, child: &Child) -> io::Result<()> {
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

impl Drop for Guard {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::Guard;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    #[test]
    fn what_runs_when_the_input_ends_is_killed_with_its_children() {
        let mut guard = Guard::start().expect("a shell");
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
