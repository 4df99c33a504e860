//! All programs on three brokers while everything breaks: what was acknowledged is there once, and nothing hangs.
//!
//! The clock that is set is in [`clock`](crate::clock), what runs for long in [`soak`](crate::soak).

use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::output::ended_lines;
use crate::testkit::proxy::Weather;
use crate::testkit::running::Running;
use crate::testkit::{free_port, http, number, session};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many records pass while things break; four milliseconds for each.
fn record_count() -> usize {
    number("KAFKAUTILS_CHAOS_RECORDS").map_or(12_000, |count| count as usize)
}

/// So long may a question take that gives up after three seconds, on a machine that is busy.
const ANSWER: Duration = Duration::from_secs(20);
/// So long may it take until all is well again.
const RECOVERY: Duration = Duration::from_secs(180);

/// A cluster that bears the loss of any one broker.
fn cluster() -> Option<Kafka> {
    Spec::new()
        .brokers(3)
        .behind_proxies()
        .setting("min.insync.replicas", "2")
        .setting("offsets.topic.replication.factor", "3")
        .setting("transaction.state.log.replication.factor", "3")
        .start()
}

/// What runs from the first fault to the last.
struct Flow {
    producer: Running,
    reader: Running,
    read: PathBuf,
    backup: Running,
    exporter: Running,
    port: u16,
}

struct Chaos<'k> {
    kafka: &'k Kafka,
    bootstrap: String,
    topic: String,
    folder: PathBuf,
}

impl Chaos<'_> {
    fn start(&self) -> Flow {
        let read = self.folder.join("read");
        let reader = self
            .at(cmd("kcat-lite").args(["-C", "-q", "-t", &self.topic]))
            .args(["--tsv=partition,offset,key"])
            .stdout_to(&read)
            .limit(RECOVERY * 2)
            .start();
        // Paced, so that every fault meets records under way.
        let produce = r#"perl -e '$| = 1; for (1..$ENV{COUNT}) { print "$_\tvalue $_\n"; select undef, undef, undef, 0.004 }' |
            kpart -n 3 | kcat-lite -P -q -t "$TOPIC" --tsv=partition,key,value"#;
        let producer = self
            .shell(produce)
            .env("COUNT", record_count().to_string())
            .limit(RECOVERY * 2)
            .start();
        // A backup that is ended every few seconds, and started again whatever ended it.
        let backup = r#"until [ -e stop ]; do
            (echo $BASHPID >pid; exec kcat-lite -G backup -q --tsv=all --ack "$PWD/ack" -X auto.offset.reset=earliest "$TOPIC") |
                (echo $BASHPID >tee; exec ktee -q --tsv=all --ack "$PWD/ack" backup/ >/dev/null) &
            for second in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1; [ -e stop ] && break; done
            kill -TERM $(cat pid) || sleep 0.5
            wait
        done"#;
        let backup = self.shell(backup).limit(RECOVERY * 3).start();
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let exporter = self
            .at(cmd("klag").args(["-q", "--listen", &listen]))
            .limit(RECOVERY * 3)
            .start();
        Flow {
            producer,
            reader,
            read,
            backup,
            exporter,
            port,
        }
    }

    fn at(&self, command: Cmd) -> Cmd {
        command.args(["-b", &self.bootstrap, "-m", "3"])
    }

    fn shell(&self, script: &str) -> Cmd {
        shell(script)
            .env("KAFKA_BROKERS", &self.bootstrap)
            .env("TOPIC", &self.topic)
            .inside(&self.folder)
    }

    /// Every question is answered or given up in time, whatever the weather; what it says is judged in fair weather.
    fn ask_everybody(&self) {
        for question in [
            self.at(cmd("kcat-lite").args(["-L", "-t", &self.topic])),
            self.at(cmd("kcat-lite").args(["-Q", "-t", &format!("{}:0:end", self.topic)])),
            self.at(cmd("klag").args(["-g", "backup", "--time"])),
            self.at(cmd("koldest").arg(&self.topic)),
        ] {
            let ended = question.limit(ANSWER).run();
            ended.expect(
                |it| matches!(it.status.code(), Some(0 | 2)),
                "an answer or a failure",
            );
        }
    }

    /// A disk that is full is told in any weather.
    fn fill_a_disk(&self) {
        self.at(cmd("kcat-lite").args(["-C", "-t", &self.topic]))
            .stdout_to("/dev/full")
            .limit(ANSWER * 3)
            .run()
            .fails_with(2)
            .stderr_has("No space left");
    }

    fn lose_a_broker(&self) {
        self.kafka.kill(1);
        self.ask_everybody();
        std::thread::sleep(Duration::from_secs(3));
        self.kafka.start_again(1);
    }

    fn restart_all_one_after_another(&self) {
        for id in 1..=3 {
            self.kafka.stop(id);
            self.kafka.start_again(id);
        }
    }

    fn change_the_weather(&self) {
        let spell = Duration::from_secs(3);
        for (id, weather) in [(2, Weather::Cut), (3, Weather::Frozen)] {
            self.kafka.network(id).set(weather);
            self.ask_everybody();
            std::thread::sleep(spell);
            self.kafka.network(id).set(Weather::Fair);
        }
        let slow = Weather::Slow(Duration::from_millis(50));
        (1..=3).for_each(|id| self.kafka.network(id).set(slow));
        self.ask_everybody();
        std::thread::sleep(spell);
        (1..=3).for_each(|id| self.kafka.network(id).set(Weather::Fair));
    }

    fn hold_still(&self, flow: &mut Flow) {
        self.kafka.pause(2);
        flow.reader.signal(Signal::STOP);
        flow.producer.signal(Signal::STOP);
        flow.exporter.signal(Signal::STOP);
        std::thread::sleep(Duration::from_secs(2));
        flow.exporter.signal(Signal::CONT);
        flow.producer.signal(Signal::CONT);
        flow.reader.signal(Signal::CONT);
        self.kafka.resume(2);
    }

    /// A terminal that closes ends a reader, cleanly, and a backup, which is started again.
    fn hang_up(&self) {
        let until = Instant::now() + RECOVERY;
        while !self.hang_up_on_tee() {
            assert!(Instant::now() < until, "no ktee is ever there");
            std::thread::sleep(Duration::from_millis(100));
        }
        let reader = self.at(cmd("kcat-lite").args(["-C", "-u", "-t", &self.topic]));
        let mut reader = reader.limit(ANSWER * 3).start();
        reader.stdout_until("\n", ANSWER * 2);
        reader.signal(Signal::HUP);
        reader.wait().dies_by(Signal::HUP);
    }

    /// Whether a ktee was there to be told.
    fn hang_up_on_tee(&self) -> bool {
        let process = std::fs::read_to_string(self.folder.join("tee")).unwrap_or_default();
        let process = process.trim();
        let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        let pid = process.parse().ok().and_then(Pid::from_raw);
        let told = pid.filter(|_| name.trim() == "ktee");
        told.is_some_and(|pid| kill_process(pid, Signal::HUP).is_ok())
    }

    /// Every record is in the topic once, and was read once, in its order.
    fn judge(&self, flow: Flow) {
        let Flow {
            producer,
            mut reader,
            read,
            backup,
            exporter,
            port,
        } = flow;
        producer.wait().succeeds();
        let count = record_count();
        let mut keys: Vec<usize> = self
            .kafka
            .records(&self.topic)
            .into_iter()
            .map(|record| {
                String::from_utf8(record.key.unwrap())
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        keys.sort_unstable();
        assert!(
            keys.iter().copied().eq(1..=count),
            "the topic holds each record once"
        );
        let until = Instant::now() + RECOVERY;
        while lines(&read) < count && reader.runs() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(200));
        }
        reader.signal(Signal::TERM);
        reader.wait().succeeds();
        let text = std::fs::read_to_string(&read).unwrap();
        let mut last: BTreeMap<i32, i64> = BTreeMap::new();
        let mut read: Vec<usize> = Vec::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let (partition, offset) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
            let before = last.insert(partition, offset).unwrap_or(-1);
            assert!(
                before < offset,
                "partition {partition}: {before} before {offset}"
            );
            read.push(fields[2].parse().unwrap());
        }
        read.sort_unstable();
        assert!(
            read.iter().copied().eq(1..=count),
            "the reader saw each record once"
        );
        self.judge_backup(backup);
        Self::judge_exporter(exporter, port);
    }

    /// The backup has each record once, and nothing is left to be read.
    fn judge_backup(&self, backup: Running) {
        std::fs::write(self.folder.join("stop"), "").unwrap();
        backup.wait();
        self.shell(
            r#"kcat-lite -G backup -e -q --tsv=all --ack "$PWD/ack" "$TOPIC" | ktee -q --tsv=all --ack "$PWD/ack" backup/ >/dev/null"#,
        )
        .limit(RECOVERY)
        .run()
        .succeeds();
        self.shell("ktee --verify backup/")
            .limit(ANSWER * 3)
            .run()
            .succeeds();
        let keys = self
            .shell("ktee --cat backup/ | cut -f 5 | sort -n")
            .limit(ANSWER * 3);
        let keys = keys.run().succeeds();
        let expected = (1..=record_count()).map(|key| key.to_string());
        assert!(
            keys.lines().into_iter().eq(expected),
            "the backup holds each record once"
        );
        self.at(cmd("klag").args(["-g", "backup", "--max-lag", "0", "--unknown=fail"]))
            .run()
            .succeeds()
            .stdout_is("");
        let rows = self.at(cmd("koldest").arg(&self.topic)).run().succeeds();
        assert_eq!(rows.lines().len(), 3);
    }

    /// The exporter has outlived it all and knows that nothing is left.
    fn judge_exporter(mut exporter: Running, port: u16) {
        let answer = http::get(("127.0.0.1", port), "/metrics").unwrap().text();
        let sum = "kafka_consumergroup_group_sum_lag{group=\"backup\"} 0";
        assert!(answer.contains(sum), "{answer}");
        exporter.signal(Signal::TERM);
        exporter.wait().succeeds();
    }
}

fn lines(path: &Path) -> usize {
    let text = std::fs::read(path).unwrap();
    ended_lines(&text)
}

#[test]
fn whatever_breaks_what_was_acknowledged_is_there_once_and_nothing_hangs() {
    let Some(kafka) = cluster() else { return };
    let chaos = Chaos {
        bootstrap: kafka.bootstrap_of("PROXIED"),
        topic: kafka.topic("chaos", 3, &[]),
        folder: session::folder("chaos"),
        kafka: &kafka,
    };
    let mut flow = chaos.start();
    let until = Instant::now() + RECOVERY;
    while lines(&flow.read) < 100 {
        assert!(
            Instant::now() < until,
            "nothing flows, and nothing broke yet"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    chaos.lose_a_broker();
    chaos.fill_a_disk();
    chaos.restart_all_one_after_another();
    chaos.change_the_weather();
    chaos.hold_still(&mut flow);
    chaos.hang_up();
    chaos.judge(flow);
}
