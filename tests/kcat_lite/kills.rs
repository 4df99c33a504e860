//! Pipes of which a random member is killed, as by the out-of-memory killer, again and again: nothing is lost or torn,
//! and no more is doubled than was promised.
//!
//! `KAFKAUTILS_KILLS` says how many members of each pipe are killed, on three brokers that are killed and restarted in
//! turn meanwhile; some members are suspended for up to a minute instead. `KAFKAUTILS_SEED` says which and when.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::output::Output;
use crate::testkit::random::Random;
use crate::testkit::rolling;
use crate::testkit::running::Running;
use crate::testkit::{number, postgres, session};

/// Kills of each pipe in a normal run.
const KILLS: usize = 5;
/// Records that come between two kills.
const RECORDS: usize = 4000;
/// How long what is left of a pipe may take to end after a death in it.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest suspension, besides.
const LONGEST: Duration = Duration::from_secs(60);

/// A member says who it is, and becomes its program.
pub(super) const MEMBER: &str = r#"member() { name=$1; shift; echo "$BASHPID" >"$name.new"; mv "$name.new" "$name"; exec "$@"; }
PROPERTIES="-X auto.offset.reset=earliest -X session.timeout.ms=$SESSION_MS -X group.instance.id=$GROUP"
"#;

const STREAM: &str = r#"(member source kcat-lite -G "$GROUP" $PROPERTIES $END -q --tsv --ack ack --max-inflight 500 "$IN") |
    (member transform $TRANSFORM) | (member sink kcat-lite -P -q --tsv --ack ack -t "$OUT" $TXN)"#;

const BACKUP: &str = r#"(member source kcat-lite -G "$GROUP" $PROPERTIES $END -q --tsv=all --ack ack --max-inflight 500 "$IN") |
    (member transform $TRANSFORM) | (member sink ktee -q --tsv=all --ack ack --segment-records 700 backup/ >/dev/null)"#;

/// Slow, and holds a hundred lines.
const HOLDS_LINES: &str = "perl hold.pl";
const HOLD: &str = r"$| = 1; while (<STDIN>) { push @held, $_; select undef, undef, undef, 0.0005; print splice @held if @held >= 100 } print @held";

const BATCHES: &str = r#"(member source kcat-lite -G "$GROUP" $PROPERTIES $END -q --tsv=partition,offset,key,value \
    --batch 500 --batch-wait 50ms --exec 'echo $$ >command.new; mv command.new command; exec psql -qX -v ON_ERROR_STOP=1 -f load.sql' "$IN")"#;

fn kills() -> usize {
    long_kills().unwrap_or(KILLS)
}

fn long_kills() -> Option<usize> {
    number("KAFKAUTILS_KILLS").map(|kills| kills as usize)
}

/// The shared broker; in a long run three that are restarted in turn.
fn cluster() -> Option<&'static Kafka> {
    if long_kills().is_none() {
        return shared_kafka();
    }
    rolling::shared()
}

fn topic(kafka: &Kafka, hint: &str) -> String {
    let _all_there = rolling::all_there();
    kafka.topic(hint, 3, &[])
}

/// A pipe with its topics.
struct Trial<'a> {
    kafka: &'a Kafka,
    input: String,
    folder: PathBuf,
    script: String,
    env: Vec<(&'static str, String)>,
    sent: usize,
    /// How often what was under way comes again: faults, and sessions that timed out.
    repeats: usize,
    /// What every round has seen, for a failure to tell.
    story: Vec<String>,
}

impl<'a> Trial<'a> {
    fn new(kafka: &'a Kafka, hint: &str, script: &str) -> Trial<'a> {
        let input = topic(kafka, hint);
        let env = vec![
            ("KAFKA_BROKERS", kafka.bootstrap()),
            ("GROUP", session::unique(hint)),
            ("IN", input.clone()),
            // A broker that dies is missed after 5 s, and its partitions led by another some seconds later.
            (
                "SESSION_MS",
                long_kills().map_or("6000", |_| "20000").into(),
            ),
        ];
        let folder = session::folder(hint);
        std::fs::write(folder.join("hold.pl"), HOLD).unwrap();
        Trial {
            kafka,
            input,
            folder,
            script: format!("{MEMBER}{script}"),
            env,
            sent: 0,
            repeats: 0,
            story: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Trial<'a> {
        self.env.push((name, value.into()));
        self
    }

    fn command(&self, end: &str) -> Cmd {
        let command = shell(&self.script)
            .inside(&self.folder)
            .limit(LIMIT + LONGEST);
        let env = self.env.iter();
        env.fold(command, |command, (name, value)| command.env(name, value))
            .env("END", end)
    }

    /// Every tenth record is longer than what a pipe takes in one piece.
    fn send_more(&mut self) {
        let record = |n: usize| {
            let filler = if n % 10 == 9 { 6000 } else { n % 90 };
            Record {
                partition: Some((n % 3) as i32),
                ..Record::keyed(
                    format!("{n}"),
                    format!("record {n} {}.", "x".repeat(filler)),
                )
            }
        };
        let records: Vec<Record> = (self.sent..self.sent + RECORDS).map(record).collect();
        let producer = self.kafka.producer(&[("enable.idempotence", "true")]);
        producer.send(&self.input, &records);
        self.sent += RECORDS;
    }

    /// Kills one of `members` in each run, and lets the last run come to its end.
    fn run(&mut self, members: &[&str], pipe_to: impl Fn(Cmd) -> Cmd) {
        let mut random = Random::new(members[members.len() - 1]);
        for round in 0..kills() {
            self.send_more();
            for member in members {
                let _ = std::fs::remove_file(self.folder.join(member));
            }
            let running = pipe_to(self.command("")).start();
            let victim = members[random.below(members.len())];
            // From before there is a group until long after all has been read.
            let pause = Duration::from_millis(random.below(1500) as u64);
            let pid = wait_for_pid(&self.folder.join(victim));
            std::thread::sleep(pause);
            let is_suspended = long_kills().is_some() && random.below(8) == 0;
            let (fault, output) = if is_suspended {
                let suspended = Duration::from_secs(5 + random.below(56) as u64);
                let _ = kill_process(pid, Signal::STOP);
                std::thread::sleep(suspended);
                let _ = kill_process(pid, Signal::CONT);
                std::thread::sleep(pause);
                let source = wait_for_pid(&self.folder.join("source"));
                let _ = kill_process(source, Signal::TERM);
                (format!("suspended for {suspended:?}"), running.wait())
            } else {
                let _ = kill_process(pid, Signal::KILL);
                ("killed".to_owned(), Self::wait_for_end(running, victim))
            };
            let fault = format!("round {round}: {victim} {fault} after {pause:?}");
            self.note(&fault, &output);
        }
        self.send_more();
        // While brokers die a pipe may give up, and is started again.
        let tries = long_kills().map_or(1, |_| 6);
        for _ in 1..tries {
            let output = pipe_to(self.command("-e").limit(LIMIT * 10)).run();
            if output.status.success() {
                return;
            }
            self.note("the last run", &output.fails_with(2));
        }
        pipe_to(self.command("-e").limit(LIMIT * 10))
            .run()
            .succeeds();
    }

    fn note(&mut self, fault: &str, output: &Output) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        self.repeats += 1 + stderr.matches("has given this member's partitions").count();
        self.story.push(format!("{fault}: {}", output.story()));
    }

    fn wait_for_end(mut running: Running, victim: &str) -> Output {
        if victim == "command" {
            // It may have ended before, and a batch that came after it be taken.
            std::thread::sleep(Duration::from_millis(200));
            running.signal(Signal::TERM);
            return running.wait();
        }
        let ended = running.wait();
        ended.expect(|it| !it.status.success(), "fails with its member")
    }

    /// Nothing lost, nothing torn, and no more doubled than may be.
    fn judge(&self, values: impl IntoIterator<Item = String>, may_double: usize) {
        let mut found: BTreeMap<usize, usize> = BTreeMap::new();
        for value in values {
            let mut words = value.split(' ');
            let is_record = words
                .next()
                .is_some_and(|w| w.eq_ignore_ascii_case("record"));
            let number = words.next().and_then(|word| word.parse().ok());
            let is_whole = is_record && value.ends_with('.');
            assert!(
                is_whole && number.is_some(),
                "torn: {value:?}\n{}",
                self.story()
            );
            *found.entry(number.unwrap()).or_default() += 1;
        }
        let lost: Vec<usize> = (0..self.sent).filter(|n| !found.contains_key(n)).collect();
        assert!(
            lost.is_empty(),
            "{} of {} lost, the first is {}\n{}",
            lost.len(),
            self.sent,
            lost[0],
            self.story()
        );
        let doubled: usize = found.values().map(|count| count - 1).sum();
        assert!(
            doubled <= may_double,
            "{doubled} of {} doubled, where {may_double} may be\n{}",
            self.sent,
            self.story()
        );
    }

    fn story(&self) -> String {
        self.story.join("\n")
    }
}

pub(super) fn wait_for_pid(path: &Path) -> Pid {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        // The file may be there before what it is to hold.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let Ok(pid) = text.trim().parse() {
            return Pid::from_raw(pid).unwrap();
        }
        assert!(Instant::now() < until, "{} has not started", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn stream(hint: &str, transform: &str) {
    let Some(kafka) = cluster() else { return };
    let output = topic(kafka, "out");
    let mut trial = Trial::new(kafka, hint, STREAM)
        .with("OUT", &output)
        .with("TRANSFORM", transform)
        .with("TXN", "");
    trial.run(&["source", "transform", "sink"], |command| command);
    let _all_there = rolling::all_there();
    trial.judge(kafka.values(&output), trial.repeats * 500);
}

#[test]
fn a_pipe_through_sed_loses_nothing_whoever_is_killed() {
    stream("sed", "sed -u s/record/RECORD/");
}

#[test]
fn a_pipe_through_mawk_which_ends_torn_lines_loses_nothing_whoever_is_killed() {
    if crate::testkit::witness::installed("mawk").is_none() {
        return;
    }
    stream(
        "mawk",
        "mawk -W interactive {sub(/record/,\"RECORD\");print}",
    );
}

#[test]
fn a_pipe_that_holds_lines_loses_nothing_whoever_is_killed() {
    if long_kills().is_some() {
        stream("holds", HOLDS_LINES);
    }
}

#[test]
fn a_backup_through_a_pipe_that_holds_lines_has_each_record_once_whoever_is_killed() {
    let Some(kafka) = long_kills().and_then(|_| cluster()) else {
        return;
    };
    let mut trial = Trial::new(kafka, "backup", BACKUP).with("TRANSFORM", HOLDS_LINES);
    trial.run(&["source", "transform", "sink"], |command| command);
    let cat = cmd("ktee").args(["--cat", "backup"]).inside(&trial.folder);
    let lines = cat.limit(LIMIT).run().succeeds();
    let value = |line: &str| line.split('\t').nth(5).map(str::to_owned);
    trial.judge(lines.lines().into_iter().filter_map(value), 0);
}

#[test]
fn a_transactional_pipe_doubles_nothing_whoever_is_killed() {
    let Some(kafka) = cluster() else { return };
    let output = topic(kafka, "out");
    let id = session::unique("txn");
    let mut trial = Trial::new(kafka, "txn", STREAM)
        .with("OUT", &output)
        .with(
            "TRANSFORM",
            long_kills().map_or("sed -u s/record/RECORD/", |_| HOLDS_LINES),
        )
        .with("TXN", format!("--txn {id} --batch 2000 --batch-wait 200ms"));
    trial.run(&["source", "transform", "sink"], |command| command);
    let _all_there = rolling::all_there();
    trial.judge(kafka.values(&output), 0);
}

fn psql(hint: &str, tables: &str, load: &str, may_double: impl Fn(usize) -> usize) {
    let (Some(kafka), Some(postgres)) = (cluster(), postgres::start()) else {
        return;
    };
    postgres.sql(tables).succeeds();
    let mut trial = Trial::new(kafka, hint, BATCHES);
    std::fs::write(trial.folder.join("load.sql"), load).unwrap();
    trial.run(&["source", "command"], |command| postgres.known_to(command));
    let rows = postgres.sql("copy (select value from orders) to stdout");
    let rows = rows.succeeds();
    trial.judge(
        rows.lines().into_iter().map(str::to_owned),
        may_double(trial.repeats),
    );
}

#[test]
fn batches_into_postgresql_are_not_lost_nor_torn_whoever_is_killed() {
    psql(
        "exec",
        "create table orders (partition int, \"offset\" bigint, key text, value text)",
        "\\copy orders from pstdin\n",
        |repeats| repeats * 500,
    );
}

#[test]
fn batches_with_their_positions_are_in_postgresql_exactly_once_whoever_is_killed() {
    let (tables, load) = super::exec::recipe();
    psql("once", &tables, &load, |_| 0);
}
