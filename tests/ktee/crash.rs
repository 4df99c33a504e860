use super::{lines, segments};
use crate::testkit::broker::{own_kafka, shared_kafka};
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{cmd, shell};
use crate::testkit::{number, session};
use rustix::process::Signal;
use std::io::Write as _;
use std::time::{Duration, Instant};

#[test]
fn a_topic_backed_up_through_kills_is_restored_as_it_was() {
    let Some(kafka) = shared_kafka() else { return };
    let Some(target) = own_kafka() else { return };
    let kills = number("KAFKAUTILS_KILLS").unwrap_or(5);
    let count = number("KAFKAUTILS_RECORDS").unwrap_or(60_000);
    let topic = kafka.topic("crash", 3, &[("retention.ms", "-1")]);
    let records: Vec<Record> = (0..count)
        .map(|n| Record {
            partition: Some((n % 3) as i32),
            timestamp_ms: Some(1_600_000_000_000 + n as i64),
            headers: vec![("n".to_owned(), Some(n.to_string().into_bytes()))],
            ..Record::keyed(format!("k{n}"), format!("value {n}"))
        })
        .collect();
    kafka.produce(&topic, &records);
    let folder = session::folder("crash-topic");
    let pipe = || {
        shell(
            "kcat-lite -C -b $BROKERS -t $TOPIC -o beginning -e -q --tsv=all | \
             ktee -q --tsv=all --segment-bytes 300K $PLACE/ >/dev/null",
        )
        .env("PLACE", "b")
        .env("BROKERS", kafka.bootstrap())
        .env("TOPIC", &topic)
        .inside(&folder)
        .limit(Duration::from_secs(180))
    };
    let begun = Instant::now();
    pipe().env("PLACE", "whole").run().succeeds();
    let whole = begun.elapsed();
    let mut met = 0;
    for kill in 0..kills {
        // The shell's whole group goes with it.
        let mut running = pipe().start();
        std::thread::sleep(whole.mul_f64((kill + 1) as f64 / (kills + 1) as f64));
        met += u64::from(running.runs());
        running.signal(Signal::KILL);
        running.wait();
    }
    assert!(met > 0, "no kill has met a run");
    pipe().run().succeeds();
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .limit(Duration::from_secs(120))
        .run()
        .succeeds();
    cmd("ktee")
        .args(["--restore", "b", "-b", &target.bootstrap()])
        .inside(&folder)
        .limit(Duration::from_secs(180))
        .run()
        .succeeds();
    assert_eq!(target.records(&topic), kafka.records(&topic));
}

#[test]
fn a_full_disk_is_told_the_stream_passes_and_what_is_stored_is_whole() {
    let folder = session::folder("crash-full");
    let mounted = shell("mkdir small && mount -t tmpfs -o size=400k tmpfs small")
        .inside(&folder)
        .run();
    if !mounted.status.success() {
        // Only a superuser can mount one; no server is missing, so it is no failure where servers are required.
        drop(writeln!(
            std::io::stderr(),
            "skipped: no tmpfs can be mounted"
        ));
        return;
    }
    let input = lines("t", 0, 40_000);
    let run = cmd("ktee")
        .args([
            "--tsv=all",
            "--compress",
            "none",
            "--segment-records",
            "2000",
            "small/b/",
            "copy",
        ])
        .inside(&folder)
        .stdin(input.as_str())
        .run();
    let verify = cmd("ktee")
        .args(["--verify", "small/b"])
        .inside(&folder)
        .run();
    let again = shell("cp -r small/b b && umount small && ktee -q --tsv=all --segment-records 2000 b/ <copy >/dev/null && ktee --verify b && ktee --cat b | cmp - copy")
        .inside(&folder)
        .run();
    run.fails_with(2)
        .stdout_is(&input)
        .stderr_has("No space left");
    verify.succeeds();
    again.succeeds();
}

#[test]
fn a_file_that_may_not_grow_is_told_and_nothing_torn_is_left() {
    let folder = session::folder("crash-limit");
    std::fs::write(folder.join("in"), lines("t", 0, 40_000)).unwrap();
    // SIGXFSZ is ignored, so that write(2) says it, as a full disk does.
    shell("trap '' XFSZ; ulimit -f 40; ktee --tsv=all --compress none --segment-records 20000 b/ <in >/dev/null")
        .inside(&folder)
        .run()
        .fails_with(2)
        .stderr_has("b");
    assert_eq!(segments(&folder.join("b")), Vec::<String>::new());
}
