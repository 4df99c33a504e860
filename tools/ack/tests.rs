use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn never() -> bool {
    false
}

fn session(name: &str) -> Session {
    Session {
        name: name.to_owned(),
        metadata: GroupMetadata {
            group: "a \"group\"".to_owned(),
            generation: 3,
            member: "m".to_owned(),
            instance: None,
        },
        places: vec![("t".to_owned(), 0)],
    }
}

fn position(text: &str) -> Position {
    Position::parse(text.as_bytes()).expect(text)
}

/// A source and a sink that have greeted each other.
fn pair(kind: SinkKind) -> (Source, Sink, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ack");
    let listener = Listener::bind(&path, SOON, &never).expect("bound");
    let sink =
        std::thread::spawn(move || Sink::connect(&path, kind, SOON, &never).expect("connected"));
    let source = listener.accept("run", SOON, &never).expect("accepted");
    (source, sink.join().expect("joined"), folder)
}

fn durable(source: &mut Source) -> Vec<String> {
    for _ in 0..500 {
        let positions = source.hear().expect("the sink is there").positions;
        if !positions.is_empty() {
            return positions.iter().map(Position::to_string).collect();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Vec::new()
}

#[test]
fn a_position_stands_in_front_of_columns_and_first_in_an_object() {
    let mut out = Vec::new();
    let start = begin_line(Shape::Tsv, "s:t:0", 17, &mut out);
    out.extend_from_slice(b"k\tv\n");
    end_line(Shape::Tsv, start, &mut out);
    assert_eq!(out, b"s:t:0:17\tk\tv\n");
    let split = Split::of(&out, Shape::Tsv).expect("a line");
    assert_eq!(split.position, b"s:t:0:17");
    assert_eq!(split.record.as_deref(), Some(&b"k\tv\n"[..]));

    let mut out = Vec::new();
    let start = begin_line(Shape::Json, "s:t:0", 17, &mut out);
    out.extend_from_slice(b"{\"topic\":\"t\"}\n");
    end_line(Shape::Json, start, &mut out);
    assert_eq!(out, b"{\"position\":\"s:t:0:17\",\"topic\":\"t\"}\n");
    let split = Split::of(&out, Shape::Json).expect("a line");
    assert_eq!(split.position, b"s:t:0:17");
    assert_eq!(split.record.as_deref(), Some(&b"{\"topic\":\"t\"}\n"[..]));
}

#[test]
fn an_object_may_have_its_members_in_any_order_and_spaces() {
    for (line, record) in [
        (
            r#"{"payload":"x","position":"s:t:0:1"}"#,
            r#"{"payload":"x"}"#,
        ),
        (
            r#"{"position": "s:t:0:1", "payload": "x"}"#,
            r#"{"payload": "x"}"#,
        ),
        (
            r#"{ "position":"s:t:0:1","payload":"x"}"#,
            r#"{ "payload":"x"}"#,
        ),
        // Other members stay as they are: names, numbers, what is inside of them.
        (
            r#"{"a":{"position":"x:y:1:1"},"\"":12345678901234567890.10 , "position" : "s:t:0:1" , "z":["position"]}"#,
            r#"{"a":{"position":"x:y:1:1"},"\"":12345678901234567890.10 , "z":["position"]}"#,
        ),
        (
            r#"{"a":"\",\"position\":\"" ,"position":"s:t:0:1" }"#,
            r#"{"a":"\",\"position\":\"" }"#,
        ),
    ] {
        let split = Split::of(line.as_bytes(), Shape::Json).expect(line);
        assert_eq!(split.position, b"s:t:0:1");
        assert_eq!(split.record.as_deref(), Some(record.as_bytes()), "{line}");
    }
    for line in [
        r#"["position","s:t:0:1"]"#,
        r#"{"position":1}"#,
        r#"{"position":"s:t:0:1""#,
    ] {
        assert!(Split::of(line.as_bytes(), Shape::Json).is_err(), "{line}");
    }
}

#[test]
fn a_position_alone_leaves_the_record_out_and_an_empty_record_is_one() {
    let record = |line: &'static str, shape| {
        let split = Split::of(line.as_bytes(), shape).expect(line);
        split.record.map(std::borrow::Cow::into_owned)
    };
    assert_eq!(record("s:t:0:1\n", Shape::Tsv), None);
    assert_eq!(record("s:t:0:1\t\n", Shape::Tsv), Some(b"\n".to_vec()));
    assert_eq!(record("{\"position\":\"s:t:0:1\"}\n", Shape::Json), None);
    assert_eq!(record("{\"position\": \"s:t:0:1\" }\n", Shape::Json), None);
}

#[test]
fn what_is_no_position_is_an_error() {
    for line in [
        "\n",
        "k\tv\n",
        "s:t:0:01\tv\n",
        "s:t:0:-1\tv\n",
        "s:t:0:\tv\n",
        "\ts:t:0:1\n",
    ] {
        assert!(
            matches!(
                Split::of(line.as_bytes(), Shape::Tsv),
                Err(AckError::NoPosition(_))
            ),
            "{line:?}"
        );
    }
    for text in [
        "t:0:1",
        "a:s:t:0:1",
        ":t:0:1",
        "s::0:1",
        "s:t:x:1",
        "s:t:-1:1",
    ] {
        assert_eq!(Position::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn both_ends_greet_and_the_file_is_for_its_owner_alone_and_goes_with_the_source() {
    let (mut source, mut sink, folder) = pair(SinkKind::Segment);
    let path = folder.path().join("ack");
    let mode = std::fs::metadata(&path)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(source.kind(), SinkKind::Segment);
    source.begin(&session("s")).expect("heard");
    sink.hear().expect("the source is there");
    assert_eq!(sink.session("s"), Some(&session("s")));
    drop(source);
    assert!(!path.exists());
    assert!(matches!(sink.hear(), Err(AckError::SourceGone)));
}

fn bind(path: &Path, wait_ms: u64) -> Result<Listener, AckError> {
    Listener::bind(path, Duration::from_millis(wait_ms), &never)
}

#[test]
fn a_socket_that_nobody_listens_on_is_replaced_and_a_live_one_or_a_file_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ack");
    drop(UnixListener::bind(&path).expect("bound"));
    assert!(path.exists(), "left behind, as after kill -9");
    let live = bind(&path, 0).expect("replaced");
    assert!(matches!(bind(&path, 50), Err(AckError::InUse(_))));
    drop(live);
    assert!(!path.exists());
    File::create(&path).expect("a file");
    assert!(matches!(bind(&path, 50), Err(AckError::NotASocket(_))));
    assert!(path.exists());
}

#[test]
fn each_end_waits_only_so_long_for_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join("ack");
    let wait = Duration::from_millis(50);
    let alone = bind(&path, 0).expect("bound").accept("run", wait, &never);
    assert!(matches!(alone.err(), Some(AckError::NoSink { .. })));
    let alone = Sink::connect(&path, SinkKind::Plain, wait, &never);
    assert!(matches!(alone.err(), Some(AckError::NoSource { .. })));
    // One that a killed run left behind is as good as none.
    drop(UnixListener::bind(&path).expect("bound"));
    let alone = Sink::connect(&path, SinkKind::Plain, wait, &never);
    assert!(matches!(alone.err(), Some(AckError::NoSource { .. })));
}

#[test]
fn a_second_sink_is_sent_away() {
    let (mut source, _sink, folder) = pair(SinkKind::Plain);
    let path = folder.path().join("ack");
    let second = std::thread::spawn(move || {
        Sink::connect(&path, SinkKind::Plain, Duration::from_millis(200), &never)
            .err()
            .map(|error| error.to_string())
    });
    while !second.is_finished() {
        source.hear().expect("the first sink stays");
        std::thread::sleep(Duration::from_millis(2));
    }
    let reason = second.join().expect("joined").expect("refused");
    assert!(reason.contains("no source"), "{reason}");
}

#[test]
fn the_sink_acknowledges_and_its_death_is_noticed_after_its_last_word() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    sink.acknowledge([
        position("s:t:0:4"),
        position("s:t:1:2"),
        position("s:t:0:3"),
    ])
    .expect("sent");
    drop(sink);
    assert_eq!(durable(&mut source), ["s:t:0:4", "s:t:1:2"]);
    assert!(matches!(source.hear(), Err(AckError::SinkGone)));
}

#[test]
fn the_end_is_agreed_on() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    source.end(Some(position("s:t:0:4"))).expect("heard");
    sink.hear().expect("the source is there");
    assert!(sink.has_ended() && sink.is_hurried());
    let finish = std::thread::spawn(move || sink.finish(true, &never));
    std::thread::sleep(Duration::from_millis(20));
    assert!(!finish.is_finished(), "all has to be committed first");
    source.done().expect("heard");
    drop(source);
    finish.join().expect("joined").expect("done");
}

#[test]
fn an_end_without_the_end_mark_is_a_death() {
    let (source, sink, _folder) = pair(SinkKind::Plain);
    assert!(matches!(sink.finish(true, &never), Err(AckError::CutShort)));
    drop(source);
    let (mut source, sink, _folder) = pair(SinkKind::Plain);
    source.end(None).expect("heard");
    assert!(matches!(
        sink.finish(false, &never),
        Err(AckError::CutShort)
    ));
}

#[test]
fn a_torn_last_line_is_never_settled() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    let two = b"s:t:0:1\ta\ns:t:0:2\tb\n";
    let torn = b"s:t:0:1\ta\ns:t:0:2\tb";
    let settled = |sink: &Sink, bytes: &[u8], arrival| sink.settled(bytes, arrival, Shape::Tsv);
    assert_eq!(settled(&sink, torn, Arrival::More), 10);
    assert_eq!(settled(&sink, torn, Arrival::Idle), 10);
    assert_eq!(settled(&sink, torn, Arrival::End), 10);
    // The last line may be a torn one that the next program of the pipe has ended.
    assert_eq!(settled(&sink, two, Arrival::More), 10);
    assert_eq!(settled(&sink, two, Arrival::Idle), 20);
    assert_eq!(settled(&sink, two, Arrival::End), 10);
    source.end(Some(position("s:t:0:3"))).expect("heard");
    sink.hear().expect("there");
    assert_eq!(settled(&sink, two, Arrival::End), 10);
    source.end(Some(position("s:t:0:2"))).expect("heard");
    sink.hear().expect("there");
    assert_eq!(settled(&sink, two, Arrival::End), 20);
}

#[test]
fn a_line_of_another_run_is_refused() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    source.begin(&session("new")).expect("heard");
    sink.hear().expect("there");
    assert!(sink.take(b"new:t:0:1\tv\n", Shape::Tsv).is_ok());
    assert!(matches!(
        sink.take(b"old:t:0:1\tv\n", Shape::Tsv),
        Err(AckError::Stray(_))
    ));
    // A topic that was changed on the way, too: its position would be committed for another.
    assert!(matches!(
        sink.take(b"new:T:0:1\tv\n", Shape::Tsv),
        Err(AckError::Stray(_))
    ));
}

#[test]
fn a_long_line_waits_until_it_is_whole_and_dies_with_its_source() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    source.begin(&session("s")).expect("heard");
    assert!(source.announce(position("s:t:0:1")));
    sink.hear().expect("there");
    let take = std::thread::spawn(move || {
        let whole = sink.take(b"s:t:0:1\tv\n", Shape::Tsv).is_ok();
        (whole, sink)
    });
    std::thread::sleep(Duration::from_millis(20));
    assert!(!take.is_finished());
    source.confirm();
    let (whole, mut sink) = take.join().expect("joined");
    assert!(whole);
    assert!(source.announce(position("s:t:0:2")));
    sink.hear().expect("there");
    drop(source);
    assert!(matches!(
        sink.take(b"s:t:0:2\ttorn\n", Shape::Tsv),
        Err(AckError::SourceGone)
    ));
}

#[test]
fn lines_are_written_whole_and_long_ones_are_announced() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut lines = Lines::new(File::from(rustix::fd::OwnedFd::from(writer)), Shape::Tsv);
    let mut expected = Vec::new();
    for offset in 0..3000 {
        let long = if offset % 1000 == 999 { 10_000 } else { 90 };
        let line = format!("s:t:0:{offset}\t{}\n", "x".repeat(long));
        expected.extend_from_slice(line.as_bytes());
    }
    lines.buffer().extend_from_slice(&expected);
    let mut read = Vec::new();
    let mut reader = File::from(rustix::fd::OwnedFd::from(reader));
    let mut block = vec![0; 3000];
    let mut announced = 0;
    while lines.write(&mut source).expect("a reader") == Written::Blocked {
        let bytes = std::io::Read::read(&mut reader, &mut block).expect("bytes");
        read.extend_from_slice(&block[..bytes]);
        sink.hear().expect("there");
        announced += usize::from(sink.long.is_some());
    }
    drop(lines);
    std::io::Read::read_to_end(&mut reader, &mut read).expect("bytes");
    assert_eq!(read, expected);
    assert!(announced > 0, "no long line was seen under way");
    sink.hear().expect("there");
    assert_eq!(sink.long, None);
}

#[test]
fn a_reader_that_left_is_noticed_with_and_without_writing() {
    let (mut source, _sink, _folder) = pair(SinkKind::Plain);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut lines = Lines::new(File::from(rustix::fd::OwnedFd::from(writer)), Shape::Tsv);
    assert!(lines.has_reader());
    drop(reader);
    assert!(!lines.has_reader());
    lines.buffer().extend_from_slice(b"s:t:0:1\tv\n");
    assert_eq!(lines.write(&mut source).expect("told"), Written::Closed);
}

fn receive(receipts: &mut Receipts, text: &str) -> Receipt {
    receipts.receive(text.as_bytes()).expect(text)
}

fn texts(positions: &[Position]) -> Vec<String> {
    positions.iter().map(Position::to_string).collect()
}

#[test]
fn only_a_prefix_that_is_durable_is_acknowledged() {
    let mut receipts = Receipts::default();
    let first = receive(&mut receipts, "s:t:0:1");
    let second = receive(&mut receipts, "s:t:0:2");
    let other = receive(&mut receipts, "s:t:1:7");
    receipts.settle(second);
    receipts.settle(other);
    assert_eq!(texts(&receipts.durable(true)), ["s:t:1:7"]);
    receipts.settle(first);
    assert_eq!(texts(&receipts.durable(true)), ["s:t:0:2"]);
    assert!(receipts.durable(true).is_empty());
    assert_eq!(receipts.open(), 0);
}

#[test]
fn a_repeated_position_counts_with_the_last_of_its_lines() {
    let mut receipts = Receipts::default();
    let before = receive(&mut receipts, "s:t:0:1");
    let one = receive(&mut receipts, "s:t:0:2");
    receipts.settle(before);
    receipts.settle(one);
    assert_eq!(
        texts(&receipts.durable(false)),
        ["s:t:0:1"],
        "more lines of 2 may come"
    );
    let two = receive(&mut receipts, "s:t:0:2");
    assert!(receipts.durable(true).is_empty());
    receipts.settle(two);
    assert!(receipts.durable(false).is_empty());
    let next = receive(&mut receipts, "s:t:1:0");
    assert_eq!(texts(&receipts.durable(false)), ["s:t:0:2"]);
    receipts.settle(next);
    assert_eq!(texts(&receipts.durable(true)), ["s:t:1:0"]);
    assert!(receipts.hold() > Duration::from_millis(100));
}

#[test]
fn a_position_may_go_on_in_a_line_that_begins_as_it_does() {
    let mut receipts = Receipts::default();
    receive(&mut receipts, "s:t:0:1");
    assert!(
        !receipts.may_go_on(b"s:t:0:1"),
        "no record had two lines yet"
    );
    receive(&mut receipts, "s:t:0:1");
    assert!(receipts.may_go_on(b"s:t:0:1\tv"));
    assert!(receipts.may_go_on(b"s:t"));
    assert!(receipts.may_go_on(b"{\"position\":\"s:t:0"));
    assert!(!receipts.may_go_on(b"s:t:0:2"));
    assert!(!receipts.may_go_on(b""));
}

#[test]
fn an_order_that_was_changed_is_noticed() {
    let mut receipts = Receipts::default();
    receive(&mut receipts, "s:t:0:5");
    receive(&mut receipts, "s:t:1:2");
    let error = receipts.receive(b"s:t:0:4").expect_err("goes back");
    assert!(
        error.to_string().contains("s:t:0:4 came after 5"),
        "{error}"
    );
}

fn place(partition: i32) -> (String, i32) {
    ("t".to_owned(), partition)
}

fn window(limit: u64, sink_commits: bool) -> Window {
    let mut window = Window::new(limit, sink_commits);
    window.begin("s", "t", 0);
    window.begin("s", "t", 1);
    window
}

#[test]
fn what_is_acknowledged_is_committed_and_makes_room_only_then() {
    let mut window = window(3, false);
    for offset in [4, 5, 9] {
        window.send(&place(0), offset);
    }
    assert!(window.is_full());
    assert_eq!(window.acknowledge(&position("s:t:0:5")).ok(), Some(true));
    assert_eq!(window.acknowledged(), 2);
    let positions = window.to_commit();
    assert_eq!(positions.get(&place(0)), Some(&6));
    window.committing(&positions);
    assert!(window.is_full());
    window.settle_commit(true);
    assert_eq!(window.room(), 2);
    assert!(window.to_commit().is_empty());
    assert!(!window.is_drained(None));
    assert_eq!(window.acknowledge(&position("s:t:0:9")).ok(), Some(true));
    assert!(window.is_drained(None));
    window.committing(&window.to_commit());
    window.settle_commit(false);
    assert_eq!(window.to_commit().get(&place(0)), Some(&10), "once more");
}

#[test]
fn an_acknowledgement_of_an_old_session_is_never_taken() {
    let mut window = window(10, false);
    window.send(&place(0), 4);
    window.forget(&[place(0)]);
    assert_eq!(window.acknowledge(&position("s:t:0:4")).ok(), Some(false));
    window.begin("s2", "t", 0);
    window.send(&place(0), 2);
    assert_eq!(window.acknowledge(&position("s:t:0:4")).ok(), Some(false));
    assert!(window.to_commit().is_empty());
    assert_eq!(window.acknowledge(&position("s2:t:0:2")).ok(), Some(true));
    assert_eq!(window.acknowledge(&position("s2:t:0:2")).ok(), Some(false));
    assert!(window.acknowledge(&position("s2:t:0:3")).is_err());
    assert!(window.acknowledge(&position("s:t:1:0")).is_err());
}

#[test]
fn what_is_behind_the_last_record_is_committed_with_it_and_by_the_source_where_the_sink_commits() {
    let mut plain = window(10, false);
    plain.send(&place(0), 4);
    plain.pass(&place(0), 6);
    plain.pass(&place(1), 3);
    assert_eq!(plain.to_commit(), [(place(1), 3)].into());
    assert_eq!(plain.reached(&place(0)), Some(6));
    plain.acknowledge(&position("s:t:0:4")).expect("sent");
    assert_eq!(plain.to_commit(), [(place(0), 6), (place(1), 3)].into());

    let mut transactional = window(10, true);
    transactional.send(&place(0), 4);
    transactional.send(&place(1), 4);
    transactional.pass(&place(0), 6);
    transactional
        .acknowledge(&position("s:t:0:4"))
        .expect("sent");
    transactional
        .acknowledge(&position("s:t:1:4"))
        .expect("sent");
    assert_eq!(transactional.in_flight(), 0);
    assert_eq!(transactional.to_commit(), [(place(0), 6)].into());
}

proptest! {
    #[test]
    fn any_bytes_of_a_record_survive_both_shapes(value in proptest::collection::vec(any::<u8>(), 0..60), offset in 0..i64::MAX) {
        let value: Vec<u8> = value.into_iter().filter(|byte| *byte != b'\n').chain([b'\n']).collect();
        let mut out = Vec::new();
        let start = begin_line(Shape::Tsv, "s:t.x-y_z:12", offset, &mut out);
        out.extend_from_slice(&value);
        end_line(Shape::Tsv, start, &mut out);
        let split = Split::of(&out, Shape::Tsv).expect("a line");
        prop_assert_eq!(Position::parse(split.position).map(|p| p.offset), Some(offset));
        prop_assert_eq!(split.record.as_deref(), Some(&value[..]));
    }

    #[test]
    fn a_window_counts_what_is_between_the_sent_and_the_committed(gaps in proptest::collection::vec(1_i64..4, 1..50), at in 0_usize..50) {
        let mut window = Window::new(1000, false);
        window.begin("s", "t", 0);
        let mut offset = 0;
        let offsets: Vec<i64> = gaps.iter().map(|gap| { offset += gap; offset }).collect();
        for offset in &offsets {
            window.send(&place(0), *offset);
        }
        let at = at % offsets.len();
        window.acknowledge(&position(&format!("s:t:0:{}", offsets[at]))).expect("sent");
        prop_assert_eq!(window.acknowledged(), at as u64 + 1);
        window.committing(&window.to_commit());
        window.settle_commit(true);
        prop_assert_eq!(window.in_flight(), (offsets.len() - at - 1) as u64);
    }
}
