//! A member that was silent for so long that the group has given its partitions to another: it may not commit any more.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::kills::{MEMBER, wait_for_pid};
use super::{SOON, at};
use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::shell;
use crate::testkit::running::Running;
use crate::testkit::session;

/// Longer than the sessions of these groups.
const SILENCE: Duration = Duration::from_secs(5);

const SOURCE: &str = r#"member source kcat-lite -G "$GROUP" "$IN" -X auto.offset.reset=earliest \
    -X auto.commit.interval.ms=4000 $PROTOCOL"#;

/// Ways to commit: what was read last is always processed, and not committed, when the member stops.
const WAYS: [(&str, &str); 3] = [
    ("stdout", ""),
    ("exec", "--exec 'cat; sleep 2' --batch-wait 100ms"),
    (
        "ack",
        "--tsv --ack ack | tee copy | (member sink kcat-lite -P --tsv --ack ack -t \"$OUT\")",
    ),
];

/// A group whose first member is about to be suspended.
struct Suspended<'k> {
    kafka: &'k Kafka,
    what: String,
    input: String,
    output: String,
    group: String,
    properties: &'static str,
    folder: PathBuf,
    first: Running,
}

impl<'k> Suspended<'k> {
    fn start(kafka: &'k Kafka, protocol: &str, way: (&str, &str)) -> Suspended<'k> {
        let what = format!("{} {protocol}", way.0);
        let properties = match protocol {
            "classic" => "-X session.timeout.ms=2000 -X heartbeat.interval.ms=300",
            _ => "-X group.protocol=consumer",
        };
        let input = kafka.topic("stale", 1, &[]);
        let output = kafka.topic("stale-out", 1, &[]);
        kafka.produce(&input, &numbered(0, 20));
        let group = session::unique("stale");
        let folder = session::folder("stale");
        let first = shell(&format!("{MEMBER}{SOURCE} {}", way.1))
            .env("KAFKA_BROKERS", kafka.bootstrap())
            .env("GROUP", &group)
            .env("IN", &input)
            .env("OUT", &output)
            .env("PROTOCOL", properties)
            .inside(&folder)
            .limit(Duration::from_secs(120))
            .start();
        Suspended {
            kafka,
            what,
            input,
            output,
            group,
            properties,
            folder,
            first,
        }
    }

    fn source(&self) -> Pid {
        wait_for_pid(&self.folder.join("source"))
    }

    /// What was processed so far.
    fn processed(&self) -> Vec<String> {
        let mut values = self.kafka.values(&self.output);
        let shown = String::from_utf8_lossy(&self.first.stdout_so_far()).into_owned();
        values.extend(shown.lines().map(str::to_owned));
        values
    }

    fn wait_for(&self, what: &str, is_there: impl Fn() -> bool) {
        let deadline = Instant::now() + 2 * SOON;
        while !is_there() {
            assert!(Instant::now() < deadline, "{}: no {what}", self.what);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn committed(&self) -> i64 {
        let committed = self.kafka.committed(&self.group, &self.input);
        committed.get(&0).copied().unwrap_or(0)
    }

    /// Another member takes over, works on, and stays.
    fn take_over(&self) -> Running {
        let mut second = at(self.kafka, &["-G", &self.group, &self.input, "-q"])
            .args(["-X", "auto.offset.reset=earliest"])
            .args(["-X", "auto.commit.interval.ms=100"])
            .args(self.properties.split(' '))
            .limit(Duration::from_secs(120))
            .start();
        second.stdout_until("29\n", 2 * SOON);
        self.wait_for("commit of the second", || self.committed() == 30);
        second
    }

    /// The first wakes, and may not commit what it has.
    fn wake(mut self, mut second: Running) {
        let _ = kill_process(self.source(), Signal::CONT);
        self.first.stderr_until("the group has given", 2 * SOON);
        assert_eq!(self.committed(), 30, "{}", self.what);
        self.kafka.produce(&self.input, &numbered(30, 31));
        self.wait_for("last commit", || self.committed() == 31);
        let _ = kill_process(self.source(), Signal::TERM);
        second.signal(Signal::TERM);
        let mut processed = self.processed();
        self.first.wait().succeeds();
        let second = second.wait().succeeds();
        processed.extend(second.lines().into_iter().map(str::to_owned));
        for n in 0..31 {
            assert!(
                processed.contains(&n.to_string()),
                "{}: {n} is committed and was not processed",
                self.what
            );
        }
    }
}

fn numbered(from: usize, to: usize) -> Vec<Record> {
    (from..to).map(|n| Record::of(format!("{n}"))).collect()
}

#[test]
fn a_commit_of_an_old_generation_is_refused_and_nothing_is_committed_that_was_not_processed() {
    let session = "group.consumer.session.timeout.ms";
    let Some(kafka) = Spec::new().setting(session, "2000").start() else {
        return;
    };
    let mut groups = Vec::new();
    for protocol in ["classic", "consumer"] {
        groups.extend(WAYS.map(|way| Suspended::start(&kafka, protocol, way)));
    }
    for group in &groups {
        let last = "19".to_owned();
        group.wait_for("record", || group.processed().contains(&last));
        kill_process(group.source(), Signal::STOP).unwrap();
    }
    std::thread::sleep(SILENCE);
    for group in groups {
        kafka.produce(&group.input, &numbered(20, 30));
        let second = group.take_over();
        group.wake(second);
    }
}
