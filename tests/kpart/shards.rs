//! The recipe of kpart(1): a topic is sorted by the shards of a database, and each shard is loaded on its own.

use crate::testkit::broker::{Kafka, shared_kafka};
use crate::testkit::cluster::{Cluster as _, Record};
use crate::testkit::command::shell;
use crate::testkit::postgres::{self, Postgres};
use crate::testkit::session;
use std::time::Duration;

/// A table with twelve hash partitions, and one without any that the rows are made in.
const TABLES: &str = "\
create table events (user_id bigint, id int not null, note text) partition by hash (user_id);
select format('create table events_%s partition of events for values with (modulus 12, remainder %s)', i, i)
  from generate_series(0, 11) i \\gexec
create table origin (user_id bigint, id int not null, note text);
insert into origin
  select case i % 7 when 0 then -i when 1 then i * 460000000000003 when 2 then i % 20 when 3 then null else i end,
         i, case i % 5 when 0 then null when 1 then E'tab\\there' when 2 then E'two\\nlines \\\\ and \\\\N' when 3 then '' else 'ü' || i end
  from generate_series(0, 19999) i;
";

/// Rows of `origin` that are not in `events`, and the other way round.
const DIFFERENCE: &str = "\
select count(*) from ((table origin except all table events) union all (table events except all table origin)) d";

/// What kpart(1) says to type, but for the cluster's name.
const RECIPE: &str = r#"
    kcat-lite -C -e -q -t $FROM --tsv | kpart -t $TO --algo $ALGO | kcat-lite -P -q -t $TO --tsv=partition,key,value || exit
    for i in {0..11}; do
        kcat-lite -C -e -q -t $TO -p $i | psql -qXc "\copy events_$i from pstdin" & loads+=($!)
    done
    for load in "${loads[@]}"; do wait $load || failed=1; done
    exit ${failed:-0}
"#;

/// A topic whose keys are the user's id and whose values are the rows as COPY writes them.
fn produce_rows(postgres: &Postgres, kafka: &Kafka) -> String {
    let topic = kafka.topic("rows", 3, &[]);
    let rows = postgres.sql("copy (table origin) to stdout").succeeds();
    let records: Vec<Record> = rows
        .text()
        .lines()
        .enumerate()
        .map(|(at, row)| {
            let key = row.split('\t').next().unwrap();
            Record {
                partition: Some(at as i32 % 3),
                key: (key != "\\N").then(|| key.into()),
                ..Record::of(row)
            }
        })
        .collect();
    assert_eq!(records.len(), 20_000);
    kafka.produce(&topic, &records);
    topic
}

#[test]
fn every_row_of_a_topic_is_copied_into_the_leaf_that_postgresql_would_choose() {
    let (Some(kafka), Some(postgres)) = (shared_kafka(), postgres::start()) else {
        return;
    };
    postgres.sql(TABLES).succeeds();
    let from = produce_rows(&postgres, kafka);
    let to = kafka.topic("shards", 12, &[]);
    postgres
        .known_to(shell(RECIPE))
        .env("KAFKA_BROKERS", kafka.bootstrap())
        .env("FROM", &from)
        .env("TO", &to)
        .env("ALGO", "postgres:bigint")
        .inside(&session::folder("shards"))
        .limit(Duration::from_secs(120))
        .run()
        .succeeds()
        .stderr_is("");
    postgres.sql(DIFFERENCE).succeeds().stdout_is("0\n");
    // PostgreSQL trusts what a leaf holds; whether it would put each row there again is asked row by row.
    let strays = "select count(*) from events where not satisfies_hash_partition(\
        'events'::regclass, 12, substring(tableoid::regclass::text from 8)::int, user_id)";
    postgres.sql(strays).succeeds().stdout_is("0\n");
    let leaves = postgres.sql("select count(distinct tableoid), count(*) from events");
    leaves.succeeds().stdout_is("12\t20000\n");
}

#[test]
fn rows_placed_by_another_algorithm_are_refused_by_their_leaf() {
    let (Some(kafka), Some(postgres)) = (shared_kafka(), postgres::start()) else {
        return;
    };
    postgres.sql(TABLES).succeeds();
    let from = produce_rows(&postgres, kafka);
    postgres
        .known_to(shell(RECIPE))
        .env("KAFKA_BROKERS", kafka.bootstrap())
        .env("FROM", &from)
        .env("TO", kafka.topic("shards", 12, &[]))
        .env("ALGO", "murmur2")
        .inside(&session::folder("shards"))
        .limit(Duration::from_secs(120))
        .run()
        .fails_with(1)
        .stderr_has("violates partition constraint");
    // Each leaf is loaded in one statement, so that no part of a wrong load stays.
    let kept = postgres.sql("select count(*) from events");
    kept.succeeds().stdout_is("0\n");
}

#[test]
fn one_command_for_each_leaf_does_the_same_without_a_second_topic() {
    let Some(postgres) = postgres::start() else {
        return;
    };
    postgres.sql(TABLES).succeeds();
    postgres
        .known_to(shell(
            r#"psql -qXc 'copy origin to stdout' | kpart -n 12 --algo postgres:bigint --exec 'psql -qXc "\copy events_{} from pstdin"'"#,
        ))
        .run()
        .succeeds()
        .stderr_is("");
    postgres.sql(DIFFERENCE).succeeds().stdout_is("0\n");
}
