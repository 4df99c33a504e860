//! The programs that run for ever, run for a while: memory and descriptors stay what they are.
//!
//! `KAFKAUTILS_SOAK_S=600 cargo test --test tests soak:: -- --nocapture` runs them for ten minutes and prints what each
//! had in use at the most, in each third of that time.

use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::shell;
use crate::testkit::running::Running;
use crate::testkit::{http, number, process, session};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// So much more than in the second third may be in use in the last one: a page is not given back at once.
const SLACK_KIB: u64 = 2048;

/// For how long they run.
fn length() -> Duration {
    Duration::from_secs(number("KAFKAUTILS_SOAK_S").unwrap_or(15))
}

/// What each program is named by, and a command line that leaves its number in a file of this name.
const PROGRAMS: [(&str, &str); 8] = [
    (
        "produce",
        r#"perl -e '$| = 1; while (!-e "stop") { print "$_\tvalue $_\n" for 1..20; select undef, undef, undef, 0.02 }' |
            (echo $BASHPID >produce; exec kcat-lite -P -q -t "$TOPIC" --tsv)"#,
    ),
    (
        "consume",
        r#"echo $$ >consume; exec kcat-lite -C -q -t "$TOPIC" --tsv=all >/dev/null"#,
    ),
    (
        "exec",
        r#"echo $$ >exec; exec kcat-lite -G "$TOPIC-exec" -q --tsv --batch-wait 500ms --exec 'cat >/dev/null' "$TOPIC""#,
    ),
    (
        "source",
        r#"(echo $BASHPID >source; exec kcat-lite -G "$TOPIC-backup" -q --tsv=all --ack "$PWD/ack" "$TOPIC") |
            (echo $BASHPID >ktee; exec ktee -q --tsv=all --ack "$PWD/ack" --max-delay 2s backup/ >/dev/null)"#,
    ),
    ("ktee", ""),
    ("listen", "echo $$ >listen; exec klag --listen 127.0.0.1:0"),
    (
        "klag",
        r#"echo $$ >klag; exec klag -g "^$TOPIC" --time --watch 1s >/dev/null"#,
    ),
    (
        "koldest",
        r#"echo $$ >koldest; exec koldest "$TOPIC" --watch 1s >/dev/null"#,
    ),
];

/// What a process has in use.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    kib: u64,
    descriptors: usize,
}

impl Use {
    fn of(id: &str) -> Use {
        Use {
            kib: process::memory_kib(id, "RssAnon"),
            descriptors: process::descriptors(id),
        }
    }

    fn most(self, other: Use) -> Use {
        Use {
            kib: self.kib.max(other.kib),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }
}

struct Soak {
    folder: PathBuf,
    running: Vec<(&'static str, Running)>,
    /// Where the exporter listens.
    address: String,
}

impl Soak {
    fn start(kafka: &Kafka) -> Soak {
        let folder = session::folder("soak");
        let topic = kafka.topic("soak", 3, &[("retention.bytes", "50000000")]);
        let start = |&(name, script): &(&'static str, &str)| {
            let command = shell(script)
                .env("KAFKA_BROKERS", kafka.bootstrap())
                .env("TOPIC", &topic)
                .inside(&folder)
                .limit(length() * 2 + Duration::from_secs(120));
            (name, command.start())
        };
        let own = PROGRAMS.iter().filter(|(_, script)| !script.is_empty());
        let mut running: Vec<_> = own.map(start).collect();
        let exporter = running.iter_mut().find(|(name, _)| *name == "listen");
        let exporter = &mut exporter.unwrap().1;
        let line = exporter.stderr_until("/metrics\n", Duration::from_secs(60));
        let line = String::from_utf8(line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap();
        Soak {
            folder,
            address: address.trim_end_matches("/metrics").to_owned(),
            running,
        }
    }

    fn process(&self, name: &str) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let text = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
            if text.ends_with('\n') {
                return text.trim().to_owned();
            }
            assert!(Instant::now() < until, "{name} does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The most that each program has in use in each third of the time.
    fn watch(&self) -> Vec<[Use; 3]> {
        let processes = PROGRAMS.map(|(name, _)| self.process(name));
        let mut most = vec![[Use::default(); 3]; PROGRAMS.len()];
        let started = Instant::now();
        loop {
            let third = (started.elapsed().as_secs_f64() * 3.0 / length().as_secs_f64()) as usize;
            if third > 2 {
                return most;
            }
            http::get(&self.address, "/metrics").unwrap().text();
            for (most, process) in most.iter_mut().zip(&processes) {
                most[third] = most[third].most(Use::of(process));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Everything ends when it is told to.
    fn stop(mut self) {
        std::fs::write(self.folder.join("stop"), "").unwrap();
        for (name, _) in PROGRAMS {
            if !matches!(name, "produce" | "ktee") {
                let process = self.process(name).parse().unwrap();
                let process = rustix::process::Pid::from_raw(process).unwrap();
                rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
            }
        }
        for (_, running) in self.running.drain(..) {
            running.wait().succeeds();
        }
    }
}

#[test]
fn memory_and_descriptors_of_what_runs_for_ever_stay_what_they_are() {
    let Some(kafka) = shared_kafka() else { return };
    let soak = Soak::start(kafka);
    let most = soak.watch();
    soak.stop();
    let mut table = String::new();
    for ((name, _), thirds) in PROGRAMS.iter().zip(&most) {
        let _ = write!(table, "{name:10}");
        for third in thirds {
            let _ = write!(table, "{:9} KiB {:3} fd", third.kib, third.descriptors);
        }
        table.push('\n');
    }
    let _ = write!(std::io::stderr(), "{table}");
    for ((name, _), [_, second, last]) in PROGRAMS.iter().zip(&most) {
        assert!(
            last.descriptors <= second.descriptors + 2,
            "{name}\n{table}"
        );
        // A tenth more, where the whole is large: buffers follow the load.
        let limit = second.kib + SLACK_KIB + second.kib / 10;
        assert!(last.kib <= limit, "{name}\n{table}");
    }
}
