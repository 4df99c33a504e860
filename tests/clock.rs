//! All programs while somebody sets the clock: nothing hangs, is lost, or comes twice, and no number is nonsense.

use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::clock::Clock;
use crate::testkit::cluster::Cluster as _;
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::output::ended_lines;
use crate::testkit::running::Running;
use crate::testkit::{http, session};
use rustix::process::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Records that pass while the clock is set; four milliseconds for each.
const COUNT: usize = 5000;
/// What was started is through by then, however slow the machine; a wait that follows the clock takes an hour.
const LIMIT: Duration = Duration::from_secs(120);
const HOUR_S: i64 = 3600;

/// What goes by the clock.
struct Office<'k> {
    kafka: &'k Kafka,
    clock: Clock,
    topic: String,
    idle: String,
    group: String,
    folder: PathBuf,
}

impl Office<'_> {
    fn shell(&self, script: &str) -> Running {
        self.here(shell(script)).start()
    }

    fn here(&self, command: Cmd) -> Cmd {
        self.clock
            .on(command)
            .env("KAFKA_BROKERS", self.kafka.bootstrap())
            .env("TOPIC", &self.topic)
            .env("IDLE", &self.idle)
            .env("GROUP", &self.group)
            .env("COUNT", COUNT.to_string())
            .inside(&self.folder)
            .limit(LIMIT)
    }

    fn produce(&self) -> Running {
        self.shell(
            r#"perl -e '$| = 1; for (1..$ENV{COUNT}) { print "$_\tvalue\n"; select undef, undef, undef, 0.004 }' |
                kpart -t "$TOPIC" --recheck 500ms | kcat-lite -P -q -t "$TOPIC" --tsv=partition,key,value"#,
        )
    }

    fn read(&self) -> Running {
        self.shell(r#"exec kcat-lite -C -q -t "$TOPIC" --tsv=key >read"#)
    }

    /// A member that is out of its group when its heartbeats stop for three seconds.
    fn run_batches(&self) -> Running {
        self.shell(
            r#"exec kcat-lite -G "$GROUP-exec" -X auto.offset.reset=earliest -X session.timeout.ms=3000 \
                -X heartbeat.interval.ms=500 --tsv=key --batch-wait 200ms --exec 'cat >>batches' "$TOPIC""#,
        )
    }

    /// A member that nothing wakes but its own timers, in a topic that stays empty.
    fn idle(&self) -> Running {
        self.shell(
            r#"exec kcat-lite -G "$GROUP-idle" -X session.timeout.ms=3000 -X heartbeat.interval.ms=500 "$IDLE""#,
        )
    }

    /// What somebody whose clock is right hears of the idle member's group.
    #[track_caller]
    fn idle_is_a_member(&self) {
        let klag = cmd("klag").args(["-b", &self.kafka.bootstrap(), "-m", "20", "-g"]);
        let klag = klag.arg(format!("{}-idle", self.group)).run();
        klag.stdout_has("\tStable\t");
    }

    fn back_up(&self) -> Running {
        self.shell(
            r#"(echo $BASHPID >pid; exec kcat-lite -G "$GROUP-backup" -X auto.offset.reset=earliest \
                --tsv=all --ack "$PWD/ack" "$TOPIC") | ktee --tsv=all --ack "$PWD/ack" backup/ >/dev/null"#,
        )
    }

    fn watch_lag(&self) -> Running {
        self.shell(r#"exec klag -g "^$GROUP" --time --watch 200ms -J"#)
    }

    /// Two looks, and what happened in two seconds between them.
    fn rate(&self) -> Running {
        self.shell(r#"exec klag -g "^$GROUP" --rate 2s -J"#)
    }

    fn watch_age(&self) -> Running {
        self.shell(r#"exec koldest "$TOPIC" --watch 200ms -J"#)
    }

    /// The exporter and its address.
    fn export(&self) -> (Running, String) {
        let mut exporter = self.shell(r#"exec klag -g "^$GROUP" --listen 127.0.0.1:0"#);
        let line = exporter.stderr_until("/metrics\n", LIMIT);
        let line = String::from_utf8(line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap();
        (exporter, address.trim_end_matches("/metrics").to_owned())
    }

    fn lines(&self, name: &str) -> usize {
        ended_lines(&std::fs::read(self.folder.join(name)).unwrap_or_default())
    }

    fn wait_for_lines(&self, name: &str, count: usize) {
        let until = Instant::now() + LIMIT;
        while self.lines(name) < count {
            let lines = self.lines(name);
            assert!(Instant::now() < until, "{lines} lines of {count} in {name}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Every number from 1 to [`COUNT`] is a line of the file, once.
#[track_caller]
fn has_each_once(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut keys: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    keys.sort_unstable();
    let path = path.display();
    assert!(keys.iter().copied().eq(1..=COUNT), "{path}: {}", keys.len());
}

fn scrape(address: &str) -> String {
    http::get(address, "/metrics").unwrap().text()
}

/// The numbers of these columns in lines of JSON; null is no number.
fn numbers(text: &[u8], columns: &[&str]) -> Vec<f64> {
    let lines = std::str::from_utf8(text).unwrap().lines();
    let rows = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let cells = rows.flat_map(|row| {
        let cell = |name: &&str| row.get(*name).expect("a column of this name").as_f64();
        columns.iter().filter_map(cell).collect::<Vec<_>>()
    });
    cells.collect()
}

/// Between nothing and `most`, whatever the clock says.
#[track_caller]
fn are_sane(what: &str, numbers: &[f64], most: f64) {
    assert!(!numbers.is_empty(), "{what} is never told");
    let wrong = numbers
        .iter()
        .find(|number| !(0.0..=most).contains(*number));
    assert!(wrong.is_none(), "{what}: {wrong:?}");
}

#[test]
fn a_clock_that_jumps_an_hour_ahead_and_back_stops_nothing_and_spoils_no_number() {
    let (Some(kafka), Some(clock)) = (shared_kafka(), Clock::new()) else {
        return;
    };
    // A broker refuses what claims to be from more than an hour ahead, if not told otherwise.
    let settings = [("message.timestamp.after.max.ms", "86400000")];
    let office = Office {
        kafka,
        clock,
        topic: kafka.topic("clock", 3, &settings),
        idle: kafka.topic("idle", 1, &[]),
        group: session::unique("clock"),
        folder: session::folder("clock"),
    };
    let (producer, mut reader) = (office.produce(), office.read());
    let (mut batches, backup) = (office.run_batches(), office.back_up());
    let mut idle = office.idle();
    office.wait_for_lines("batches", 100);
    let (mut lag, mut age) = (office.watch_lag(), office.watch_age());
    lag.stdout_until("\n", LIMIT);
    age.stdout_until("\n", LIMIT);
    let (mut exporter, address) = office.export();
    let mut metrics = scrape(&address);
    let mut rates = Vec::new();
    for (wrong_by, stay_s) in [(HOUR_S, 1), (0, 7), (-HOUR_S, 1), (0, 1)] {
        let rate = office.rate();
        std::thread::sleep(Duration::from_secs(1));
        office.clock.set(wrong_by);
        metrics += &scrape(&address);
        let rate = rate.wait().succeeds();
        rates.extend(numbers(&rate.stdout, &["produced", "consumed"]));
        // Once, set back, for twice as long as a session may be without a heartbeat.
        std::thread::sleep(Duration::from_secs(stay_s));
        office.idle_is_a_member();
    }
    producer.wait().succeeds();
    office.wait_for_lines("read", COUNT);
    office.wait_for_lines("batches", COUNT);
    reader.signal(Signal::TERM);
    reader.wait().succeeds();
    batches.signal(Signal::TERM);
    // A member that was silent for too long is told that its partitions are another's.
    batches.wait().succeeds().stderr_lacks("given");
    idle.signal(Signal::TERM);
    idle.wait().succeeds().stderr_lacks("given");
    has_each_once(&office.folder.join("read"));
    has_each_once(&office.folder.join("batches"));
    judge_backup(&office, backup);

    let day_ms = 86_400_000.0;
    lag.signal(Signal::TERM);
    let lag = lag.wait().succeeds();
    are_sane("time_lag", &numbers(&lag.stdout, &["time_lag"]), day_ms);
    are_sane("lag", &numbers(&lag.stdout, &["lag"]), COUNT as f64);
    // 250 a second are written; a batch may hold what waited for it.
    are_sane("a rate", &rates, 10_000.0);
    assert!(rates.iter().any(|rate| *rate > 10.0), "{rates:?}");
    age.signal(Signal::TERM);
    let age = age.wait().succeeds();
    let ages = numbers(&age.stdout, &["age", "stale"]);
    are_sane("an age", &ages, day_ms);
    exporter.signal(Signal::TERM);
    exporter.wait().succeeds();
    assert!(metrics.contains("_lag_seconds{"), "{metrics}");
    let negative = |line: &&str| !line.starts_with('#') && line.contains("} -");
    let wrong = metrics.lines().find(negative);
    assert!(wrong.is_none(), "{wrong:?}");
}

/// What the backup has when it is asked to end, and what it still had to read, is each record once.
fn judge_backup(office: &Office, backup: Running) {
    office.here(shell("kill -TERM $(cat pid)")).run().succeeds();
    backup.wait().succeeds().stderr_lacks("given");
    let rest = r#"kcat-lite -G "$GROUP-backup" -e -q --tsv=all --ack "$PWD/ack" "$TOPIC" |
        ktee -q --tsv=all --ack "$PWD/ack" backup/ >/dev/null &&
        ktee --verify backup/ && ktee --cat backup/ | cut -f 5 >stored"#;
    office.here(shell(rest)).run().succeeds();
    has_each_once(&office.folder.join("stored"));
}
