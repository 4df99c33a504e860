use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::*;

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
    sink.poll(Arrival::More).expect("the source is there");
    taken(&mut sink, b"s:1:t:0:1\tv\n").expect("known");
    assert_eq!(sink.session(0), Some(&session("s")));
    drop(source);
    assert!(!path.exists());
    assert!(matches!(
        sink.poll(Arrival::More),
        Err(AckError::SourceGone)
    ));
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
    let alone = connect(&path, SinkKind::Plain, wait);
    assert!(matches!(alone.err(), Some(AckError::NoSource { .. })));
    // One that a killed run left behind is as good as none.
    drop(UnixListener::bind(&path).expect("bound"));
    let alone = connect(&path, SinkKind::Plain, wait);
    assert!(matches!(alone.err(), Some(AckError::NoSource { .. })));
}

#[test]
fn a_second_sink_is_sent_away() {
    let (mut source, _sink, folder) = pair(SinkKind::Plain);
    let path = folder.path().join("ack");
    let second = std::thread::spawn(move || {
        connect(&path, SinkKind::Plain, Duration::from_millis(200))
            .err()
            .map(|error| error.to_string())
    });
    while !second.is_finished() {
        source.poll().expect("the first sink stays");
        std::thread::sleep(Duration::from_millis(2));
    }
    let reason = second.join().expect("joined").expect("refused");
    assert!(reason.contains("no source"), "{reason}");
}

#[test]
fn ends_of_different_versions_refuse_each_other_with_a_sentence() {
    let words = "version 1 of its protocol, and this one version 4";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ack");
    let listener = bind(&path, 0).expect("bound");
    let mut old = UnixStream::connect(&path).expect("connected");
    old.write_all(b"{\"ack\":1,\"sink\":\"plain\"}\n")
        .expect("sent");
    let refused = listener.accept("run", SOON, &never).err().expect("refused");
    assert!(refused.to_string().contains(words), "{refused}");

    let listener = UnixListener::bind(&path).expect("bound");
    let old = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("connected");
        stream
            .write_all(b"{\"ack\":1,\"run\":\"1\"}\n")
            .expect("sent");
        stream
    });
    let refused = connect(&path, SinkKind::Plain, SOON)
        .err()
        .expect("refused");
    assert!(refused.to_string().contains(words), "{refused}");
    old.join().expect("joined");
}

#[test]
fn where_reading_began_and_up_to_where_it_came_is_told_by_stream() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Segment);
    let begun = Session {
        starts: vec![ReadStart {
            topic: "t".to_owned(),
            partition: 0,
            from: None,
            log_start: 7,
        }],
        partition_counts: vec![("t".to_owned(), 6)],
        ..session("s")
    };
    source.begin(&begun).expect("heard");
    let released = position("s:t:0:9");
    source
        .released(vec![released.key.clone()], vec![released.clone()])
        .expect("heard");
    source.end(0, vec![position("s:t:0:12")]).expect("heard");
    sink.poll(Arrival::End).expect("there");
    assert_eq!(sink.take_begun(), [begun]);
    assert_eq!(sink.take_passed(), [released, position("s:t:0:12")]);
}

#[test]
fn the_sink_acknowledges_and_its_death_is_noticed_after_its_last_word() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    let both = Session {
        topic_partitions: vec![("t".to_owned(), 0), ("t".to_owned(), 1)],
        ..session("s")
    };
    source.begin(&both).expect("heard");
    sink.poll(Arrival::More).expect("there");
    taken(&mut sink, b"s:1:t:0:3\tv\ns:2:t:1:2\tv\ns:3:t:0:4\tv\n").expect("in order");
    sink.acknowledge([(0, 4), (1, 2), (0, 3)]);
    drop(sink);
    assert_eq!(durable(&mut source), ["s:t:0:4", "s:t:1:2"]);
    assert!(matches!(source.poll(), Err(AckError::SinkGone)));
}

#[test]
fn lines_of_an_aborted_session_are_passed_over_and_those_of_the_next_are_not() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Transactional);
    source.begin(&session("s")).expect("heard");
    sink.poll(Arrival::More).expect("there");
    taken(&mut sink, b"s:1:t:0:4\tv\ns:2:t:0:5\tv\n").expect("in order");
    sink.acknowledge([(0, 4)]);
    sink.abort();
    let update = source.poll().expect("there");
    assert_eq!(update.positions, [position("s:t:0:4")]);
    assert_eq!(update.aborted, ["s"]);
    source.begin(&session("s2")).expect("heard");
    sink.poll(Arrival::More).expect("there");
    let late = b"s:2:t:0:5\tv\ns:3:t:0:6\tv\ns2:4:t:0:5\tv\ns2:5:t:0:6\tv\n";
    assert_eq!(
        taken(&mut sink, late).expect("in order").0,
        ["s2:4:t:0:5|v"]
    );
    sink.abort();
    assert_eq!(source.poll().expect("there").aborted, ["s2"]);
}

#[test]
fn the_end_is_agreed_on() {
    let (mut source, mut sink, _folder) = pair(SinkKind::Plain);
    source.begin(&session("s")).expect("heard");
    source.end(1, Vec::new()).expect("heard");
    sink.poll(Arrival::End).expect("the source is there");
    assert!(sink.has_ended() && sink.is_flush_requested());
    taken(&mut sink, b"s:1:t:0:4\tv\n").expect("in order");
    let finish = std::thread::spawn(move || sink.finish(true, &never));
    std::thread::sleep(Duration::from_millis(20));
    assert!(!finish.is_finished(), "all has to be committed first");
    source.done().expect("heard");
    drop(source);
    finish.join().expect("joined").expect("done");
}

#[test]
fn an_end_without_the_end_mark_or_before_the_last_line_is_a_death() {
    let (source, sink, _folder) = pair(SinkKind::Plain);
    assert!(matches!(sink.finish(true, &never), Err(AckError::CutShort)));
    drop(source);
    for (last, is_whole) in [(0, false), (1, true)] {
        let (mut source, sink, _folder) = pair(SinkKind::Plain);
        source.end(last, Vec::new()).expect("heard");
        let finished = sink.finish(is_whole, &never);
        assert!(matches!(finished, Err(AckError::CutShort)));
    }
}
