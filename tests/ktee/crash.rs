use super::{Killer, lines, number, segments};
use crate::testkit::broker;
use crate::testkit::cluster::{Cluster, Record};
use crate::testkit::command::{cmd, shell};
use crate::testkit::session;
use std::io::Write as _;
use std::time::Duration;

/// `KTEE_KILLS` and `KTEE_RECORDS` make it longer; a different seed each time makes it another one.
#[test]
fn killed_at_random_and_given_the_same_records_again_it_has_no_hole_and_no_double() {
    let (kills, records) = (number("KTEE_KILLS", 5), number("KTEE_RECORDS", 60_000));
    let folder = session::folder("crash-kill");
    let input: String = lines("t", 0, records as i64);
    std::fs::write(folder.join("in"), &input).unwrap();
    let run = |place: &str| {
        shell("exec ktee -q --tsv=all --segment-records 1009 $PLACE/ <in >/dev/null")
            .env("PLACE", place)
            .inside(&folder)
            .limit(Duration::from_secs(120))
            .start()
    };
    let mut kill = Killer::new(kills, folder.join("b"), || {
        run("whole").wait().succeeds();
    });
    for _ in 0..kills {
        kill.meet(run("b"));
    }
    kill.assert_has_met_work();
    cmd("ktee")
        .args(["-q", "--tsv=all", "b/"])
        .inside(&folder)
        .stdin_from(folder.join("in"))
        .stdout_to("/dev/null")
        .limit(Duration::from_secs(120))
        .run()
        .succeeds();
    cmd("ktee")
        .args(["--verify", "b"])
        .inside(&folder)
        .limit(Duration::from_secs(120))
        .run()
        .succeeds();
    shell("ktee --cat b | cmp - in && zstdcat b/topics/t/partition=0/*.zst | cmp - in && ls -A b/topics/t/partition=0 | grep -c tmp; true")
        .inside(&folder)
        .limit(Duration::from_secs(120))
        .run()
        .succeeds()
        .stdout_is("0\n");
}

#[test]
fn a_topic_backed_up_through_kills_is_restored_as_it_was() {
    let Some(kafka) = broker::shared() else {
        return;
    };
    let Some(target) = broker::Spec::new().start() else {
        return;
    };
    let (kills, count) = (number("KTEE_KILLS", 5), number("KTEE_RECORDS", 60_000));
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
    let mut kill = Killer::new(kills, folder.join("b"), || {
        pipe().env("PLACE", "whole").run().succeeds();
    });
    for _ in 0..kills {
        // The shell's whole group goes with it.
        kill.meet(pipe().start());
    }
    kill.assert_has_met_work();
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
