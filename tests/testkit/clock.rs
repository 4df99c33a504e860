//! A wall clock for commands, which a test can set while they run. Time that passes is another clock, and stays right.

use super::command::Cmd;
use super::process::output;
use super::session;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A clock of its own; any number of commands go by it.
pub(crate) struct Clock {
    library: &'static Path,
    path: PathBuf,
    file: File,
}

impl Clock {
    /// A clock that is right. `None`: there is no C compiler, or no glibc, and the test is skipped.
    #[track_caller]
    pub(crate) fn new() -> Option<Self> {
        static LIBRARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let library = LIBRARY.get_or_init(compile).as_ref();
        let library = super::or_skip(library.map_err(|why| format!("no clock to set: {why}")))?;
        let path = session::folder("clock").join("wrong-by");
        std::fs::write(&path, 0_i64.to_ne_bytes()).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        Some(Self {
            library,
            path,
            file,
        })
    }

    /// The command, and all that it starts, goes by this clock.
    pub(crate) fn on(&self, command: Cmd) -> Cmd {
        command
            .env("LD_PRELOAD", self.library)
            .env("KAFKAUTILS_CLOCK", &self.path)
    }

    /// Sets the clock to so many seconds after the right time, or before it, at once and for all.
    pub(crate) fn set(&self, wrong_by: i64) {
        self.file.write_all_at(&wrong_by.to_ne_bytes(), 0).unwrap();
    }
}

fn compile() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testkit/clock.c");
    let library = session::folder("clock").join("clock.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-o"]);
    let output = output(compiler.arg(&library).arg(source));
    let output = output.map_err(|error| format!("cc: {error}"))?;
    if output.status.success() {
        return Ok(library);
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(text.lines().next().unwrap_or("cc failed").to_owned())
}
