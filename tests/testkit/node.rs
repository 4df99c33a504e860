//! One broker of a Kafka that the tests start: a JVM, its folder and its ports.

use super::broker::PATIENCE;
use super::java::JVM;
use super::session::Group;
use rustix::process::Signal;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

/// One broker: its folder, its ports, and its process while it runs.
pub(super) struct Node {
    pub(super) id: u16,
    pub(super) folder: PathBuf,
    /// PLAINTEXT, then the extra listeners.
    pub(super) ports: Vec<u16>,
    /// Options of its JVM.
    pub(super) jvm: Vec<String>,
    pub(super) process: Mutex<Option<Group>>,
}

impl Node {
    pub(super) fn format(&self, properties: &str, class_path: &str, words: &[String]) {
        std::fs::create_dir_all(&self.folder).unwrap();
        std::fs::write(self.folder.join("server.properties"), properties).unwrap();
        std::fs::write(self.folder.join("log4j2.properties"), LOG4J).unwrap();
        let mut command = self.java(class_path);
        command
            .args([
                "kafka.tools.StorageTool",
                "format",
                "-t",
                CLUSTER,
                "-c",
                "server.properties",
            ])
            .args(words);
        let mut process = Group::spawn(&mut command).unwrap();
        let status = process.wait_until(Instant::now() + PATIENCE);
        assert!(
            status.is_some_and(|status| status.success()),
            "StorageTool format: {status:?}\n{}",
            self.log()
        );
    }

    pub(super) fn spawn(&self, class_path: &str) {
        let mut command = self.java(class_path);
        command.args(["kafka.Kafka", "server.properties"]);
        *self.process.lock().unwrap() = Some(Group::spawn(&mut command).unwrap());
    }

    /// A JVM in this node's folder, printing to its log.
    fn java(&self, class_path: &str) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .unwrap();
        let mut command = Command::new("java");
        command.args(JVM).args(&self.jvm).args([
            "-Dlog4j2.configurationFile=log4j2.properties",
            "-cp",
            class_path,
        ]);
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }

    pub(super) fn signal(&self, signal: Signal) {
        self.process
            .lock()
            .unwrap()
            .as_ref()
            .expect("a running broker")
            .signal(signal);
    }

    pub(super) fn log(&self) -> String {
        tail(&self.folder.join("log"))
    }
}

/// Any id will do, all nodes having the same.
const CLUSTER: &str = "a2Fma2F1dGlscy10ZXN0cw";

/// All that a failed start needs: warnings, and the lines that say what was started.
const LOG4J: &str = "\
rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
";

fn tail(path: &Path) -> String {
    let text = std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A port nobody listens on, below the range the kernel gives to outgoing connections.
///
/// In that range a client that keeps connecting to the port of a dead broker ends up connected to itself one day,
/// and the broker cannot come back.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 15000;
    const COUNT: u16 = 15000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static SEED: OnceLock<u16> = OnceLock::new();
    // Other runs of the tests start elsewhere.
    let seed =
        *SEED.get_or_init(|| (std::process::id().wrapping_mul(7919) % u32::from(COUNT)) as u16);
    loop {
        let port = FIRST + (seed + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
