//! Both ends against each other, and the parts that know no socket.

mod lines;
mod position;
mod receipts;
mod socket;
mod window;

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
