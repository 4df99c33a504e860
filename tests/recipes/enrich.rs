use super::{Recipe, recipe, seen_by_python};
use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::Cmd;
use crate::testkit::session;
use crate::testkit::witness;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

const TITLE: &str = "Enrich records and produce them to the same topic";

fn orders(first: usize, count: usize) -> Vec<Record> {
    let order = |at: usize| Record {
        partition: Some(at as i32 % 3),
        headers: vec![("from".to_owned(), Some(b"web".to_vec()))],
        ..Record::keyed(
            format!("order {at}"),
            format!(
                r#"{{"item":"{}","count":{at}}}"#,
                ["apples", "pears"][at % 2]
            ),
        )
    };
    (first..first + count).map(order).collect()
}

fn enrich(recipe: &Recipe, brokers: &str, topic: &str, folder: &Path) -> Cmd {
    let settings = [("KAFKA_BROKERS", brokers), ("TOPIC", topic)];
    recipe.run(1, &settings).inside(folder)
}

/// Each of `count` orders is there as it was, and once with its price.
#[track_caller]
fn check(seen: &[String], count: usize) {
    let hex = |text: &str| {
        text.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    };
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for line in seen {
        // Partition and time come first.
        let record = line.splitn(3, ' ').nth(2).unwrap();
        *times.entry(record).or_default() += 1;
    }
    for at in 0..count {
        let (item, price) = [("apples", 3), ("pears", 4)][at % 2];
        let key = hex(&format!("order {at}"));
        let plain = hex(&format!(r#"{{"item":"{item}","count":{at}}}"#));
        let priced = hex(&format!(
            r#"{{"item":"{item}","count":{at},"price":{price}}}"#
        ));
        let web = hex("web");
        for record in [
            format!("{key} {plain} from={web}"),
            format!("{key} {priced} from={web},enriched={}", hex("1")),
        ] {
            let found = times.get(record.as_str()).copied().unwrap_or(0);
            assert_eq!(found, 1, "order {at}: {record} is there {found} times");
        }
    }
    assert_eq!(seen.len(), 2 * count);
}

#[test]
fn every_order_is_enriched_once_however_often_the_recipe_is_run() {
    let (Some(kafka), Some(_jq)) = (shared_kafka(), witness::installed("jq")) else {
        return;
    };
    let topic = kafka.topic("orders", 3, &[]);
    kafka.produce(&topic, &orders(0, 1000));
    let folder = session::folder("enrich");
    let recipe = group_of_its_own();
    let run = || {
        let ran = enrich(&recipe, &kafka.bootstrap(), &topic, &folder).run();
        ran.succeeds().stdout_is("").stderr_is("");
    };
    let Some(_) = witness::python() else { return };
    run();
    check(&seen_by_python(kafka, &topic).unwrap(), 1000);
    run();
    kafka.produce(&topic, &orders(1000, 500));
    run();
    run();
    check(&seen_by_python(kafka, &topic).unwrap(), 1500);
}

#[test]
fn killed_in_the_midst_of_it_every_order_is_enriched_once() {
    let (Some(kafka), Some(_jq)) = (shared_kafka(), witness::installed("jq")) else {
        return;
    };
    let Some(_) = witness::python() else { return };
    let topic = kafka.topic("orders", 3, &[]);
    kafka.produce(&topic, &orders(0, 30_000));
    let folder = session::folder("enrich");
    let recipe = group_of_its_own();
    let run = || enrich(&recipe, &kafka.bootstrap(), &topic, &folder);
    for kill in 1..=3 {
        let seen = kafka.watermarks(&topic, 0).1;
        let running = run().start();
        let deadline = Instant::now() + Duration::from_secs(60);
        // Something of this run has come into the log; whether it is committed is another matter.
        while kafka.watermarks(&topic, 0).1 == seen && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(kill * 37));
        // Dropped, the whole pipe is killed with -9.
        drop(running);
    }
    run().run().succeeds();
    check(&seen_by_python(kafka, &topic).unwrap(), 30_000);
}

/// The recipe with a group and a transactional id that no other test has.
fn group_of_its_own() -> Recipe {
    let name = session::unique("enrich");
    let mut recipe = recipe(TITLE);
    for block in &mut recipe.blocks {
        for option in ["-G ", "--txn ", "group.instance.id="] {
            block.text = block
                .text
                .replace(&format!("{option}enrich "), &format!("{option}{name} "));
        }
    }
    assert_eq!(recipe.text("sh", 1).matches(&name).count(), 3);
    recipe
}
