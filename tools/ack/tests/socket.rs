use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
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
