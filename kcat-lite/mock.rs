//! `-M`: a throw-away cluster for a command; without a command it prints `BROKERS=...` and runs until stdin ends.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::{Origin, WithOrigin};
use signal_hook::low_level::siginfo::Cause;
use tools::cli::signals::Signals;
use tools::cli::stdin::{Filled, Input};
use tools::cli::stdout::Out;
use tools::cli::{Exit, message};
use tools::kafka::mock::MockCluster;

use crate::config::Mock;

pub(crate) fn run(config: &Mock) -> anyhow::Result<Exit> {
    let cluster = MockCluster::start(config.brokers).map_err(anyhow::Error::msg)?;
    match config.command.split_first() {
        Some((program, arguments)) => run_command(&cluster, program, arguments),
        None => print_and_wait(&cluster, config.quiet),
    }
}

/// As kcat does: prints a line at once, and ends with stdin.
fn print_and_wait(cluster: &MockCluster, quiet: bool) -> anyhow::Result<Exit> {
    let signals = Signals::catch()?;
    let mut out = Out::stdout()?;
    let line = format!("BROKERS={}\n", cluster.brokers());
    out.buffer().extend_from_slice(line.as_bytes());
    out.flush(&signals)?;
    if std::io::stdin().is_terminal() && !quiet {
        message("the cluster lives until Ctrl-D");
    }
    let mut input = Input::stdin()?;
    let mut ignored = Vec::new();
    loop {
        ignored.clear();
        match input
            .fill(&mut ignored, &signals, 60_000)
            .context("cannot read standard input")?
        {
            Filled::Bytes(_) | Filled::Idle => {}
            Filled::End => return Ok(Exit::Done),
            Filled::Signal => return Ok(signals.caught().map_or(Exit::Done, Exit::Signal)),
        }
    }
}

/// As env(1) does: the command inherits the streams, and its exit code is ours.
fn run_command(
    cluster: &MockCluster,
    program: &OsString,
    arguments: &[OsString],
) -> anyhow::Result<Exit> {
    // Caught before the command exists, so that none is missed.
    let mut signals = SignalsInfo::<WithOrigin>::new([SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP])?;
    let started = Command::new(program)
        .args(arguments)
        .env("KAFKA_BROKERS", cluster.brokers())
        // The user's own file may ask for TLS or a password, which this cluster has not.
        .env("KCAT_CONFIG", "/dev/null")
        .env_remove("KAFKACAT_CONFIG")
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            message(format_args!("{}: {error}", program.to_string_lossy()));
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            return Ok(Exit::Code(if is_missing { 127 } else { 126 }));
        }
    };
    loop {
        for origin in signals.wait() {
            if origin.signal != SIGCHLD {
                forward(&origin, &child);
            }
        }
        if let Some(status) = child.try_wait().context("cannot wait for the command")? {
            return Ok(Exit::Code(exit_code(status)));
        }
    }
}

/// Passes a signal on, unless the terminal sent it (^C), which has sent it to the command as well.
fn forward(origin: &Origin, child: &Child) {
    if origin.cause == Cause::Kernel {
        return;
    }
    if let Some(signal) = Signal::from_named_raw(origin.signal) {
        // It may have ended just now; the next round sees that.
        let _ = kill_process(Pid::from_child(child), signal);
    }
}

/// As in a shell: 128 plus the signal's number for a command that a signal ended.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(2)
}
