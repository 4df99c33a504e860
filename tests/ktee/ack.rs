use super::{lines, segments};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{cmd, shell};
use crate::testkit::output::Output;
use crate::testkit::running::Running;
use crate::testkit::session;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tools::ack::{Listener, Position, ReadStart, Session, Source, StreamKey};

const LIMIT: Duration = Duration::from_secs(20);

/// A source and the ktee that it feeds.
struct Pipe {
    source: Source,
    running: Running,
    folder: PathBuf,
    /// Lines written.
    number: u64,
}

impl Pipe {
    /// Starts `ktee --tsv=all --ack ack ARGS`.
    fn start(folder: &Path, args: &[&str]) -> Self {
        let socket = folder.join("ack");
        let listener = Listener::bind(&socket, LIMIT, &|| false).unwrap();
        let running = cmd("ktee")
            .args(["--tsv=all", "--ack", "ack"])
            .args(args)
            .inside(folder)
            .stdin_open()
            .start();
        let source = listener.accept("run", LIMIT, &|| false).unwrap();
        Self {
            source,
            running,
            folder: folder.to_owned(),
            number: 0,
        }
    }

    fn begin(&mut self, session: &str) {
        self.begin_at(session, None);
    }

    /// Begins to read at `from` of a log that starts at `log_start`.
    fn begin_at(&mut self, session: &str, start: Option<(i64, i64)>) {
        let start = start.map(|(from, log_start)| ReadStart {
            topic: "t".to_owned(),
            partition: 0,
            from: Some(from),
            log_start,
        });
        let session = Session {
            name: session.to_owned(),
            topic_partitions: vec![("t".to_owned(), 0)],
            starts: start.into_iter().collect(),
            ..Session::default()
        };
        self.source.begin(&session).unwrap();
    }

    /// Comes to the end, up to where all was read.
    fn end(mut self, passed: Vec<Position>) -> Output {
        self.source.end(self.number, passed).unwrap();
        self.running.close_stdin();
        let until = Instant::now() + LIMIT;
        while self.number > 0 && self.hear().is_empty() {
            assert!(Instant::now() < until, "nothing is acknowledged");
        }
        self.source.done().unwrap();
        self.running.wait()
    }

    fn write(&mut self, session: &str, records: &str) {
        let mut text = String::new();
        for line in records.lines() {
            let offset = line.split('\t').nth(2).unwrap();
            self.number += 1;
            let _ = writeln!(text, "{session}:{}:t:0:{offset}\t{line}", self.number);
        }
        self.running.write(text.as_bytes());
    }

    /// What the ktee has said, which is told that the last line is the last one if it asks.
    fn hear(&mut self) -> Vec<Position> {
        let update = self.source.poll().unwrap();
        if update.queried_line == Some(self.number) {
            self.source.confirm(self.number).unwrap();
        }
        update.positions
    }

    /// Waits until this offset is acknowledged.
    fn wait_for(&mut self, session: &str, offset: i64) {
        let until = Instant::now() + LIMIT;
        let mut last = None;
        while last.as_ref() != Some(&position(session, offset)) {
            assert!(
                Instant::now() < until,
                "offset {offset} is not acknowledged: {last:?}"
            );
            last = self.hear().into_iter().next_back().or(last);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What is acknowledged within a while.
    fn acknowledged(&mut self) -> Vec<Position> {
        let until = Instant::now() + Duration::from_millis(500);
        let mut positions = Vec::new();
        while Instant::now() < until {
            positions.extend(self.hear());
            std::thread::sleep(Duration::from_millis(5));
        }
        positions
    }
}

fn position(session: &str, offset: i64) -> Position {
    Position {
        key: StreamKey {
            session: session.to_owned(),
            topic: "t".to_owned(),
            partition: 0,
        },
        offset,
    }
}

#[test]
fn a_position_is_acknowledged_when_its_segment_is_durable_and_not_before() {
    let folder = session::folder("ack");
    let mut pipe = Pipe::start(&folder, &["--segment-records", "10", "b/"]);
    pipe.begin("s");
    pipe.write("s", &lines("t", 0, 25));
    pipe.wait_for("s", 19);
    assert_eq!(segments(&folder.join("b")).len(), 2);
    assert_eq!(pipe.acknowledged(), []);
    // The source wants its partitions back, or is at its end: what is there becomes a segment.
    pipe.source.request_flush(true).unwrap();
    pipe.wait_for("s", 24);
    assert_eq!(segments(&folder.join("b")).len(), 3);
    pipe.source.end(25, Vec::new()).unwrap();
    pipe.running.close_stdin();
    std::thread::sleep(Duration::from_millis(200));
    assert!(
        pipe.running.runs(),
        "it waits until the source has committed"
    );
    pipe.source.done().unwrap();
    pipe.running.wait().succeeds().stdout_is(lines("t", 0, 25));
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&pipe.folder)
        .run()
        .succeeds();
}

#[test]
fn a_new_session_looks_again_at_what_is_there_and_drops_what_was_open() {
    let folder = session::folder("ack-session");
    let mut pipe = Pipe::start(&folder, &["--segment-records", "10", "b/"]);
    pipe.begin("one");
    pipe.write("one", &lines("t", 0, 15));
    pipe.wait_for("one", 9);
    // Another member had the partition for a while, and stored more of it.
    let other = lines("t", 10, 20);
    cmd("ktee")
        .args(["--tsv=all", "b/"])
        .inside(&folder)
        .stdin(other)
        .run()
        .succeeds();
    pipe.begin("two");
    pipe.write("two", &lines("t", 20, 20));
    pipe.wait_for("two", 29);
    pipe.source.end(35, Vec::new()).unwrap();
    pipe.wait_for("two", 39);
    pipe.source.done().unwrap();
    pipe.running.close_stdin();
    pipe.running.wait().succeeds();
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 40));
    let verify = cmd("ktee")
        .args(["--verify", "b", "-o", "json"])
        .inside(&folder)
        .run();
    verify.succeeds().stdout_has("\"duplicates\":0");
}

#[test]
fn a_backup_that_fails_ends_the_pipe_and_acknowledges_nothing_more() {
    let folder = session::folder("ack-fails");
    let mut pipe = Pipe::start(&folder, &["--segment-records", "10", "b/"]);
    pipe.begin("s");
    pipe.write("s", &lines("t", 0, 10));
    pipe.wait_for("s", 9);
    let place = folder.join("b/topics/t/partition=0");
    // A folder that is a file now takes no segment, whoever asks.
    std::fs::rename(&place, folder.join("moved")).unwrap();
    std::fs::write(&place, "").unwrap();
    pipe.write("s", &lines("t", 10, 20));
    pipe.running
        .wait()
        .fails_with(2)
        .stderr_has("b/topics/t/partition=0");
    assert!(
        pipe.source
            .poll()
            .map_or(true, |update| update.positions.is_empty())
    );
}

#[test]
fn a_source_that_dies_is_told_and_what_was_open_is_not_lost() {
    let folder = session::folder("ack-gone");
    let mut pipe = Pipe::start(&folder, &["--segment-records", "10", "b/"]);
    pipe.begin("s");
    pipe.write("s", &lines("t", 0, 15));
    pipe.wait_for("s", 9);
    drop(pipe.source);
    pipe.running.close_stdin();
    pipe.running.wait().fails_with(2);
    // The rest is stored or comes again; either way it is there once.
    cmd("ktee")
        .args(["-q", "--tsv=all", "b/"])
        .inside(&folder)
        .stdin(lines("t", 10, 10))
        .run()
        .succeeds();
    cmd("ktee")
        .args(["--cat", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_is(lines("t", 0, 20));
}

#[test]
fn a_window_that_is_smaller_than_a_segment_is_no_reason_to_wait_for_it() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic_of("ack-window", &vec!["value"; 3000]);
    let copy = kafka.topic("ack-window-copy", 1, &[]);
    let folder = session::folder("ack-window");
    shell(
        "kcat-lite -G $TOPIC --ack ack --max-inflight 1000 -o beginning -e -b $BROKERS --tsv=all $TOPIC | \
         ktee --ack ack --tsv=all -b $BROKERS kafka:$COPY b/ >/dev/null",
    )
    .env("BROKERS", kafka.bootstrap())
    .env("TOPIC", &topic)
    .env("COPY", &copy)
    .inside(&folder)
    .run()
    .succeeds();
    assert_eq!(kafka.values(&copy).len(), 3000);
    assert_eq!(kafka.committed(&topic, &topic).get(&0), Some(&3000));
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .run()
        .succeeds()
        .stdout_has("\t3000\t0\t2999\t");
}

/// A marker between two runs was "missing, cause unknown" until another run had passed it.
#[test]
fn what_the_source_has_passed_between_two_runs_is_no_hole_and_what_was_deleted_is_told() {
    let folder = session::folder("ack-seam");
    let mut pipe = Pipe::start(&folder, &["-q", "b/"]);
    pipe.begin_at("one", Some((0, 0)));
    pipe.write("one", &lines("t", 0, 10));
    pipe.source.request_flush(true).unwrap();
    pipe.wait_for("one", 9);
    // Offset 10 is a marker; the next session of the run begins behind it, and at another marker.
    let one = position("one", 11);
    pipe.source
        .released(vec![one.key.clone()], vec![one])
        .unwrap();
    pipe.begin_at("two", Some((11, 0)));
    pipe.write("two", &lines("t", 12, 8));
    pipe.end(vec![position("two", 22)]).succeeds();
    // A run without records, as one of aborted transactions is.
    let mut pipe = Pipe::start(&folder, &["-q", "b/"]);
    pipe.begin_at("three", Some((22, 0)));
    pipe.end(vec![position("three", 25)]).succeeds();
    let mut pipe = Pipe::start(&folder, &["-q", "b/"]);
    pipe.begin_at("four", Some((25, 5)));
    pipe.write("four", &lines("t", 26, 4));
    pipe.end(Vec::new()).succeeds().stderr_is("");
    let verify = || cmd("ktee").args(["--verify", "b"]).inside(&folder).run();
    verify().succeeds().stdout_has("\t22\t0\t29\t");
    // Retention took some, and somebody has set the group's position beyond others.
    let mut pipe = Pipe::start(&folder, &["-q", "b/"]);
    pipe.begin_at("five", Some((50, 40)));
    pipe.write("five", &lines("t", 51, 4));
    pipe.end(Vec::new())
        .succeeds()
        .stderr_has("offsets 30 to 39 were deleted from the topic")
        .stderr_has("offsets 40 to 49 are in neither the backup nor the input");
    verify()
        .fails_with(1)
        .stdout_has("offsets 40 to 49 are missing, cause unknown; offsets 30 to 39 were deleted");
}

#[test]
fn a_group_that_goes_on_claims_markers_and_tells_what_was_deleted() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("ack-markers", 2, &[]);
    let folder = session::folder("ack-markers");
    let pipe = || {
        shell(
            "kcat-lite -G $TOPIC --ack ack -X auto.offset.reset=earliest -e -q -b $BROKERS --tsv=all $TOPIC | \
             ktee --ack ack -q --tsv=all b/ >/dev/null",
        )
        .env("BROKERS", kafka.bootstrap())
        .env("TOPIC", &topic)
        .inside(&folder)
        .run()
        .succeeds()
    };
    let verify = || cmd("ktee").args(["--verify", "b"]).inside(&folder).run();
    let producer = kafka.producer(&[("transactional.id", &topic)]);
    let transaction = |ends: &dyn Fn()| {
        producer.begin();
        let record = Record {
            partition: Some(0),
            ..Record::of("x")
        };
        producer.send(&topic, &[record.clone(), record]);
        ends();
    };
    for _ in 0..3 {
        transaction(&|| producer.commit());
        pipe();
        transaction(&|| producer.abort());
        pipe().stderr_is("");
    }
    // Without a cluster of its own it knows of the empty partition.
    verify()
        .succeeds()
        .stdout_has("\t6\t0\t13\t")
        .stdout_has(format!("{topic}\t1\t0\t0\t"));
    transaction(&|| producer.commit());
    transaction(&|| producer.commit());
    kafka.delete_before(&topic, 21);
    pipe().stderr_has("offsets 18 to 20 were deleted from the topic before they were backed up");
    verify().fails_with(1);
}
