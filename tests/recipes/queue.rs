use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::recipe;
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::{java, session};

/// A new group's first assignment takes the brokers some seconds.
const LIMIT: Duration = Duration::from_secs(90);

#[test]
fn two_machines_convert_all_files_and_what_never_works_is_put_aside() {
    let Some(kafka) = shared_kafka() else { return };
    let (group, topic) = (session::unique("convert"), kafka.topic("uploads", 2, &[]));
    let rejects = kafka.topic("rejected", 1, &[]);
    let folder = session::folder("queue");
    let files: Vec<String> = (0..20).map(|n| format!("file{n}")).collect();
    for file in &files {
        std::fs::write(folder.join(file), file).unwrap();
    }
    let earliest = ["share.auto.offset.reset=earliest"];
    java::set_group(&kafka.bootstrap(), &group, &earliest).expect("it comes with the broker");
    let records = files.iter().map(String::as_str).chain(["no-such-file"]);
    let records: Vec<Record> = records.map(Record::of).collect();
    kafka.produce(&topic, &records);

    let recipe = recipe("Share jobs among machines, and put aside what never works");
    let settings = [
        ("KAFKA_BROKERS", &*kafka.bootstrap()),
        ("GROUP", &group),
        ("TOPIC", &topic),
        ("REJECTS", &rejects),
    ];
    let start = || {
        recipe
            .run(1, &settings)
            .inside(&folder)
            .limit(2 * LIMIT)
            .start()
    };
    let machines = [start(), start()];
    let until = Instant::now() + LIMIT;
    let is_done = || {
        let are_converted = files
            .iter()
            .all(|file| folder.join(format!("{file}.gz")).exists());
        are_converted && !kafka.records(&rejects).is_empty()
    };
    while !is_done() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut stories = Vec::new();
    for mut machine in machines {
        machine.signal(Signal::TERM);
        stories.push(machine.wait().story());
    }
    assert!(is_done(), "{}", stories.concat());
    let rejected = recipe.run(2, &settings).run().succeeds();
    let line = rejected.text().lines().next().unwrap_or_default();
    assert!(
        line.starts_with(&format!("no-such-file __dlq.errors.topic={topic},")),
        "{line}"
    );
    assert!(line.contains("__dlq.errors.delivery.count=3"), "{line}");
    let sent: Vec<String> = kafka.records(&topic).iter().map(Record::text).collect();
    assert_eq!(
        sent.iter().filter(|name| *name == "no-such-file").count(),
        2
    );
}
