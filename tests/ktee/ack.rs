use super::{lines, segments};
use crate::testkit::broker;
use crate::testkit::cluster::Cluster;
use crate::testkit::command::{cmd, shell};
use crate::testkit::running::Running;
use crate::testkit::session;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tools::ack::{Listener, Position, Session, Source, StreamKey};

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
        let session = Session {
            name: session.to_owned(),
            places: vec![("t".to_owned(), 0)],
            ..Session::default()
        };
        self.source.begin(&session).unwrap();
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
        let heard = self.source.hear().unwrap();
        if heard.asks_about == Some(self.number) {
            self.source.confirm(self.number).unwrap();
        }
        heard.positions
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
    pipe.source.hurry(true).unwrap();
    pipe.wait_for("s", 24);
    assert_eq!(segments(&folder.join("b")).len(), 3);
    pipe.source.end(25).unwrap();
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
    pipe.source.end(35).unwrap();
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
    verify.succeeds().stdout_has("\"doubles\":0");
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
            .hear()
            .map_or(true, |heard| heard.positions.is_empty())
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
    let Some(kafka) = broker::shared() else {
        return;
    };
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
