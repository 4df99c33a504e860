//! Brokers that do what they do once in a year: answers that are cut, changed, too large, or of an old version.

use crate::testkit::broker::shared_kafka;
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{Cmd, cmd, shell};
use crate::testkit::interceptor::{Interceptor, Then};
use crate::testkit::{old, output, session};
use kafka_protocol::messages::{ApiKey, FetchResponse, ListOffsetsResponse};
use std::time::Duration;

fn consume(bootstrap: &str, topic: &str) -> Cmd {
    cmd("kcat-lite").args(["-b", bootstrap, "-C", "-t", topic, "-e"])
}

fn numbers(range: std::ops::Range<usize>) -> String {
    output::lines(range)
}

/// A topic of one partition with a batch for each hundred numbers.
fn topic_of_numbers(kafka: &impl Cluster, count: usize) -> String {
    let topic = kafka.topic("numbers", 1, &[]);
    let producer = kafka.producer(&[("linger.ms", "2000"), ("batch.num.messages", "100")]);
    for batch in (0..count).collect::<Vec<_>>().chunks(100) {
        let records = batch.iter().map(|n| Record::of(n.to_string()));
        producer.send(&topic, &records.collect::<Vec<_>>());
    }
    topic
}

#[test]
fn an_old_broker_is_read_listed_queried_and_written() {
    let Some(kafka) = old::shared() else { return };
    let bootstrap = kafka.bootstrap();
    let run = |command: Cmd| command.args(["-b", &bootstrap]).run();
    let topic = kafka.topic("old", 1, &[]);
    let lines = numbers(0..200_000);
    run(cmd("kcat-lite").args(["-P", "-t", &topic]).stdin(&lines)).succeeds();
    let read = consume(&bootstrap, &topic).arg("-q");
    read.run().succeeds().stdout_is(&lines).stderr_is("");
    let compressed = kafka.topic("old-zstd", 1, &[]);
    let transaction = ["-z", "zstd", "-X", "transactional.id=old"];
    let write = cmd("kcat-lite").args(["-P", "-t", &compressed]);
    run(write.args(transaction).stdin(&lines)).succeeds();
    let read = consume(&bootstrap, &compressed).arg("-q");
    read.run().succeeds().stdout_is(&lines);
    run(cmd("kcat-lite").args(["-L", "-t", &topic]))
        .succeeds()
        .stdout_has(&topic);
    run(cmd("kcat-lite").args(["-Q", "-t", &format!("{topic}:0:-1")]))
        .succeeds()
        .stdout_has("200000");
    run(cmd("kcat-lite")
        .args([
            "-G",
            "g-old",
            "-e",
            "-q",
            "-X",
            "auto.offset.reset=earliest",
        ])
        .arg(&topic))
    .succeeds()
    .stdout_is(&lines);
    for (args, committed) in [
        (&["--commit", "g-old"][..], "200000\t7\n"),
        (&["--commit", "g-old", "--delete"], "7\t\\N\n"),
        (&["--commit", "g-old"], "\\N\t7\n"),
    ] {
        run(cmd("kcat-lite")
            .args(args)
            .stdin(format!("{topic}\t0\t7\n")))
        .succeeds()
        .stdout_is(format!("{topic}\t0\t{committed}"));
    }
    run(cmd("koldest").arg(&topic))
        .succeeds()
        .stdout_has(&topic);
    run(cmd("klag").args(["-g", "g-old"]))
        .succeeds()
        .stdout_has(&topic);
}

#[test]
fn every_version_of_fetch_that_a_broker_may_have_is_read() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic_of_numbers(kafka, 3000);
    for newest in [4, 7, 11, 12, 13] {
        let proxy = Interceptor::before(&kafka.bootstrap()).newest(ApiKey::Fetch, newest);
        consume(&proxy.bootstrap(), &topic)
            .arg("-q")
            .args(["-X", "fetch.message.max.bytes=5000"])
            .run()
            .succeeds()
            .stdout_is(numbers(0..3000))
            .stderr_is("");
        assert!(proxy.count(ApiKey::Fetch) > 1);
    }
}

#[test]
fn an_answer_that_is_cut_is_asked_for_again_and_reported_once() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic_of_numbers(kafka, 500);
    let cut = |proxy: Interceptor, times: usize| {
        proxy.on(ApiKey::Fetch, move |call, body| {
            if (1..=times).contains(&call.number) {
                body.truncate(100);
            }
            Then::Pass
        })
    };
    let proxy = cut(Interceptor::before(&kafka.bootstrap()), 3);
    let read = consume(&proxy.bootstrap(), &topic)
        .arg("-E")
        .args(["-X", "fetch.message.max.bytes=1000"])
        .run();
    let said = String::from_utf8_lossy(&read.stderr);
    assert_eq!(said.matches("is cut or malformed").count(), 1, "{said}");
    assert_eq!(String::from_utf8_lossy(&read.stdout), numbers(0..500));
    // Without -E it ends the reading.
    let proxy = cut(Interceptor::before(&kafka.bootstrap()), usize::MAX);
    consume(&proxy.bootstrap(), &topic)
        .args(["-X", "fetch.message.max.bytes=1000"])
        .run()
        .fails_with(2)
        .stderr_has("is cut or malformed");
}

#[test]
fn a_count_that_an_answer_can_not_hold_is_refused() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic_of_numbers(kafka, 10);
    for (api, at) in [(ApiKey::Metadata, 4), (ApiKey::ListOffsets, 4)] {
        let proxy = Interceptor::before(&kafka.bootstrap()).on(api, move |call, body| {
            // librdkafka asks for metadata too, and refuses such an answer itself.
            if call.number > 0 {
                body.splice(at..=at, [0xff, 0xff, 0xff, 0xff, 0x0f]);
            }
            Then::Pass
        });
        consume(&proxy.bootstrap(), &topic)
            .args(["-m", "3"])
            .run()
            .fails_with(2)
            .stderr_has("kcat-lite: ");
    }
}

#[test]
fn a_damaged_batch_costs_its_own_records_and_no_others() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic_of_numbers(kafka, 1000);
    // Byte of the batch, and what is put there.
    let changes: [(usize, &[u8]); 4] = [
        (23, &65_635i32.to_be_bytes()),
        (23, &[0x7f]),
        (0, &1_930_000i64.to_be_bytes()),
        (80, &[0xff, 0xff]),
    ];
    for (at, bytes) in changes {
        let bytes = bytes.to_vec();
        let proxy = Interceptor::before(&kafka.bootstrap()).change(
            ApiKey::Fetch,
            move |_, response: &mut FetchResponse| {
                let rows = response
                    .responses
                    .iter_mut()
                    .flat_map(|t| &mut t.partitions);
                for row in rows {
                    let Some(records) = &mut row.records else {
                        continue;
                    };
                    let mut copy = records.to_vec();
                    let mut start = 0;
                    while start + 61 <= copy.len() {
                        let part = |at: usize| {
                            <[u8; 8]>::try_from(&copy[start + at..start + at + 8]).unwrap()
                        };
                        let base = i64::from_be_bytes(part(0));
                        let size = 12 + (i64::from_be_bytes(part(8)) >> 32) as usize;
                        if base == 300 && start + size <= copy.len() {
                            copy[start + at..start + at + bytes.len()].copy_from_slice(&bytes);
                        }
                        start += size;
                    }
                    *records = copy.into();
                }
            },
        );
        let read = consume(&proxy.bootstrap(), &topic).arg("-E").run();
        let expected = numbers(0..300) + &numbers(400..1000);
        assert_eq!(String::from_utf8_lossy(&read.stdout), expected, "byte {at}");
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(said.contains("[0] offset 300"), "{said}");
        assert!(!said.contains("[0] offset 301"), "{said}");
        consume(&proxy.bootstrap(), &topic)
            .run()
            .fails_with(2)
            .stdout_is(numbers(0..300))
            .stderr_has("[0] offset 300");
    }
}

#[test]
fn a_broker_that_contradicts_itself_about_offsets_is_asked_slowly_and_that_is_said() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic_of_numbers(kafka, 10);
    let proxy = Interceptor::before(&kafka.bootstrap()).change(
        ApiKey::Fetch,
        |call, response: &mut FetchResponse| {
            if call.number < 6 {
                let rows = response
                    .responses
                    .iter_mut()
                    .flat_map(|t| &mut t.partitions);
                rows.for_each(|row| (row.error_code, row.records) = (1, None));
            }
        },
    );
    consume(&proxy.bootstrap(), &topic)
        .run()
        .succeeds()
        .stdout_is(numbers(0..10))
        .stderr_has("says that offset 0 is out of range, which is 0 to 10");
    assert!(proxy.count(ApiKey::Fetch) < 20);
}

#[test]
fn a_throttle_of_weeks_is_said_and_capped() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic_of_numbers(kafka, 2000);
    let proxy = Interceptor::before(&kafka.bootstrap()).change(
        ApiKey::Fetch,
        |call, response: &mut FetchResponse| {
            if call.number == 0 {
                response.throttle_time_ms = i32::MAX;
            }
        },
    );
    consume(&proxy.bootstrap(), &topic)
        .args(["-X", "fetch.message.max.bytes=1000"])
        .limit(Duration::from_secs(60))
        .run()
        .succeeds()
        .stdout_is(numbers(0..2000))
        .stderr_has("throttles this client");
}

#[test]
fn a_record_larger_than_what_is_received_is_named_with_its_topic_and_offset() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("large", 1, &[("max.message.bytes", "5000000")]);
    let large = "x".repeat(3_000_000);
    let producer = kafka.producer(&[("message.max.bytes", "5000000")]);
    producer.send(&topic, &[Record::of("small")]);
    producer.send(&topic, &[Record::of(large)]);
    let limits = [
        "receive.message.max.bytes=1000000",
        "fetch.max.bytes=900000",
        "fetch.message.max.bytes=900000",
        "message.max.bytes=900000",
    ];
    let read = limits
        .iter()
        .fold(consume(&kafka.bootstrap(), &topic), |read, limit| {
            read.args(["-X", limit])
        });
    read.run()
        .fails_with(2)
        .stdout_is("small\n")
        .stderr_has(format!("{topic} [0]: the record batch at offset 1 is larger than receive.message.max.bytes=1000000"));
}

#[test]
fn an_answer_of_list_offsets_that_is_an_error_is_told_with_its_reason() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = topic_of_numbers(kafka, 10);
    let proxy = Interceptor::before(&kafka.bootstrap()).change(
        ApiKey::ListOffsets,
        |_, response: &mut ListOffsetsResponse| {
            let rows = response.topics.iter_mut().flat_map(|t| &mut t.partitions);
            rows.for_each(|row| row.error_code = 103);
        },
    );
    consume(&proxy.bootstrap(), &topic)
        .args(["-m", "3"])
        .run()
        .fails_with(2)
        .stderr_lacks("Err-103");
}

#[test]
fn a_recreated_topic_is_not_taken_for_the_old_one_behind_a_pipe_that_stands_still() {
    let Some(kafka) = shared_kafka() else { return };
    let topic = kafka.topic("again", 1, &[]);
    let values = |text: &str| {
        let records = (0..4000).map(|n| Record::of(format!("{text}{n:0>500}")));
        records.collect::<Vec<_>>()
    };
    kafka.produce(&topic, &values("old"));
    let folder = session::folder("again");
    let script = format!(
        "(kcat-lite -b {} -C -t {topic} -X fetch.message.max.bytes=10000 2>said; echo $? >code) |
         (head -c 600 >/dev/null; touch stands; while ! test -e on; do sleep 0.1; done; cat)",
        kafka.bootstrap()
    );
    let reader = shell(&script)
        .inside(&folder)
        .limit(Duration::from_secs(90))
        .start();
    while !folder.join("stands").exists() {
        std::thread::sleep(Duration::from_millis(50));
    }
    kafka.delete_topic(&topic);
    kafka.create_topic(&topic, 1, &[]);
    kafka.produce(&topic, &values("new"));
    std::fs::write(folder.join("on"), "").unwrap();
    let read = reader.wait();
    assert!(!read.text().contains("new"), "records of another topic");
    let said = std::fs::read_to_string(folder.join("said")).unwrap();
    assert!(said.contains("deleted and made again"), "{said}");
    assert_eq!(std::fs::read_to_string(folder.join("code")).unwrap(), "2\n");
}
