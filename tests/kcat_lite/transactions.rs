//! `--txn`: transactions that are aborted while the pipe lives on are started over.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer as _};
use rustix::process::{Signal, kill_process};

use super::ack::{Pipe, all};
use super::kills::{MEMBER, wait_for_pid};
use crate::testkit::broker::{Kafka, Spec, shared_kafka};
use crate::testkit::cluster::Cluster as _;
use crate::testkit::interceptor::{Interceptor, Then};
use crate::testkit::running::Running;

/// Longer than transaction.timeout.ms and the session.
const SUSPENDED: Duration = Duration::from_secs(12);
const LIMIT: Duration = Duration::from_secs(120);

/// A slow program holds lines between the source and a sink with a short transaction.timeout.ms.
const SCRIPT: &str = r#"(member source kcat-lite -G "$GROUP" "$IN" $OPTIONS -q -X auto.offset.reset=earliest --tsv --ack ack) |
    (member transform perl -e '$| = 1; while (<STDIN>) { push @held, $_; select undef, undef, undef, 0.002;
        if (@held >= 100) { print splice @held } } print @held') |
    (member sink kcat-lite -P -q -t "$OUT" --tsv --ack ack --txn "$GROUP" --batch-wait 2s -X transaction.timeout.ms=5000); wait"#;

fn start(pipe: &Pipe<'_>, options: &str) -> Running {
    pipe.shell(&format!("{MEMBER}{SCRIPT}"))
        .env("OPTIONS", options)
        .limit(LIMIT)
        .start()
}

fn signal(folder: &Path, members: &[&str], signal: Signal) {
    for member in members {
        let _ = kill_process(wait_for_pid(&folder.join(member)), signal);
    }
}

/// Suspends members in the midst of a transaction; all records arrive once, and the pipe ends well.
fn suspend(kafka: &Kafka, members: &[&str], options: &str, words: &str) {
    let pipe = Pipe::new(kafka, 3, 1500);
    let running = start(&pipe, options);
    kafka.wait_for_records(&pipe.output, 300, LIMIT);
    // A transaction begins with the next lines, and is open for two seconds.
    std::thread::sleep(Duration::from_secs(1));
    signal(&pipe.folder, members, Signal::STOP);
    std::thread::sleep(SUSPENDED);
    signal(&pipe.folder, members, Signal::CONT);
    // The others are held until the end of the input.
    kafka.wait_for_records(&pipe.output, 4400, LIMIT);
    signal(&pipe.folder, &["source"], Signal::TERM);
    running.wait().succeeds().stderr_has(words);
    assert_eq!(pipe.values(), all(3, 1500), "{members:?} {options}");
    let end = BTreeMap::from([(0, 1500), (1, 1500), (2, 1500)]);
    assert_eq!(pipe.committed(), end, "{members:?} {options}");
}

#[test]
fn a_transaction_that_was_open_for_too_long_is_started_over_and_nothing_is_lost_or_duplicated() {
    let name = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
    let Some(kafka) = Spec::new().setting(name, "500").start() else {
        return;
    };
    let timed_out = "open for longer than transaction.timeout.ms; its records are read again";
    let given_away = "the group has given";
    let everybody = ["source", "transform", "sink"];
    std::thread::scope(|scope| {
        let cases = [
            (&everybody[2..], "", timed_out),
            (&everybody[2..], "--engine librdkafka", timed_out),
            (&everybody[2..], "-X group.protocol=consumer", timed_out),
            (&everybody[..], "-X session.timeout.ms=6000", given_away),
        ];
        for (members, options, words) in cases {
            let kafka = &kafka;
            scope.spawn(move || suspend(kafka, members, options, words));
        }
    });
}

/// Another producer raises the epoch of a transactional.id without an open transaction as much as a timeout does.
#[test]
fn a_transaction_whose_commit_was_not_answered_is_not_started_over_when_another_producer_took_its_id()
 {
    let Some(kafka) = shared_kafka() else { return };
    let pipe = Pipe::new(kafka, 1, 100);
    let (bootstrap, id) = (kafka.bootstrap(), pipe.group.clone());
    let proxy = Interceptor::before(&bootstrap).on(ApiKey::EndTxn, move |call, _| {
        if call.number > 0 {
            return Then::Pass;
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &bootstrap);
        config.set("transactional.id", &id);
        let other: BaseProducer = config.create().unwrap();
        other.init_transactions(LIMIT).unwrap();
        Then::Silence
    });
    let script = "source -q --tsv | (exec kcat-lite -P -q -t \"$OUT\" --tsv --ack ack --txn \"$GROUP\" -b $PROXY)";
    let running = pipe.shell(script).env("PROXY", proxy.bootstrap()).start();
    running.wait().fails_with(2).stderr_has("was not committed");
    assert_eq!(pipe.values(), all(1, 100));
    let again = "source -e -q --tsv | sink -q --tsv --txn \"$GROUP\"";
    pipe.shell(again).run().succeeds();
    assert_eq!(pipe.values(), all(1, 100));
}
