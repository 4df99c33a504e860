//! The fault tables of kcat-lite(1) and ktee(1), row by row and column by column: what they say is lost, comes twice and
//! is the exit code is what happens.
//!
//! A normal run leaves out what takes a session's time, but for one column; `KAFKAUTILS_FAULTS` says how often to walk over
//! all of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::kills::{MEMBER, wait_for_pid};
use crate::testkit::broker::{Kafka, Spec};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::running::Running;
use crate::testkit::{number, session};

const PAGES: [(&str, &str); 2] = [
    ("kcat-lite.1", include_str!("../../man/kcat-lite.1")),
    ("ktee.1", include_str!("../../man/ktee.1")),
];
const RECORDS: usize = 3000;
/// `--max-inflight` and `--batch`.
const BOUND: usize = 500;
/// Longer than the session, which is the shortest that a broker takes by itself.
const SUSPENDED: Duration = Duration::from_secs(9);
const LIMIT: Duration = Duration::from_secs(120);
/// `--parallel` of every second round: a command for each partition.
const PARALLEL: usize = 3;
/// How many pipes run at a time.
const AT_ONCE: usize = 4;

/// Stops in the midst of it until the fault is made and a file says so.
const GATE: &str =
    r#"perl -pe '$| = 1; if ($. == 1000) { select undef, undef, undef, 0.02 until -e "go" }'"#;
/// Lines of which one is missing, two are turned, or the last is torn and ended.
const BAD: [&str; 3] = [
    "sed -u 700d",
    "sed -u -n '700{h;d};701{p;g};p'",
    r"perl -ne '$| = 1; if ($. == 700) { print substr($_, 0, -4); exit } print' | awk 1",
];

const SOURCE: &str = r#"(member source kcat-lite -G "$GROUP" $END -q -X auto.offset.reset=earliest -X session.timeout.ms=6000 \
    -X auto.commit.interval.ms=200 "$IN" "#;

fn script(column: &str) -> String {
    let sink = r"(member sink kcat-lite -P -q --tsv -t $OUT";
    let between = r#"(member transform bash -c "exec $TRANSFORM")"#;
    let rest = match column {
        "-G alone" => format!("--tsv) | {between} | {sink})"),
        "--exec" => format!(
            "--tsv --batch {BOUND} $PARALLEL --exec 'echo $$ >sink.new; mv sink.new sink; \
             if [ -e once ]; then until [ -e go ]; do sleep 0.02; done; fi; touch once; exec kcat-lite -P -q --tsv -t $OUT')"
        ),
        "--ack" => {
            format!("--tsv --ack ack --max-inflight {BOUND}) | {between} | {sink} --ack ack)")
        }
        "--txn" => format!(
            "--tsv --ack ack --max-inflight {BOUND}) | {between} | {sink} --ack ack --txn $TXN --batch 200 \
             -X transaction.timeout.ms=4000)"
        ),
        _ => format!(
            "--tsv=all --ack ack --max-inflight {BOUND}) | {between} | \
             (member sink ktee -q --tsv=all --ack ack --segment-records 300 $OUT/ >/dev/null)"
        ),
    };
    // Only the first program's exit code counts.
    format!("{MEMBER}{SOURCE}{rest}; echo ${{PIPESTATUS[0]}}")
}

/// One cell of a table: at most so many, and the exit code.
struct Cell {
    lost: usize,
    doubled: usize,
    code: String,
}

impl Cell {
    fn parse(text: &str, parallel: usize) -> Option<Cell> {
        if text == "-" {
            return None;
        }
        let parts: Vec<&str> = text.split(" / ").collect();
        let most = |letter: &str| match letter {
            "0" => 0,
            // What a window has in flight, or the batches that are run at a time.
            "W" => BOUND,
            "B" => BOUND * parallel,
            // What a pipe holds, or was written since the last commit: no more than there is.
            "C" | "P" => RECORDS,
            other => panic!("{other} in a table of faults"),
        };
        Some(Cell {
            lost: most(parts[0]),
            doubled: most(parts[1]),
            code: parts[2].to_owned(),
        })
    }
}

/// All cells of the pages, by fault and column.
fn cells(parallel: usize) -> Vec<(String, String, Cell)> {
    let mut cells = Vec::new();
    for (page, text) in PAGES {
        let (_, table) = text.split_once(".It Em fault Ta ").expect(page);
        let (table, _) = table.split_once("\n.El").expect(page);
        let mut rows = table
            .lines()
            .map(|row| row.split(" Ta ").collect::<Vec<_>>());
        let heads: Vec<String> = rows
            .next()
            .expect(page)
            .iter()
            .map(|head| {
                let head = head.trim_start_matches("Em ");
                if page == "ktee.1" {
                    "ktee --ack".to_owned()
                } else {
                    head.to_owned()
                }
            })
            .collect();
        for row in rows {
            let fault = row[0].trim_start_matches(".It ").to_owned();
            assert_eq!(row.len(), heads.len() + 1, "{page}: {fault}");
            for (head, cell) in heads.iter().zip(&row[1..]) {
                let cell = Cell::parse(cell, parallel);
                cells.extend(cell.map(|cell| (fault.clone(), head.clone(), cell)));
            }
        }
    }
    cells
}

struct Trial<'a> {
    kafka: &'a Kafka,
    column: &'a str,
    input: String,
    output: String,
    group: String,
    folder: PathBuf,
    parallel: usize,
}

impl<'a> Trial<'a> {
    fn new(kafka: &'a Kafka, column: &'a str, parallel: usize) -> Trial<'a> {
        let input = kafka.topic("in", 3, &[]);
        let record = |n: usize| Record {
            partition: Some((n % 3) as i32),
            ..Record::keyed(
                format!("{n}"),
                format!("record {n} {}.", "x".repeat(n % 90)),
            )
        };
        kafka.produce(&input, &(0..RECORDS).map(record).collect::<Vec<_>>());
        Trial {
            kafka,
            column,
            input,
            output: kafka.topic("out", 3, &[]),
            group: session::unique("faults"),
            folder: session::folder("faults"),
            parallel,
        }
    }

    /// The pipe in a folder of its own, which is there already.
    fn pipe(&self, folder: &Path, transform: &str, end: &str) -> Cmd {
        let output = if self.column == "ktee --ack" {
            self.folder.join("backup").display().to_string()
        } else {
            self.output.clone()
        };
        shell(&script(self.column))
            .env("KAFKA_BROKERS", self.kafka.bootstrap())
            .env("GROUP", &self.group)
            .env("IN", &self.input)
            .env("OUT", output)
            .env("TXN", session::unique(&self.group))
            .env("TRANSFORM", transform)
            .env("PARALLEL", format!("--parallel {}", self.parallel))
            .env("END", end)
            .inside(folder)
            .limit(LIMIT)
    }

    fn values(&self) -> Vec<String> {
        if self.column != "ktee --ack" {
            return self.kafka.values(&self.output);
        }
        let cat = cmd("ktee")
            .args(["--cat", "backup"])
            .inside(&self.folder)
            .run();
        let value = |line: &str| line.split('\t').nth(5).map(str::to_owned);
        cat.lines().into_iter().filter_map(value).collect()
    }

    fn kill(&self, member: &str, signal: Signal) {
        let _ = kill_process(wait_for_pid(&self.folder.join(member)), signal);
    }

    /// Waits until a part has come through.
    fn wait_for_some(&self, running: &mut Running) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.column == "ktee --ack" && !self.folder.join("backup/topics").exists() {
            assert!(Instant::now() < until, "no segment");
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.column != "ktee --ack" {
            self.kafka
                .wait_for_records(&self.output, 100, Duration::from_secs(30));
        }
        assert!(running.runs(), "it has ended before the fault");
    }

    /// One run with its fault; the exit code of the first program.
    fn run(&self, fault: &str, round: usize) -> String {
        let goes_on = fault.starts_with("partitions")
            || fault.starts_with("cluster")
            || fault.starts_with("transaction")
            || fault.starts_with("suspended");
        let bad = fault.starts_with("line");
        let transform = if bad { BAD[round % BAD.len()] } else { GATE };
        let end = if goes_on || bad && self.column == "-G alone" {
            "-e"
        } else {
            ""
        };
        let mut running = self.pipe(&self.folder, transform, end).start();
        if bad {
            return running.wait().text().trim().to_owned();
        }
        self.wait_for_some(&mut running);
        match fault {
            "first program killed" => self.kill("source", Signal::KILL),
            "program between killed" => self.kill("transform", Signal::KILL),
            "last program or command killed" => {
                // A command that has just ended is followed by another.
                self.kill("sink", Signal::KILL);
                let until = Instant::now() + Duration::from_secs(20);
                while self.column == "--exec" && running.runs() && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(30));
                    self.kill("sink", Signal::KILL);
                }
            }
            "SIGTERM to the first program" => self.kill("source", Signal::TERM),
            "partitions go to another member" => {
                self.open_gate();
                let folder = session::folder("faults-other");
                std::fs::write(folder.join("go"), "").unwrap();
                let other = self.pipe(&folder, GATE, "-e").run();
                other.expect(|it| it.text().trim() == "0", "the other member ends well");
            }
            "cluster away for a moment" => {
                self.kafka.pause(1);
                std::thread::sleep(Duration::from_secs(3));
                self.kafka.resume(1);
            }
            "suspended for longer than the session" => {
                self.kill("source", Signal::STOP);
                if self.column != "--exec" {
                    self.kill("transform", Signal::STOP);
                }
                std::thread::sleep(SUSPENDED);
                self.kill("source", Signal::CONT);
                if self.column != "--exec" {
                    self.kill("transform", Signal::CONT);
                }
            }
            "transaction open for too long" => {
                self.kill("sink", Signal::STOP);
                std::thread::sleep(SUSPENDED);
                self.kill("sink", Signal::CONT);
            }
            other => panic!("a fault that nobody makes: {other}"),
        }
        self.open_gate();
        running.wait().text().trim().to_owned()
    }

    fn open_gate(&self) {
        std::fs::write(self.folder.join("go"), "").unwrap();
    }

    /// Makes the fault, starts the pipe again, and compares.
    fn judge(&self, fault: &str, cell: &Cell, round: usize) {
        let what = format!("{} x {fault}", self.column);
        let code = self.run(fault, round);
        self.open_gate();
        self.pipe(&self.folder, "cat", "-e")
            .run()
            .expect(|it| it.text().trim() == "0", &format!("{what}: it goes on"));
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for value in self.values() {
            let is_whole = value.starts_with("record ") && value.ends_with('.');
            // Nothing stands behind -G alone that would know.
            assert!(
                is_whole || self.column == "-G alone",
                "{what}: torn: {value}"
            );
            if is_whole {
                *found.entry(value).or_default() += 1;
            }
        }
        let lost = RECORDS - found.len();
        let doubled: usize = found.values().map(|count| count - 1).sum();
        assert_eq!(code, cell.code, "{what}: the exit code");
        assert!(lost <= cell.lost, "{what}: {lost} lost");
        assert!(doubled <= cell.doubled, "{what}: {doubled} twice");
    }
}

#[test]
fn what_the_pages_say_of_each_fault_is_what_happens() {
    let rounds = number("KAFKAUTILS_FAULTS").map_or(0, |rounds| rounds as usize);
    let name = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    let Some(kafka) = Spec::new().setting(name, "500").start() else {
        return;
    };
    for round in 0..rounds.max(1) {
        let parallel = if round % 2 == 0 { 1 } else { PARALLEL };
        let mut cells = cells(parallel);
        cells.retain(|(fault, column, _)| {
            let slow = ["suspended", "cluster", "transaction"];
            let is_slow = slow.iter().any(|slow| fault.starts_with(slow));
            !is_slow || rounds > 0 || column == "--ack"
        });
        let judge = |(fault, column, cell): &(String, String, Cell)| {
            Trial::new(&kafka, column, parallel).judge(fault, cell, round);
        };
        // A broker that is away is away from all pipes.
        let (alone, together): (Vec<_>, Vec<_>) = cells
            .iter()
            .partition(|(fault, ..)| fault.starts_with("cluster"));
        for at_once in together.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                for cell in at_once {
                    scope.spawn(|| judge(cell));
                }
            });
        }
        alone.into_iter().for_each(judge);
    }
}
