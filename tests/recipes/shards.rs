use super::{Recipe, recipe};
use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::Cmd;
use crate::testkit::postgres::{self, Postgres};
use crate::testkit::session;
use std::path::Path;
use std::time::{Duration, Instant};

/// The partitions of the recipe's table.
const LEAVES: &str = "\
select format('create table events_%s partition of events for values with (modulus 4, remainder %s)', i, i)
  from generate_series(0, 3) i \\gexec
";

/// Rows in leaves that PostgreSQL would not choose for them.
const STRAYS: &str = "select count(*) from events where not satisfies_hash_partition(\
    'events'::regclass, 4, substring(tableoid::regclass::text from 8)::int, user_id)";

fn events(first: i64, count: i64) -> Vec<Record> {
    let event = |at: i64| Record {
        partition: Some(at as i32 % 3),
        ..Record::keyed(
            (at * at - 500).to_string(),
            format!("event {at}:\ttwo\nlines, \\N"),
        )
    };
    (first..first + count).map(event).collect()
}

fn load(recipe: &Recipe, kafka: &Kafka, postgres: &Postgres, topic: &str, folder: &Path) -> Cmd {
    // Where the server is the testkit says, by the same variables.
    let settings = [
        ("KAFKA_BROKERS", &*kafka.bootstrap()),
        ("TOPIC", topic),
        ("PGHOST", ""),
        ("PGUSER", ""),
        ("PGDATABASE", ""),
    ];
    postgres.known_to(recipe.run(1, &settings).inside(folder))
}

fn shards() -> Recipe {
    recipe("Insert into the shards of a database")
}

#[test]
fn every_record_is_once_in_the_shard_that_postgresql_would_choose() {
    let (Some(kafka), Some(postgres)) = (shared_kafka(), postgres::start()) else {
        return;
    };
    let recipe = shards();
    postgres.sql(recipe.text("sql", 0)).succeeds();
    postgres.sql(LEAVES).succeeds();
    let topic = kafka.topic("events", 3, &[]);
    let folder = session::folder("shards");
    let group = session::unique("loader");
    let recipe = named(recipe, &group);
    for round in 0..2 {
        kafka.produce(&topic, &events(round * 5000, 5000));
        let load = load(&recipe, kafka, &postgres, &topic, &folder).run();
        load.succeeds().stdout_is("").stderr_is("");
    }
    load(&recipe, kafka, &postgres, &topic, &folder)
        .run()
        .succeeds();
    check(&postgres, 10_000);
    assert_eq!(
        kafka.committed(&group, &topic).values().sum::<i64>(),
        10_000
    );
}

#[test]
fn killed_in_the_midst_of_it_no_row_is_missing_and_none_is_there_twice() {
    let (Some(kafka), Some(postgres)) = (shared_kafka(), postgres::start()) else {
        return;
    };
    let recipe = named(shards(), &session::unique("loader"));
    postgres.sql(recipe.text("sql", 0)).succeeds();
    postgres.sql(LEAVES).succeeds();
    let topic = kafka.topic("events", 3, &[]);
    kafka.produce(&topic, &events(0, 50_000));
    let folder = session::folder("shards");
    for _ in 0..3 {
        let count = || {
            postgres
                .sql("select count(*) from events")
                .text()
                .to_owned()
        };
        let before = count();
        let running = load(&recipe, kafka, &postgres, &topic, &folder).start();
        let deadline = Instant::now() + Duration::from_secs(20);
        while count() == before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Dropped, the whole of it is killed with -9, some shards of the batch loaded and some not.
        drop(running);
    }
    load(&recipe, kafka, &postgres, &topic, &folder)
        .run()
        .succeeds();
    check(&postgres, 50_000);
}

#[test]
fn rows_that_were_placed_by_another_rule_are_refused_and_nothing_is_committed() {
    let (Some(kafka), Some(postgres)) = (shared_kafka(), postgres::start()) else {
        return;
    };
    let group = session::unique("loader");
    let mut recipe = named(shards(), &group);
    for block in &mut recipe.blocks {
        block.text = block.text.replace("postgres:bigint", "murmur2");
    }
    postgres.sql(recipe.text("sql", 0)).succeeds();
    postgres.sql(LEAVES).succeeds();
    let topic = kafka.topic("events", 3, &[]);
    kafka.produce(&topic, &events(0, 1000));
    load(
        &recipe,
        kafka,
        &postgres,
        &topic,
        &session::folder("shards"),
    )
    .run()
    .fails_with(2)
    .stderr_has("violates partition constraint");
    assert_eq!(kafka.committed(&group, &topic).values().sum::<i64>(), 0);
    postgres.sql(STRAYS).succeeds().stdout_is("0\n");
}

/// Each of the first `count` events is there once, as it was, in its leaf.
#[track_caller]
fn check(postgres: &Postgres, count: i64) {
    let truth = format!(
        "select i::bigint * i - 500, i % 3, i / 3, E'event ' || i || E':\\ttwo\\nlines, \\\\N' \
         from generate_series(0, {count} - 1) i"
    );
    let difference = format!(
        "select count(*) from ((table events except all ({truth})) union all (({truth}) except all table events)) d"
    );
    postgres.sql(&difference).succeeds().stdout_is("0\n");
    postgres.sql(STRAYS).succeeds().stdout_is("0\n");
    let leaves = postgres.sql("select count(distinct tableoid) from events");
    leaves.succeeds().stdout_is("4\n");
}

/// The recipe with a group that no other test has.
fn named(mut recipe: Recipe, group: &str) -> Recipe {
    for block in &mut recipe.blocks {
        block.text = block.text.replace("-G loader ", &format!("-G {group} "));
    }
    assert!(recipe.text("sh", 1).contains(group));
    recipe
}
