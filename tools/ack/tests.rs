//! Both ends against each other, and the parts that know no socket.

mod in_flight;
mod line_writer;
mod position;
mod reader;
mod socket;
mod tracker;

use std::path::Path;
use std::time::Duration;

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
        topic_partitions: vec![("t".to_owned(), 0)],
        ..Session::default()
    }
}

fn position(text: &str) -> Position {
    Position::parse(text.as_bytes()).expect(text)
}

fn connect(path: &Path, kind: SinkKind, wait: Duration) -> Result<Sink, AckError> {
    Sink::connect(path, kind, Shape::Tsv, wait, &never)
}

/// The lines that a sink hands over, as `position|record` without the newline; and how many bytes they took.
fn taken(sink: &mut Sink, bytes: &[u8]) -> Result<(Vec<String>, usize), AckError> {
    let (mut lines, mut used) = (Vec::new(), 0);
    while let Some(line) = sink.next(bytes, &mut used)? {
        let record = line.record.as_deref().map(String::from_utf8_lossy);
        let position = String::from_utf8_lossy(line.position);
        lines.push(format!(
            "{position}|{}",
            record.as_deref().unwrap_or("left out").trim_end()
        ));
    }
    Ok((lines, used))
}

/// A source and a sink that have greeted each other.
fn pair(kind: SinkKind) -> (Source, Sink, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ack");
    let listener = Listener::bind(&path, SOON, &never).expect("bound");
    let sink = std::thread::spawn(move || connect(&path, kind, SOON).expect("connected"));
    let source = listener.accept("run", SOON, &never).expect("accepted");
    (source, sink.join().expect("joined"), folder)
}

fn durable(source: &mut Source) -> Vec<String> {
    for _ in 0..500 {
        let positions = source.poll().expect("the sink is there").positions;
        if !positions.is_empty() {
            return positions.iter().map(Position::to_string).collect();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Vec::new()
}
